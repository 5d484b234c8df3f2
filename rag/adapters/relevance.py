"""Whether the evidence answers a question, and which of its statements does so best.

Each statement gets the probability that it answers, from a logistic function of the features
below. Its weights were fitted by tests/benchmarks/fit_abstention.py; the figures stand there.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

from rank_bm25 import BM25Plus

from rag.adapters.glossary import ENGLISH_GERMAN, Glossary
from rag.adapters.question import Asked, asked_of, gives_what_is_wanted
from rag.protocols import Embedder
from rag.statements import Statement, statements_of
from rag.terms import codes_of, content_words, dates_of, is_german, numbers_of, stem, words_of
from rag.types import ChunkId, Embedding, Evidence

Features = Mapping[str, float]

BIAS = -6.88
WEIGHTS: Features = MappingProxyType(
    {
        "coverage": 4.35,
        "coverage_around": 1.2,
        "cosine": 3.57,
        "wanted_missing": -2.66,
        "names_missing": -0.06,
        "numbers_missing": -1.12,
        "codes_missing": -1.95,
        "first": 1.54,
        "foreign": 1.43,
        "bm25": 0.82,
    }
)
_BM25_SCALE, _BM25_MOST = 20.0, 2.0
_SHORTLIST = 24
_COMPOUND = 5
"""A stem this long counts as said where it stands inside a longer word (`Nachtzuschlag`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A statement and the probability, 0 to 1, that it answers the question."""

    statement: Statement
    probability: float
    features: Features
    covers: frozenset[str]
    """The question's terms that the statement, or what it stands under, says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRanker:
    """Ranks what the evidence says by how likely it answers. Also a `RelevanceGate`."""

    embedder: Embedder
    glossary: Glossary = field(default_factory=lambda: ENGLISH_GERMAN)
    weights: Features = field(default_factory=lambda: WEIGHTS)
    bias: float = BIAS
    gate: float = 0.1
    """Below this probability of the best statement, no language model is asked."""

    async def may_answer(self, question: str, evidence: Sequence[Evidence]) -> bool:
        ranked = await self.rank(question, evidence)
        return bool(ranked) and ranked[0].probability >= self.gate

    async def rank(self, question: str, evidence: Sequence[Evidence]) -> tuple[Judged, ...]:
        """The most promising statements of `evidence`, likeliest first."""
        statements = [each for each in statements_of(evidence) if not _leads_on(each)]
        if not statements:
            return ()
        asked = asked_of(question)
        pool = _Pool.of(asked, statements, self.glossary)
        shortlist = _shortlist(asked, statements, pool)
        found = _found_by_words(evidence)
        query = await self.embedder.embed_query(question)
        vectors = await self.embedder.embed_documents([each.text for each in shortlist])
        judged = [
            self._judged(
                each, _features(asked, each, pool, query, vector) | found[each.chunk.id], pool
            )
            for each, vector in zip(shortlist, vectors, strict=True)
        ]
        return tuple(sorted(judged, key=lambda each: -each.probability))

    def _judged(self, statement: Statement, features: Features, pool: "_Pool") -> Judged:
        logit = self.bias + sum(self.weights[name] * value for name, value in features.items())
        return Judged(
            statement=statement,
            probability=1 / (1 + math.exp(-logit)),
            features=features,
            covers=pool.around[statement],
        )


@dataclass(frozen=True, slots=True)
class _Pool:
    """Which of the question's terms each statement says, and how rare each term is among them."""

    idf: Mapping[str, float]
    own: Mapping[Statement, frozenset[str]]
    """Terms in the statement itself."""
    around: Mapping[Statement, frozenset[str]]
    """... and in its headings, its table's columns or the line that leads to it."""
    passage: Mapping[int, frozenset[str]]
    """... and anywhere in the evidence of a number."""

    @staticmethod
    def of(asked: Asked, statements: Sequence[Statement], glossary: Glossary) -> "_Pool":
        says = _matcher(asked, glossary)
        own = {each: says(each.text) for each in statements}
        around = {each: own[each] | says(each.context) for each in statements}
        passage: defaultdict[int, frozenset[str]] = defaultdict(frozenset)
        for each in statements:
            passage[each.number] |= around[each]
        counts = Counter(term for found in around.values() for term in found)
        total = len(statements)
        idf = {
            term: math.log(1 + (total - counts[term] + 0.5) / (counts[term] + 0.5))
            for term in asked.terms
        }
        return _Pool(idf, own, around, passage)

    def share(self, terms: frozenset[str]) -> float:
        """The part of the question, by the rarity of its terms, that `terms` make up."""
        whole = sum(self.idf.values())
        return sum(self.idf[term] for term in terms) / whole if whole else 0.0


def _matcher(asked: Asked, glossary: Glossary) -> Callable[[str], frozenset[str]]:
    """A function from a text to the question's terms that it says, in either language."""
    written: dict[str, frozenset[str]] = {
        term: glossary.get(term, frozenset[str]()) | {term} for term in asked.terms
    }

    def says(text: str) -> frozenset[str]:
        words = frozenset(content_words(text)) | {stem(word) for word in words_of(text)}
        compounds = " ".join(word for word in words if len(word) > _COMPOUND)
        return frozenset(
            term
            for term, forms in written.items()
            if not forms.isdisjoint(words)
            or any(len(form) >= _COMPOUND and form in compounds for form in forms)
        )

    return says


def _leads_on(statement: Statement) -> bool:
    """Whether it says nothing by itself: `Opening hours:`, a bare heading's few words."""
    return statement.row is None and (
        statement.text.endswith(":") or len(content_words(statement.text)) < 2
    )


def _shortlist(asked: Asked, statements: Sequence[Statement], pool: _Pool) -> list[Statement]:
    """The statements worth embedding: the best by BM25 over the evidence, and each passage's own."""
    if len(statements) <= _SHORTLIST:
        return list(statements)
    documents = [content_words(f"{each.text}\n{each.context}") or ["-"] for each in statements]
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
        "names_missing": len(asked.names - said) / max(1, len(asked.names)),
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
