"""Boxes: resources with others inside, as a zip or a mail is, but quick to make and to read."""

import json
from dataclasses import replace
from typing import Any

from connectors.containers import Room
from connectors.protocols import Resource
from ingestion.protocols import ChildResource, ParsedDocument
from rag.bodies import Body
from rag.errors import ParseError
from rag.storage.originals import Originals
from tests.ingestion.standins import LineParser

Box = dict[str, Any]


class BoxParser(LineParser):
    """Reads a JSON object as a box: each name is a file, each value its text or another box."""

    def __init__(self, originals: Originals) -> None:
        super().__init__()
        self._originals = originals

    async def parse(self, resource: Resource) -> ParsedDocument:
        if resource.body.read(1) != b"{":
            return await super().parse(resource)
        room = resource.container.room if resource.container else Room()
        box = json.loads(resource.body.read())
        if len(box) > room.files or room.levels < 1:
            raise ParseError("too much lies in it")
        children: list[ChildResource] = []
        for path, held in box.items():
            body = packed(held)
            digest = await self._originals.store(Body.of(body))
            child = ChildResource(path=path, media_type="text/plain", body=digest, size=len(body))
            children.append(child)
        listing = await super().parse(
            replace(resource, body=Body.of(f"A box of {len(box)}".encode()))
        )
        return replace(listing, children=tuple(children), room=room)


def packed(held: str | Box) -> bytes:
    return held.encode() if isinstance(held, str) else json.dumps(held).encode()
