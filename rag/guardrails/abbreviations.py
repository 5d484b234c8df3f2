"""What stands in capitals for something that is nobody: the code of a product or a document, a unit,
initials of words rather than of people."""

import re

from rag.guardrails import name_words as sets
from rag.guardrails.name_tokens import Token
from rag.guardrails.words import Kind

_CODE = re.compile(
    r"[A-Z]{1,5}-?\d{1,4}[A-Z]{0,2}|[A-Z]{1,5}\d{0,3}(?:-(?:[A-Z]{1,4}\d{0,4}|\d{1,4}[A-Z]?))+"
)
_VOWEL = re.compile(r"[AEIOUYÄÖÜ]")
_NUMBER_BEFORE = re.compile(r"\d\+? \Z|°\Z")
_NUMBER_AFTER = re.compile(r" \d{2,3}\b")
_IDENTITY = re.compile(rf"\b(?:{sets.IDENTITY})", re.IGNORECASE)
_NEAR = 40
_LONGEST, _LONGEST_UNIT, _LONG_CODE = 5, 3, 9
_STATES = frozenset(
    "gb dk pl cz ch pt tx tn ny nj nv nd nm sd sc fl md mt ms ct ks ky ln lt lv hr rs mk".split()
)
"""Of two letters, none of them a vowel: places."""


def stands_for_something(text: str, token: Token, *, shouted: bool) -> bool:
    """`shouted`: all around it is in capitals, too."""
    written, small, kinds = token.word.text, token.word.small, token.word.kinds
    if any(map(str.isdigit, written)):
        is_code = len(written) < _LONG_CODE or "-" in written
        return (
            is_code
            and _CODE.fullmatch(written) is not None
            and not _speaks_of_identity(text, token)
        )
    is_numbered = _NUMBER_AFTER.match(text, token.end)
    if (is_numbered or not kinds & Kind.ENGLISH) and _speaks_of_identity(text, token):
        return small in sets.SHORT_FOR
    is_unit = len(written) <= _LONGEST_UNIT and _NUMBER_BEFORE.search(
        text, max(0, token.start - 6), token.start
    )
    if small in sets.SHORT_FOR or is_unit:
        return True
    if kinds & Kind.ACRONYM:
        return not shouted
    if small in _STATES or kinds & Kind.NAME or _VOWEL.search(written) or not written.isascii():
        return False
    # No name is without a vowel; two letters may be somebody's initials.
    is_code = _CODE.fullmatch(written) if "-" in written else 2 < len(written) <= _LONGEST
    return bool(is_code or is_numbered)


def _speaks_of_identity(text: str, token: Token) -> bool:
    return _IDENTITY.search(text, max(0, token.start - _NEAR), token.start) is not None
