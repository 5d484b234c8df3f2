"""Whether two questions ask the same, by their words: the gate beside the cosine.

Embeddings hardly see a year, a name, a `not`, or who reports to whom: such questions have cosines
above .98. So everything that carries meaning must agree word for word and in its order, after what
is known to mean the same was written in one way. What is not known to be the same is not the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rag.gateway.answer_cache.questions import normalised
from rag.gateway.answer_cache.wording import (
    ASKING,
    DROPPED,
    DROPPED_GERMAN,
    FRAMES,
    KEPT_SMALL,
    NO_PLURALS,
    PAST,
    POLITE,
    SAME,
)
from rag.terms import Date, codes_of, dates_of, is_german, negations_of, numbers_of

_TOKEN = re.compile(r"(?<!\S)[-+−](?=\d)|[^\W_]+(?:[-/.:'’&,][^\W_]+)*[+#]*|[%€$£°§<>≤≥=±]")
_FRONTED = re.compile(
    r"^((?:for|in|on|at|during|under|within|before|after|bei|für|im|nach|vor|während)\b[^,?]{2,80}), (.+)$"
)
_POLITE = tuple(re.compile(pattern) for pattern in POLITE)
_FRAMES = tuple((re.compile(pattern), one) for pattern, one in FRAMES)
_ASKING = tuple((name, re.compile(pattern)) for name, pattern in ASKING)
_ONE_OF = {word: min(words) for words in SAME for word in words}
_TOWARDS = re.compile(
    r"\bto (?=(?:the|a|an|our|all|another|which|what|where|whom)\b|\d|[A-Z])|\bto$"
)
_MODALS = {
    "could": "can", "may": "can", "has": "have",
    "kann": "können", "darf": "können", "dürfen": "können", "muss": "müssen", "soll": "sollen",
    "hat": "haben", "viel": "viele", "vielen": "viele",
}  # fmt: skip
_DOES = frozenset({"do", "does", "did"})
_ONE = frozenset({"is", "was", "does", "has"})
_MANY = frozenset({"are", "were", "do", "have"})
_NO_MATTER = frozenset({"can", "können"})
_WAYS = frozenset({"how", "where"})
"""Beside these they ask for nothing: how one can do it is how one does it."""


@dataclass(frozen=True, slots=True)
class Slots:
    """What a question says, taken apart. Two questions ask the same when all of it is equal."""

    asking: str
    """What is asked for: who, when, how many, …; `whether` for a yes or a no."""
    words: tuple[str, ...]
    """What carries meaning, in its order; small words that bound or turn a question stand in it."""
    numbers: frozenset[frozenset[str]]
    dates: frozenset[Date]
    codes: frozenset[str]
    names: frozenset[str]
    """What small letters would make other words: `IT`, `US`, `Polish`, `MB`."""
    negations: int
    is_past: bool
    does: bool
    """Whether it asks what somebody does: `who does cook` is not `who is the cook`."""
    are_many: bool
    """Of what is definite, `the keys` are not `the key`; else one stands for all."""
    is_german: bool


@lru_cache(maxsize=16_384)
def slots_of(question: str) -> Slots:
    plain = _framed(question)
    dropped = DROPPED_GERMAN if is_german(plain) else DROPPED
    tokens = _with_joined_last(_TOKEN.findall(plain), dropped)
    asking = _asking(plain)
    return Slots(
        asking=asking,
        words=tuple(_words(tokens, asking, dropped)),
        numbers=numbers_of(plain),
        dates=dates_of(plain),
        codes=codes_of(plain),
        names=frozenset(token for token in tokens if token != token.casefold()),
        negations=negations_of(plain),
        is_past=not PAST.isdisjoint(tokens),
        # Beside `how` and `where` it asks for nothing more: `how do they` is how they can.
        does=asking not in _WAYS and not _DOES.isdisjoint(tokens),
        are_many="the" in tokens and _first_of(_ONE | _MANY, tokens) in _MANY,
        is_german=dropped is DROPPED_GERMAN,
    )


def ask_the_same(one: str, other: str) -> bool:
    """Whether the words of both questions say the same. Unsure is no."""
    return slots_of(one) == slots_of(other)


def _framed(question: str) -> str:
    """`question` in small letters, without what is said around it, in one of the ways to ask it."""
    plain = normalised(question)
    for polite in _POLITE:
        plain = polite.sub("", plain)
    if fronted := _FRONTED.match(plain):
        plain = f"{fronted[2]} {fronted[1]}"
    for frame, one in _FRAMES:
        # A group that is not there leaves a space.
        plain = " ".join(frame.sub(one, plain).split())
    return plain


def _first_of(words: frozenset[str], tokens: Sequence[str]) -> str:
    return next((token for token in tokens if token in words), "")


def _asking(plain: str) -> str:
    return next((name for name, pattern in _ASKING if pattern.search(plain)), "whether")


def _with_joined_last(tokens: Sequence[str], dropped: frozenset[str]) -> list[str]:
    """`the manager of the sales team` as `the sales team manager`: the last `of` only."""
    if "of" not in tokens:
        return list(tokens)
    at = len(tokens) - 1 - tokens[::-1].index("of")
    after = at + 1
    while after < len(tokens) and tokens[after] in dropped:
        after += 1
    tail, small = tokens[after:], dropped | KEPT_SMALL
    start = at
    while start and tokens[start - 1] not in small:
        start -= 1
    if start == at or not tail or not small.isdisjoint(tail):
        return list(tokens)
    return [*tokens[:start], *tail, *tokens[start:at]]


def _words(tokens: Sequence[str], asking: str, dropped: frozenset[str]) -> list[str]:
    words: list[str] = []
    for token in tokens:
        word = _MODALS.get(token, token)
        if token in dropped or (word in _NO_MATTER and asking in _WAYS):
            continue
        words.append(word if token in KEPT_SMALL else _one_form(token))
    return words


def _one_form(token: str) -> str:
    """The word that stands for `token`: its singular, and the one of those that mean the same."""
    word = re.sub(r"['’]s?$", "", token)
    known = _ONE_OF.get(word)
    if known is not None:
        return known
    if any(each.isdigit() for each in word):
        return word  # 1.10 is a section where 1.1 is a number
    for readings in numbers_of(word):
        return "#".join(sorted(readings))
    single = _singular(word)
    return _ONE_OF.get(single, single)


def _singular(word: str) -> str:
    if len(word) < 4 or word in NO_PLURALS or not word.endswith("s") or not word.isalpha():
        return word
    if word.endswith(("ss", "us", "is", "as", "os")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    return word[:-1]
