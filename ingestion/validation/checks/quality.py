"""Whether the text reads like text: lost characters, garbled words, mixed scripts, hardly any."""

import re

from ingestion.validation.checking import Check, Finding
from ingestion.validation.policy import Objection
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import TextSubject
from rag.storage.verdicts.records import Result
from rag.types import Block, Table

_FEW_CHARACTERS = 20
_LOST = "\ufffd"
_MANY_LOST, _LOST_BY_ACCIDENT = 0.01, 20
"""A share of the characters, and a number below which no share is bad."""
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’-][A-Za-z\u00c0-\u024f]+)*")
_VOWEL = re.compile(r"[aeiouyäöüàáâãåæèéêëìíîïòóôõøœùúûýÿ]", re.IGNORECASE)
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxzß]{7}", re.IGNORECASE)
_BROKEN_CASE = re.compile(r"[a-zß-ÿ][A-ZÀ-Þ][a-zß-ÿ]*[A-ZÀ-Þ]")
_ENOUGH_WORDS = 40
_JUDGED_WORDS = 150
"""Tokens that are looked at, evenly spread: the share is known to 4 % or better."""
_DOUBTFUL, _HOPELESS = 0.7, 0.45
"""Shares of tokens with letters that look like words. Prose and lists of parts have over .85."""
_MIXED = re.compile(
    "[A-Za-z][\u0400-\u04ff]|[\u0400-\u04ff][A-Za-z]"  # Latin and Cyrillic
    "|[A-Za-z][\u0391-\u03a1\u03bf\u03b1\u03b9][A-Za-z]"  # a Greek look-alike between Latin ones
)


def min_content(text: TextSubject) -> Finding | None:
    found = sum(_letters(section.block) for section in text.parsed.sections)
    if found < text.policy.min_characters:
        return Finding(
            reason=Reason.LITTLE_TEXT,
            detail=f"{found} letters and digits are fewer than {text.policy.min_characters}",
            result=Result.QUARANTINED,
        )
    if found < _FEW_CHARACTERS:
        return Finding(reason=Reason.LITTLE_TEXT, detail=f"{found} letters and digits")
    return None


def _letters(block: Block) -> int:
    if isinstance(block, Table):
        return sum(len(cell) for row in (block.header, *block.rows) for cell in row)
    return len(block.text) - sum(map(block.text.count, " \n\t|.,;:-"))


def lost_characters(text: TextSubject) -> Finding | None:
    lost = sum(piece.count(_LOST) for piece in text.pieces)
    if not lost:
        return None
    return Finding(
        reason=Reason.REPLACEMENT_CHARACTERS,
        detail=f"{lost} characters were lost",
        result=_objected(
            text, is_bad=lost > max(_LOST_BY_ACCIDENT, _MANY_LOST * sum(map(len, text.pieces)))
        ),
        counts={"replacement_characters": lost},
    )


def word_likeness(text: TextSubject) -> Finding | None:
    """Of texts in Latin script: the share of tokens with letters that could be words of some
    European language. Other scripts are not judged."""
    tokens = [token for token in text.prose.split() if not token.isdigit()]
    if len(tokens) < _ENOUGH_WORDS:
        return None
    judged = [token for token in tokens[:: -(-len(tokens) // _JUDGED_WORDS)] if _WORD.search(token)]
    if not judged or _share_of_latin("".join(judged)) < 0.8:
        return None
    share = sum(map(_is_wordlike, judged)) / len(judged)
    if share >= _DOUBTFUL:
        return None
    return Finding(
        reason=Reason.GARBLED,
        detail=f"{share:.0%} of {len(judged)} tokens look like words",
        result=_objected(text, is_bad=share < _HOPELESS),
    )


def _share_of_latin(text: str) -> float:
    if text.isascii():
        return 1.0
    latin = sum(len(found) for found in _LATIN.findall(text))
    return latin / max(1, sum(map(str.isalpha, text)))


def _is_wordlike(token: str) -> bool:
    core = token.strip(".,;:!?()[]{}<>«»„“”\"'’‘*_/|…–—-")
    if not core:
        return False
    parts = [part for part in re.split(r"[-–/.,:@&+_()’']", core) if part]
    return bool(parts) and all(map(_is_part_of_a_word, parts))


def _is_part_of_a_word(part: str) -> bool:
    if part.isdigit() or part.isupper() or len(part) <= 2:
        return part.isalnum() and (len(part) <= 12 or not part.isupper())
    if not _LATIN.fullmatch(part):
        # A code such as AP300 has its letters and its digits apart; a word with a digit inside
        # is what OCR makes of `invoice`.
        return re.fullmatch(r"[A-Za-z]{1,4}\d+[A-Za-z]?|\d+[A-Za-zµ°%€²³]{1,4}", part) is not None
    return (
        len(part) <= 45
        and _VOWEL.search(part) is not None
        and not _CONSONANTS.search(part)
        and not _BROKEN_CASE.search(part)
    )


def mixed_scripts(text: TextSubject) -> Finding | None:
    found = sum(len(_MIXED.findall(piece)) for piece in text.pieces if not piece.isascii())
    if not found:
        return None
    return Finding(
        reason=Reason.MIXED_SCRIPTS,
        detail=f"{found} places where two scripts meet inside a word",
        counts={"mixed_scripts": found},
    )


def _objected(text: TextSubject, *, is_bad: bool) -> Result:
    if is_bad and text.policy.garbled is Objection.QUARANTINE:
        return Result.QUARANTINED
    return Result.WARNED


CHECKS = (
    Check(name="min_content", version=1, run=min_content),
    Check(name="lost_characters", version=1, run=lost_characters),
    Check(name="word_likeness", version=1, run=word_likeness),
    Check(name="mixed_scripts", version=1, run=mixed_scripts),
)
