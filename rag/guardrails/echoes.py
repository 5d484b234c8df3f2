"""A value that was found in one place stands in others too, where nothing gave it away.

A question in small letters names whom the evidence capitalises: masking the one and not the other
would send it after all.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from rag.guardrails.hits import Hit
from rag.guardrails.words import is_common

_WORD = re.compile(r"\w+")
_OF_WORDS = frozenset({"name", "person", "organisation", "place", "address", "group", "title"})
_SHORTEST = 3


def echoes(texts: Sequence[str], found: Sequence[Sequence[Hit]]) -> list[list[Hit]]:
    """For each text, where a value of `found` stands again, in whatever case and spacing; of names
    each word, too. A value that is a single common word is not looked for."""
    sought = _sought(texts, found)
    return [list(_again(text, sought)) if sought else [] for text in texts]


def _sought(
    texts: Sequence[str], found: Sequence[Sequence[Hit]]
) -> Mapping[str, list[tuple[tuple[str, ...], str]]]:
    """By their first word, in lower case: values as words, longest first, and their kinds."""
    values: dict[tuple[str, ...], str] = {}
    for text, hits in zip(texts, found, strict=True):
        for hit in hits:
            words = tuple(word.lower() for word in _WORD.findall(text[hit.start : hit.end]))
            if not _is_common(words):
                values.setdefault(words, hit.kind)
            if hit.kind in _OF_WORDS and len(words) > 1:
                for word in words:
                    if word.isalpha() and len(word) >= _SHORTEST and not is_common(word):
                        values.setdefault((word,), hit.kind)
    sought: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for words, kind in values.items():
        sought.setdefault(words[0], []).append((words, kind))
    for candidates in sought.values():
        candidates.sort(key=lambda candidate: -len(candidate[0]))
    return sought


def _is_common(words: Sequence[str]) -> bool:
    if len(words) == 1:
        [word] = words
        return len(word) < _SHORTEST or is_common(word)
    return not words


def _again(text: str, sought: Mapping[str, list[tuple[tuple[str, ...], str]]]) -> Iterator[Hit]:
    places = [(match[0].lower(), match.start(), match.end()) for match in _WORD.finditer(text)]
    at = 0
    while at < len(places):
        step = 1
        for words, kind in sought.get(places[at][0], ()):
            taken = places[at : at + len(words)]
            if tuple(word for word, _, _ in taken) == words:
                yield Hit(taken[0][1], taken[-1][2], kind)
                step = len(words)
                break
        at += step
