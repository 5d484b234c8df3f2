"""Whether what was said is supported by what was shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rag.claims import Claim, Disagreement, claim_of, disagreement_of, shown_by
from rag.protocols import Embedder
from rag.statements import Statement
from rag.terms import fold

_COVERAGE, _SIMILARITY, _BIAS = 8.0, 4.0, -6.5
_SHORTLIST = 6
_LEAST_BEYOND = 0.4
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
        covered = sorted(
            ((_coverage(said, claim_of(_whole(each))), each) for each in statements),
            key=lambda pair: -pair[0],
        )[:_SHORTLIST]
        shortlist = [each for _, each in covered]
        query, *vectors = await self.embedder.embed_documents(
            [sentence, *(each.text for each in shortlist)]
        )
        similarity = [float(query.vector @ vector.vector) for vector in vectors]
        ranked = sorted(
            zip(covered, similarity, strict=True), key=lambda pair: -(pair[0][0] + pair[1])
        )
        # One statement must carry the whole sentence: of two, nothing here could tell who does what.
        (coverage, basis), closest = ranked[0]
        beside = [
            claim_of(each.text)
            for each in statements
            if each.chunk.id == basis.chunk.id and each is not basis and each.row is None
        ]
        disagreement = disagreement_of(said, shown_by(basis, said), beside)
        if disagreement is not None:
            return Support(0.0, basis, disagreement)
        score = 1 / (1 + math.exp(-(_COVERAGE * coverage + _SIMILARITY * closest + _BIAS)))
        if _beyond_the_heading(said, basis, beside) < _LEAST_BEYOND:
            score = min(score, _ON_TOPIC)
        return Support(score, basis, None if score >= SUPPORTED else "words")


def _whole(statement: Statement) -> str:
    return f"{statement.text}\n{statement.context}"


def _verbatim(sentence: str, statements: Sequence[Statement]) -> Statement | None:
    wanted = _flat(sentence)
    if not wanted:
        return None
    for each in statements:
        if wanted == _flat(each.text):
            return each
    return None


def _flat(text: str) -> str:
    return " ".join(fold(text).split()).strip(" .")


def _coverage(said: Claim, shown: Claim) -> float:
    """The share of the sentence's content words that the evidence uses too."""
    if not said.words:
        return 0.0
    return len(said.words & (shown.words | shown.stems)) / len(said.words)


def _beyond_the_heading(said: Claim, basis: Statement, beside: Sequence[Claim]) -> float:
    """The share of the sentence's words that are not the heading's which the passage uses.

    A sentence that names its topic at length and invents the rest would pass for supported else.
    """
    heading = claim_of(basis.chunk.header)
    told = said.words - heading.words - heading.stems
    if not told:
        return 1.0
    shown = claim_of(_whole(basis))
    known = frozenset[str]().union(
        shown.words, shown.stems, *(each.words | each.stems for each in beside)
    )
    return len(told & known) / len(told)
