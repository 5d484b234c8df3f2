"""What travels between the parsing child and its parent: a length, then JSON; never a pickle.

A request is JSON without the body, then the body. A reply is JSON alone. The parent believes
nothing in a reply beyond its shape: a child that parsed a hostile file may say anything.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import BinaryIO, cast

from ingestion.parsers.model import Extracted, RawFile
from rag.errors import (
    EmptyText,
    EncryptedFile,
    LimitExceeded,
    ParseError,
    PermanentError,
    UnsupportedMediaType,
)
from rag.types import Block, Code, MetadataValue, Prose, Section, Table

LENGTH = struct.Struct(">Q")
MAX_REPLY_BYTES = 512 * 1024 * 1024

_ERRORS: Mapping[str, type[PermanentError]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (UnsupportedMediaType, ParseError, EncryptedFile, EmptyText, LimitExceeded)
    }
)


def packed_request(file: RawFile) -> tuple[bytes, bytes]:
    """The head of a request, and the body that follows it unchanged."""
    head = json.dumps(
        {"name": file.name, "media_type": file.media_type, "bytes": len(file.body)}
    ).encode()
    return LENGTH.pack(len(head)) + head, file.body


def read_request(stream: BinaryIO) -> RawFile | None:
    """The next request, or None where the parent has closed its end."""
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    head = json.loads(stream.read(LENGTH.unpack(length)[0]))
    body = stream.read(head["bytes"])
    return RawFile(name=head["name"], media_type=head["media_type"], body=body)


def packed_reply(reply: Extracted | PermanentError) -> bytes:
    if isinstance(reply, Extracted):
        content: dict[str, object] = {
            "title": reply.title,
            "metadata": dict(reply.metadata),
            "warnings": reply.warnings,
            "sections": [
                [one.heading_path, type(one.block).__name__, asdict(one.block), one.page]
                for one in reply.sections
            ],
        }
    else:
        content = {"error": type(reply).__name__, "message": str(reply)[:500]}
    body = json.dumps(content, ensure_ascii=True).encode()
    return LENGTH.pack(len(body)) + body


def read_reply(body: bytes) -> Extracted:
    """What the child found. Raises what it raised, and `ParseError` for a reply of another shape."""
    try:
        content = cast("dict[str, object]", json.loads(body))
        if "error" in content:
            error = _ERRORS.get(str(content["error"]), ParseError)(str(content["message"]))
        else:
            return _extracted(content)
    except (ValueError, TypeError, KeyError, RecursionError) as failure:
        raise ParseError("the parsing process gave an answer that makes no sense") from failure
    raise error


def _extracted(content: Mapping[str, object]) -> Extracted:
    metadata = cast("dict[object, object]", content["metadata"])
    return Extracted(
        title=_text(content["title"]),
        sections=tuple(map(_section, cast("list[list[object]]", content["sections"]))),
        metadata=MappingProxyType({_text(key): _value(item) for key, item in metadata.items()}),
        warnings=_texts(content["warnings"]),
    )


def _section(packed: list[object]) -> Section:
    path, kind, block, page = packed
    if page is not None and not isinstance(page, int):
        raise TypeError("page")
    return Section(_texts(path), _block(str(kind), cast("dict[str, object]", block)), page)


def _block(kind: str, packed: Mapping[str, object]) -> Block:
    match kind:
        case "Prose":
            return Prose(_text(packed["text"]))
        case "Code":
            return Code(_text(packed["text"]))
        case "Table":
            header = _texts(packed["header"])
            rows = tuple(map(_texts, cast("list[object]", packed["rows"])))
            if any(len(row) != len(header) for row in rows):
                raise ValueError("rows")
            return Table(_text(packed["caption"]), header, rows)
        case _:
            raise ValueError(kind)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, cast("list[object]", value)))


def _value(value: object) -> MetadataValue:
    if not isinstance(value, str | int | float | bool):
        raise TypeError("metadata")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value
