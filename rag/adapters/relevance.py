"""Which statements of the evidence answer a question best.

Each statement gets the probability that it answers, from a logistic function of the features
below. Its weights were fitted by tests/benchmarks/fit_abstention.py; the figures stand there.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

from rank_bm25 import BM25Plus

from rag.adapters.question import Asked, asked_of, gives_what_is_wanted
from rag.adapters.wording import Said, Wording, strongest
from rag.protocols import Embedder, Lexicon
from rag.statements import Statement, statements_of
from rag.terms import codes_of, content_words, dates_of, is_german, numbers_of
from rag.types import ChunkId, Embedding, Evidence

Features = Mapping[str, float]

BIAS = -8.59
WEIGHTS: Features = MappingProxyType(
    {
        "coverage": 2.64,
        "coverage_around": 4.415,
        "cosine": 3.744,
        "wanted_missing": -2.873,
        "names_missing": -1.676,
        "numbers_missing": -1.108,
        "codes_missing": -0.714,
        "first": 2.056,
        "foreign": 1.765,
        "bm25": 0.364,
    }
)
NEVER = -9.0
_BM25_SCALE, _BM25_MOST = 20.0, 2.0
_SHORTLIST = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A statement and the probability, 0 to 1, that it answers the question."""

    statement: Statement
    probability: float
    features: Features
    logit: float
    """Of the probability. What is about another code than the question's stands at `NEVER`."""
    covers: frozenset[str]
    """The question's terms that the statement, or what it stands under, says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What the evidence says to a question."""

    wording: Wording
    """Of the question: what was asked, and what its terms may be called."""
    judged: tuple[Judged, ...]
    """The most promising statements, likeliest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRanker:
    """Ranks what the evidence says by how likely it answers."""

    embedder: Embedder
    lexicon: Lexicon | None = None
    """None knows no word of another language and no synonym."""
    weights: Features = field(default_factory=lambda: WEIGHTS)
    bias: float = BIAS

    def wording_of(self, question: str) -> Wording:
        return Wording(asked_of(question), self.lexicon)

    async def rank(self, question: str, evidence: Sequence[Evidence]) -> Ranking:
        wording, pool, shortlist = await asyncio.to_thread(self._shortlisted, question, evidence)
        if not shortlist:
            return Ranking(wording=wording, judged=())
        query = await self.embedder.embed_query(question)
        vectors = await self.embedder.embed_documents([each.text for each in shortlist])

        def judged() -> list[Judged]:
            found = _found_by_words(evidence)
            return [
                self._judged(
                    each,
                    _features(wording.asked, each, pool, query, vector) | found[each.chunk.id],
                    pool,
                )
                for each, vector in zip(shortlist, vectors, strict=True)
            ]

        best_first = sorted(await asyncio.to_thread(judged), key=lambda each: -each.probability)
        return Ranking(wording=wording, judged=tuple(best_first))

    def _shortlisted(
        self, question: str, evidence: Sequence[Evidence]
    ) -> tuple[Wording, "_Pool", list[Statement]]:
        statements = [each for each in statements_of(evidence) if not _leads_on(each)]
        wording = self.wording_of(question)
        pool = _Pool.of(wording, statements)
        return wording, pool, _shortlist(wording.asked, statements, pool)

    def _judged(self, statement: Statement, features: Features, pool: "_Pool") -> Judged:
        logit = NEVER
        if statement.number in pool.about:
            logit = self.bias + sum(self.weights[name] * value for name, value in features.items())
        return Judged(
            statement=statement,
            probability=1 / (1 + math.exp(-logit)),
            logit=logit,
            features=features,
            covers=frozenset(pool.around[statement]),
        )


@dataclass(frozen=True, slots=True)
class _Pool:
    """Which of the question's terms each statement says, and how rare each term is among them."""

    idf: Mapping[str, float]
    own: Mapping[Statement, Said]
    """Terms in the statement itself."""
    around: Mapping[Statement, Said]
    """... and in its headings, its table's columns or the line that leads to it."""
    passage: Mapping[int, Said]
    """... and anywhere in the evidence of a number."""
    about: frozenset[int]
    """The numbers of the evidence that names a code of the question; all, where it has none.
    What does not name `SEAL-4471-B` answers no question about it, however alike it reads."""

    @staticmethod
    def of(wording: Wording, statements: Sequence[Statement]) -> "_Pool":
        asked = wording.asked
        own = {each: wording.said_by(each.text) for each in statements}
        around = {
            each: strongest((own[each], wording.said_by(each.context))) for each in statements
        }
        passage: dict[int, Said] = {}
        for each in statements:
            passage[each.number] = strongest((passage.get(each.number, {}), around[each]))
        about = frozenset(
            each.number
            for each in statements
            if not asked.codes or asked.codes & codes_of(f"{each.text}\n{each.context}")
        )
        counts = Counter(term for said in around.values() for term in said)
        total = len(statements)
        idf = {
            term: math.log(1 + (total - counts[term] + 0.5) / (counts[term] + 0.5))
            for term in asked.terms
        }
        return _Pool(idf, own, around, passage, about)

    def share(self, said: Said) -> float:
        """The part of the question, by the rarity of its terms, that is said."""
        whole = sum(self.idf.values())
        return sum(self.idf[term] * how for term, how in said.items()) / whole if whole else 0.0


