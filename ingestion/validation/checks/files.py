"""Size, emptiness, and whether the bytes are what they are said to be.

What only opening a file can tell (archives that burst, XML with a DOCTYPE, passwords, damage) is
told by the parsing process, which may be killed; its errors become verdicts all the same.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ingestion.validation.checking import Check, Finding
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import FileSubject
from rag.storage.verdicts.records import Result

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"PK\x03\x04", "application/zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"\x1f\x8b", "application/gzip"),
    (b"{\\rtf", "application/rtf"),
    (b"MZ\x90\x00", "application/x-executable"),
    (b"\x7fELF", "application/x-executable"),
)
_BINARY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "application/pdf": frozenset({"application/pdf"}),
        "image/png": frozenset({"image/png"}),
        "image/jpeg": frozenset({"image/jpeg"}),
        "image/gif": frozenset({"image/gif"}),
        "application/rtf": frozenset({"application/rtf", "text/rtf"}),
    }
)
"""By what the bytes are: the media types that may be declared of them."""
_SPOKEN_OF = frozenset(each for declared in _BINARY.values() for each in declared)
_UNDECLARED = frozenset({"", "application/octet-stream", "binary/octet-stream"})
BEGINNING_BYTES = 1024
_WHITE = b" \t\r\n\x0b\x0c\x00"


def size(file: FileSubject) -> Finding | None:
    limit, found = file.policy.max_bytes, file.resource.body.size
    if not limit or found <= limit:
        return None
    return Finding(
        reason=Reason.TOO_LARGE,
        detail=f"{found} bytes are more than {limit}",
        result=Result.QUARANTINED,
    )


def emptiness(file: FileSubject) -> Finding | None:
    body = file.resource.body
    if body.read(4096).strip(_WHITE) or any(piece.strip(_WHITE) for piece in body.pieces()):
        return None
    what = "the file is empty" if not body.size else "there is nothing but white space"
    return Finding(reason=Reason.EMPTY, detail=what)


def media_type(file: FileSubject) -> Finding | None:
    declared = file.resource.media_type.partition(";")[0].strip().lower()
    if declared in _UNDECLARED:
        return None
    found = kind_of(file.resource.body.read(BEGINNING_BYTES))
    allowed = _BINARY.get(found)
    fits = declared not in _SPOKEN_OF if allowed is None else declared in allowed
    if fits or not file.resource.body.size:
        return None
    return Finding(
        reason=Reason.TYPE_MISMATCH,
        detail=f"declared as {declared}, the bytes begin like {found}",
    )


def kind_of(body: bytes) -> str:
    """What the bytes begin like, of which the first `BEGINNING_BYTES` are enough; `text/plain` where no known beginning fits."""
    for beginning, kind in _BEGINNINGS:
        if body.startswith(beginning):
            return kind
    return "application/pdf" if b"%PDF-" in body[:BEGINNING_BYTES] else "text/plain"


CHECKS = (
    Check(name="size", version=1, run=size),
    Check(name="emptiness", version=1, run=emptiness),
    Check(name="media_type", version=1, run=media_type),
)
