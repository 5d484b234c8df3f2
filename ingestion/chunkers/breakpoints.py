"""How far apart in meaning neighbouring sentences are: a long section is cut where they differ."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from math import sqrt
from typing import Protocol, TypeVar

_T = TypeVar("_T")
_WINDOW = 3
"""Sentences on each side of a gap that are compared: few, so that an edit stays local."""
_WORD = re.compile(r"\w{4,}")
_STEM = 6
"""Characters: inflections of a word mostly share its beginning."""


class Breakpoints(Protocol):
    @property
    def name(self) -> str: ...

    async def distances(self, passages: Sequence[Sequence[str]]) -> list[list[float]]:
        """For each passage's sentences, one distance (0 same, 1 other topic) for each gap."""
        ...


class LexicalBreakpoints:
    """By the words that both sides share, as TextTiling (Hearst 1997) compares blocks.

    It costs next to nothing, where embedding every sentence costs as much as the chunks do.
    """

    name = "lexical"

    async def distances(self, passages: Sequence[Sequence[str]]) -> list[list[float]]:
        return await asyncio.to_thread(lambda: [_lexical_distances(given) for given in passages])


def _lexical_distances(sentences: Sequence[str]) -> list[float]:
    words = [
        Counter(word[:_STEM] for word in _WORD.findall(sentence.lower())) for sentence in sentences
    ]
    return [1 - _overlap(_sum(left), _sum(right)) for left, right in sides_of_gaps(words)]


def sides_of_gaps(items: Sequence[_T]) -> list[tuple[Sequence[_T], Sequence[_T]]]:
    """What stands within the window before and after each gap."""
    return [
        (items[max(0, gap - _WINDOW) : gap], items[gap : gap + _WINDOW])
        for gap in range(1, len(items))
    ]


def _sum(counts: Sequence[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def _overlap(left: Counter[str], right: Counter[str]) -> float:
    """The cosine of two bags of words."""
    shared = sum(count * right[word] for word, count in left.items() if word in right)
    if not shared:
        return 0.0
    norms = (sqrt(sum(n * n for n in bag.values())) for bag in (left, right))
    return shared / (next(norms) * next(norms))
