"""Blocks of lines that look like somebody's address or the end of a letter."""

import re

from rag.guardrails.name_words import LABELS

_SHORT_LINE = 64
_ADDRESSED = re.compile(
    r"\b(?:apt|suite|unit|box|p\.?o\.?|psc|apo|dpo|fpo|str|straße|street|road|avenue|lane)\b|\d{4,}"
    r"|\d{2,} ?\d{2,}|^\W*\d+\W*$",
    re.IGNORECASE,
)
_LABELLED = re.compile(r"(\w[\w-]*)(?: \w+){0,2}: ")
_BULLET = re.compile(r"\s*(?:[-*•|#]|\d{1,3}[.)])\s")


def contact_lines(text: str) -> frozenset[int]:
    """Numbers of the lines, from 0."""
    if "\n" not in text:
        return frozenset()
    found: set[int] = set()
    block: list[int] = []
    addressed = False
    for number, line in enumerate((*text.split("\n"), "." * _SHORT_LINE)):
        bare = line.strip(" >?\t\\")
        if not bare:
            continue
        if _may_be_of_a_contact(line, bare):
            block.append(number)
            addressed = addressed or _ADDRESSED.search(bare) is not None
            continue
        if len(block) >= 3 and addressed:
            found.update(block)
        block, addressed = [], False
    return frozenset(found)


def _may_be_of_a_contact(line: str, bare: str) -> bool:
    is_sentence = bare.endswith(".") and len(bare.split()) > 7
    is_short = len(bare) < _SHORT_LINE and bare[-1] not in "!?;"
    label = _LABELLED.match(bare)
    is_of_a_form = label is not None and label[1].lower() not in LABELS
    return is_short and not is_sentence and not is_of_a_form and not _BULLET.match(line)
