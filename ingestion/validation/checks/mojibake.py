"""Text that was decoded wrongly before it reached us, put right.

ftfy (Speer, 2019) knows which sequences are no accident; it is asked only where the cheap pattern
here finds one, for it takes a millisecond a kilobyte.
"""

import re

import ftfy

from ingestion.validation.checking import Check, Finding
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import TextSubject

_SUSPECT = re.compile(
    "[\u00c2\u00c3\u00c5\u00c4\u00d0\u00d1\u00e2\u00ef][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d"
    "\u017e\u0192\u02c6\u02dc\u2013\u2014\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)
"""The first byte of a UTF-8 letter, read as Windows-1252, and then a continuation byte."""


def is_suspect(text: str) -> bool:
    return not text.isascii() and _SUSPECT.search(text) is not None


def repaired(text: str) -> str:
    """`text` with its wrongly decoded characters put right; the same where nothing is wrong."""
    return ftfy.fix_encoding(text) if is_suspect(text) else text


def mojibake(text: TextSubject) -> Finding | None:
    suspects = [piece for piece in text.pieces if is_suspect(piece)]
    if all(repaired(piece) == piece for piece in suspects):
        return None
    return Finding(reason=Reason.MOJIBAKE_REPAIRED, detail="wrongly decoded text was put right")


CHECKS = (Check(name="mojibake", version=1, run=mojibake),)
