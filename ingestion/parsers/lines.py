"""Lines as they were typed: which breaks the author meant, and which the page made."""

import re
from collections.abc import Sequence

_STARTS_ANEW = re.compile(r"\s*(?:[-*+•‣▪\u2013]\s|\(?\d{1,3}[.)]\s|\(?[a-z][.)]\s|>|\|)")
_BREAKS_WORD = re.compile(r"[a-zäöüß]-$")
_MIN_WIDTH = 50
"""A paragraph narrower than this was not wrapped by a page; its breaks are the author's."""

_SLACK = 10
"""A tenth of the width is forgiven: people break a line a little early."""


def unwrapped(lines: Sequence[str]) -> list[str]:
    """`lines` of one paragraph, each joined to the one before it where only the page's width broke it.

    A break is the page's if the first word of the next line would not have fit behind the line.
    """
    stripped = [line.rstrip() for line in lines]
    width = max(map(len, stripped), default=0)
    out: list[str] = []
    before = ""
    for line in stripped:
        if out and width >= _MIN_WIDTH and _continues(before, line, width):
            out[-1] = f"{out[-1]} {line.lstrip()}"
        else:
            out.append(line)
        before = line
    return out


def _continues(before: str, line: str, width: int) -> bool:
    if not before or not line.strip() or _STARTS_ANEW.match(line):
        return False
    first_word = line.split(maxsplit=1)[0]
    return len(before) + 1 + len(first_word) > width - width // _SLACK


def joined(before: str, line: str) -> str:
    """Two halves of a sentence as one, a word that was divided at the line's end made whole."""
    if _BREAKS_WORD.search(before) and line[:1].islower():
        return before[:-1] + line
    return f"{before} {line}"