def _leads_on(statement: Statement) -> bool:
    """Whether it says nothing by itself: `Opening hours:`, a bare heading's few words."""
    return statement.row is None and (
        statement.text.endswith(":") or len(content_words(statement.text)) < 2
    )


def _shortlist(asked: Asked, statements: Sequence[Statement], pool: _Pool) -> list[Statement]:
    """The statements worth embedding: the best by BM25 over the evidence, and each passage's own."""
    if len(statements) <= _SHORTLIST:
        return list(statements)
    # What is said in another word counts as if the question's own stood there.
    documents = [
        [*content_words(f"{each.text}\n{each.context}"), *pool.around[each]] or ["-"]
        for each in statements
    ]
    bm25 = cast("Any", BM25Plus(documents))
    scores: list[float] = bm25.get_scores(list(asked.terms)).tolist()
    bonus = [pool.share(pool.around[each]) for each in statements]
    order = sorted(
        range(len(statements)),
        key=lambda at: (-(scores[at] * (1 + bonus[at])), statements[at].number, at),
    )
    return [statements[at] for at in order[:_SHORTLIST]]


def _features(
    asked: Asked, statement: Statement, pool: _Pool, query: Embedding, vector: Embedding
) -> dict[str, float]:
    text = statement.text
    whole = f"{text}\n{statement.context}"
    numbers, dates = numbers_of(whole), dates_of(whole)
    missing_numbers = sum(not any(one & other for other in numbers) for one in asked.numbers)
    missing_dates = sum(not any(one.agrees_with(other) for other in dates) for one in asked.dates)
    said = pool.passage[statement.number]
    return {
        "coverage": pool.share(pool.own[statement]),
        "coverage_around": pool.share(pool.around[statement]),
        "cosine": float(query.vector @ vector.vector),
        "wanted_missing": float(not gives_what_is_wanted(asked, text)),
        "names_missing": len(asked.names - said.keys()) / max(1, len(asked.names)),
        "numbers_missing": (missing_numbers + missing_dates)
        / max(1, len(asked.numbers) + len(asked.dates)),
        "codes_missing": float(not asked.codes <= codes_of(whole)),
        "first": 1 / statement.number,
        "foreign": float(asked.german != is_german(text)),
    }


def _found_by_words(evidence: Sequence[Evidence]) -> dict[ChunkId, dict[str, float]]:
    """How well each chunk matched the question's words in the whole corpus, where their rarity is
    known; 0 for a chunk that the BM25 search did not bring."""
    return {
        part.chunk.id: {"bm25": min(part.stage_scores.get("sparse", 0.0) / _BM25_SCALE, _BM25_MOST)}
        for passage in evidence
        for part in passage.parts
    }
