"""Whether what was said is supported by what was shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rag.protocols import Embedder
from rag.statements import Statement
from rag.terms import (
    Date,
    codes_of,
    content_words,
    dates_of,
    fold,
    names_of,
    negations_of,
    numbers_of,
    stem,
    words_of,
)

Disagreement = Literal["words", "numbers", "names", "negation"]

_COVERAGE, _SIMILARITY, _BIAS = 8.0, 4.0, -6.5
_SHORTLIST = 6


@dataclass(frozen=True, slots=True)
class Support:
    """How far the evidence carries a sentence, and the statement that carries it best."""

    score: float
    """0 to 1. A sentence is supported from `SUPPORTED`; a disagreement puts it at 0."""
    basis: Statement
    disagreement: Disagreement | None = None


SUPPORTED = 0.6


@dataclass(frozen=True, slots=True)
class _Said:
    """A text as the check compares it."""

    words: frozenset[str]
    all_words: frozenset[str]
    numbers: frozenset[frozenset[str]]
    dates: frozenset[Date]
    codes: frozenset[str]
    names: frozenset[str]
    negated: bool


def _said(text: str) -> _Said:
    return _Said(
        words=frozenset(content_words(text)),
        all_words=frozenset(map(stem, words_of(text))),
        numbers=numbers_of(text),
        dates=dates_of(text),
        codes=codes_of(text),
        names=names_of(text),
        negated=negations_of(text) % 2 == 1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingCheck:
    embedder: Embedder

    async def support(self, sentence: str, statements: Sequence[Statement]) -> Support | None:
        """What `statements` do for `sentence`; None where there is no statement at all."""
        if not statements:
            return None
        if (verbatim := _verbatim(sentence, statements)) is not None:
            return Support(1.0, verbatim)
        said = _said(sentence)
        covered = sorted(
            ((_coverage(said, _said(_shown(each))), each) for each in statements),
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
        shown = _said(_shown(basis))
        disagreement = _disagreement(said, shown, _said(_spoken_of(basis, said)))
        if disagreement is not None:
            return Support(0.0, basis, disagreement)
        score = 1 / (1 + math.exp(-(_COVERAGE * coverage + _SIMILARITY * closest + _BIAS)))
        return Support(score, basis, None if score >= SUPPORTED else "words")


def _shown(statement: Statement) -> str:
    return f"{statement.text}\n{statement.context}"


def _spoken_of(basis: Statement, said: _Said) -> str:
    """What of `basis` the sentence is about: a row's `no` negates its own column, and no other."""
    if basis.row is None:
        return basis.text
    return " | ".join(
        cell
        for column, cell in zip(basis.row.columns, basis.row.cells, strict=True)
        if not said.words.isdisjoint(content_words(column))
        or (len(words_of(cell)) > 1 and not said.words.isdisjoint(content_words(cell)))
    )


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


def _coverage(said: _Said, shown: _Said) -> float:
    """The share of the sentence's content words that the evidence uses too."""
    if not said.words:
        return 0.0
    return len(said.words & (shown.words | shown.all_words)) / len(said.words)


def _disagreement(said: _Said, shown: _Said, basis: _Said) -> Disagreement | None:
    if not all(any(one & other for other in shown.numbers) for one in said.numbers):
        return "numbers"
    if not all(any(one.agrees_with(other) for other in shown.dates) for one in said.dates):
        return "numbers"
    if not said.codes <= shown.codes:
        return "names"
    if not said.names <= shown.all_words:
        return "names"
    if said.negated != basis.negated:
        return "negation"
    return None
