"""Whether what was said is supported by what was shown."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rag.claims import Claim, claim_of
from rag.clauses import parts_of
from rag.disagreement import Disagreement, Shown, lacking, shown_by, turned
from rag.protocols import Embedder
from rag.statements import Statement
from rag.terms import content_words, fold
from rag.types import Embedding

_COVERAGE, _SIMILARITY, _BIAS = 8.0, 4.0, -6.5
_SHORTLIST, _BEHIND = 6, 0.35
"""How many statements are embedded at most, and how far behind the first one they may be."""
_LEAST_BEYOND = 0.4
_CLAUSE = 3
_CARRIES, _CLEARLY = 0.6, 0.3
_ON_TOPIC = 0.5
"""The most that a sentence scores which is on the topic, and says nothing that was shown of it."""


@dataclass(frozen=True, slots=True)
class Support:
    """How far the evidence carries a sentence, and the statement that carries it best."""

    score: float
    """0 to 1. A sentence is supported from `SUPPORTED`; a disagreement puts it at 0."""
    basis: Statement
    disagreement: Disagreement | None = None


SUPPORTED = 0.6
"""Score from which a sentence is supported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingCheck:
    embedder: Embedder

    async def support(self, sentence: str, statements: Sequence[Statement]) -> Support | None:
        """What `statements` do for `sentence`; None where there is no statement at all."""
        if not statements:
            return None
        if (verbatim := _verbatim(sentence, statements)) is not None:
            return Support(1.0, verbatim)
        said = claim_of(sentence)
        covered = _shortlist(said, statements)
        query, *vectors = await self.embedder.embed_documents(
            [sentence, *(each.text for _, each in covered)]
        )
        similarity = [float(query.vector @ vector.vector) for vector in vectors]
        ranked = sorted(
            zip(covered, similarity, strict=True), key=lambda pair: -(pair[0][0] + pair[1])
        )
        (coverage, basis), closest = ranked[0]
        mates = [
            each
            for each in statements
            if each.chunk.id == basis.chunk.id and each is not basis and each.row is None
        ]
        beside = [claim_of(each.text) for each in mates]
        parts = _carried(said, basis, mates)
        disagreement = _disagreement(said, shown_by(basis, said), parts, beside)
        if disagreement is not None:
            return Support(0.0, basis, disagreement)
        coverage = max(coverage, _together(parts))
        score = 1 / (1 + math.exp(-(_COVERAGE * coverage + _SIMILARITY * closest + _BIAS)))
        if _beyond_the_heading(said, basis, beside) < _LEAST_BEYOND:
            score = min(score, _ON_TOPIC)
        return Support(score, basis, None if score >= SUPPORTED else "words")

    def for_one_answer(self) -> "GroundingCheck":
        """The same, for as long as one answer is checked: it embeds no statement twice."""
        return GroundingCheck(embedder=_Remembering(self.embedder))


def _shortlist(said: Claim, statements: Sequence[Statement]) -> list[tuple[float, Statement]]:
    """What may carry the sentence, by the share of its words, the largest first."""
    covered = sorted(
        ((_coverage(said, each), each) for each in statements), key=lambda pair: -pair[0]
    )[:_SHORTLIST]
    least = covered[0][0] - _BEHIND
    return [pair for pair in covered if pair[0] >= least]


@dataclass(frozen=True, slots=True)
class Carried:
    """A part of a sentence, and the one statement that carries it.

    Of a part that two carry, nothing here could tell who does what.
    """

    said: Claim
    shown: Shown


def _carried(said: Claim, basis: Statement, mates: Sequence[Statement]) -> list[Carried]:
    """The sentence in the parts that come from one statement each; mostly, that is all of it.

    A clause that another statement of the same passage carries clearly better is that one's; what
    is too short to tell goes with the clause beside it that has more of its words.
    """
    parts = parts_of(said.text) if basis.row is None and mates else []
    words = [frozenset(content_words(part)) for part in parts]
    long = [_carrier(each, basis, mates) if len(each) >= _CLAUSE else None for each in words]
    if all(each is None or each is basis for each in long):
        return [Carried(said, shown_by(basis, said))]
    found: list[tuple[str, Statement]] = []
    for at, part in enumerate(parts):
        carrier = long[at]
        if carrier is None:
            after = next((each for each in long[at:] if each is not None), basis)
            before = found[-1][1] if found else after
            carrier = max((before, after), key=lambda each: _share_of(words[at], each))
        if found and found[-1][1] is carrier:
            found[-1] = (found[-1][0] + part, carrier)
        else:
            found.append((part, carrier))
    return [
        Carried(part, shown_by(carrier, part))
        for part, carrier in ((claim_of(text), carrier) for text, carrier in found)
    ]


def _carrier(words: frozenset[str], basis: Statement, mates: Sequence[Statement]) -> Statement:
    share, best = max(((_share_of(words, each), each) for each in mates), key=lambda pair: pair[0])
    clearly = share >= _CARRIES and share >= _CLEARLY + _share_of(words, basis)
    return best if clearly else basis


def _share_of(words: frozenset[str], statement: Statement) -> float:
    return _share(words, claim_of(statement.text).known)


def _disagreement(
    said: Claim, shown: Shown, parts: Sequence[Carried], beside: Sequence[Claim]
) -> Disagreement | None:
    """The first thing that the sentence says otherwise, as a whole and in each of its parts."""
    lacks = lacking(said, shown, beside)
    if lacks is not None and len(parts) > 1:
        around = [*beside, shown.alone]
        lacks = _first(lacking(each.said, each.shown, around) for each in parts)
    return lacks or _first(turned(each.said, each.shown, beside) for each in parts)


def _first(found: Iterable[Disagreement | None]) -> Disagreement | None:
    return next((each for each in found if each is not None), None)


def _together(parts: Sequence[Carried]) -> float:
    """The share of the parts' content words that their statements use too."""
    words = sum(len(each.said.words) for each in parts)
    carried = sum(
        _coverage(each.said, each.shown.statement) * len(each.said.words) for each in parts
    )
    return carried / max(words, 1)


def _verbatim(sentence: str, statements: Sequence[Statement]) -> Statement | None:
    wanted = _flat(sentence)
    if not wanted:
        return None
    for each in statements:
        if wanted == _flat(each.text):
            return each
    return None


@lru_cache(maxsize=2_048)
def _flat(text: str) -> str:
    return " ".join(fold(text).split()).strip(" .")


def _coverage(said: Claim, statement: Statement) -> float:
    """The share of the sentence's content words that the evidence uses too."""
    return _share(said.words, claim_of(statement.text).known, claim_of(statement.context).known)


def _share(words: frozenset[str], *known: frozenset[str]) -> float:
    return len(words.intersection(frozenset[str]().union(*known))) / len(words) if words else 0.0


def _beyond_the_heading(said: Claim, basis: Statement, beside: Sequence[Claim]) -> float:
    """The share of the sentence's words that are not the heading's which the passage uses.

    A sentence that names its topic at length and invents the rest would pass for supported else.
    """
    told = said.words - claim_of(basis.chunk.header).known
    if not told:
        return 1.0
    shown = (claim_of(basis.text).known, claim_of(basis.context).known)
    return _share(told, *shown, *(each.known for each in beside))


class _Remembering:
    """An embedder for one answer, whose sentences are compared with the same statements."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[str, Embedding] = {}

    @property
    def name(self) -> str:
        return self._embedder.name

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)

    async def embed_query(self, text: str) -> Embedding:
        return await self._embedder.embed_query(text)

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, await self._embedder.embed_documents(new), strict=True))
        return [self._known[text] for text in texts]
