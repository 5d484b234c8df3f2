"""In which encoding a text file is written, and whether it is one."""

import codecs
import re

from ingestion.validation.checking import Check, Finding
from ingestion.validation.checks.files import kind_of
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import FileSubject

_SAMPLE_BYTES = 1_000_000
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8_LETTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}")
_ENOUGH = 2
"""Valid multi-byte sequences, among bytes that are no UTF-8, that are no accident."""


def encoding(file: FileSubject) -> Finding | None:
    """UTF-8 passes, with a byte-order mark or without. Anything else is read by the parser as the
    likeliest, and said here."""
    body = file.resource.body.read(_SAMPLE_BYTES)
    if kind_of(body) != "text/plain":
        return None
    for mark, name in _MARKS:
        if body.startswith(mark):
            return Finding(reason=Reason.LEGACY_ENCODING, detail=f"marked as {name}")
    if body.count(0) > len(body) // 8:
        return Finding(reason=Reason.LEGACY_ENCODING, detail="two or four bytes a character")
    if _is_utf8(body, cut=file.resource.body.size > len(body)):
        return None
    if len(_UTF8_LETTER.findall(body)) >= _ENOUGH:
        return Finding(reason=Reason.MIXED_ENCODINGS, detail="some bytes are UTF-8, some are not")
    return Finding(reason=Reason.LEGACY_ENCODING, detail="one byte a character")


def _is_utf8(body: bytes, *, cut: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body, final=not cut)
    except UnicodeDecodeError:
        return False
    return True


CHECKS = (Check(name="encoding", version=1, run=encoding),)
