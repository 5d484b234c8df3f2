"""What travels between the parsing child and its parent: a length, then JSON; never a pickle.

A request is JSON without the body, then the body, unless that lies in a file. A reply is JSON
alone; where it says that members follow, each is JSON and then its body, and a last JSON ends
them. The parent believes nothing in a reply beyond its shape: a child that parsed a hostile file
may say anything.
"""

import json
import struct
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, cast

from connectors.containers import Room
from ingestion.parsers.model import Extracted, Member, RawFile
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
    head = {
        "name": file.name,
        "media_type": file.media_type,
        "bytes": len(file.body),
        "path": None if file.path is None else str(file.path),
        "room": asdict(file.room),
    }
    return _framed(head), file.body


def read_request(stream: BinaryIO) -> RawFile | None:
    """The next request, or None where the parent has closed its end."""
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    head = json.loads(stream.read(LENGTH.unpack(length)[0]))
    return RawFile(
        name=head["name"],
        media_type=head["media_type"],
        body=stream.read(head["bytes"]),
        path=None if head["path"] is None else Path(head["path"]),
        room=Room(**head["room"]),
    )


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
    return _framed(content)


def packed_member(member: Member) -> tuple[bytes, bytes]:
    """The head of a member, and its body."""
    path = member.path.encode("utf-8", "replace").decode()
    head = {"path": path, "media_type": member.media_type, "bytes": len(member.body),
            "is_part": member.is_part}  # fmt: skip
    return _framed(head), member.body


def packed_end() -> bytes:
    """What stands after the last member."""
    return _framed({"end": True})


def read_reply(body: bytes) -> Extracted:
    """What the child found. Raises what it raised, and `ParseError` for a reply of another shape."""
    with _making_sense():
        content = cast("dict[str, object]", json.loads(body))
        if "error" not in content:
            return _extracted(content)
        error = _error_of(content)
    raise error


@dataclass(frozen=True, slots=True)
class MemberHead:
    path: str
    media_type: str
    size: int
    is_part: bool


def read_member_head(body: bytes) -> MemberHead | None:
    """The head of the next member, or None after the last. Raises as `read_reply` does."""
    with _making_sense():
        content = cast("dict[str, object]", json.loads(body))
        if "end" in content:
            return None
        if "error" not in content:
            size = content["bytes"]
            if not isinstance(size, int) or size < 0:
                raise TypeError("bytes")
            path, media_type = _text(content["path"]), _text(content["media_type"])
            return MemberHead(path, media_type, size, content["is_part"] is True)
        error = _error_of(content)
    raise error


def _framed(content: Mapping[str, object]) -> bytes:
    body = json.dumps(content, ensure_ascii=True).encode()
    return LENGTH.pack(len(body)) + body


def _error_of(content: Mapping[str, object]) -> PermanentError:
    return _ERRORS.get(str(content["error"]), ParseError)(str(content["message"]))


@contextmanager
def _making_sense() -> Generator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, RecursionError) as failure:
        raise ParseError("the parsing process gave an answer that makes no sense") from failure


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
