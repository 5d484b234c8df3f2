"""Stand-ins that behave, for our tests and for anyone who embeds the platform.

They need no model, no network and no disk, and pass the conformance suites of what they stand for.
"""

import re
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from math import log
from types import MappingProxyType

import numpy as np

from rag.access import AccessList, AccessScope, TenantId
from rag.protocols import (
    Completion,
    EmbeddedQuery,
    IndexPoint,
    ModelPrompt,
    Reranked,
)
from rag.types import (
    AnyOf,
    Between,
    Chunk,
    ChunkId,
    DocumentId,
    Embedding,
    Filters,
    IndexHit,
    Metadata,
    MetadataValue,
    Query,
    Retrieved,
    RetrievedChunk,
    TokenVectors,
    Usage,
    Vector,
)

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class HashEmbedder:
    """Words hashed into buckets: texts that share words come out close."""

    dimensions: int = 64
    max_tokens: int = 256

    @property
    def name(self) -> str:
        return f"hash-{self.dimensions}"

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(_words(text)) for text in texts]

    async def embed_query(self, text: str) -> Embedding:
        words = _words(text)[: self.max_tokens]
        if not words:
            return Embedding(self._unit([""]), np.zeros((0, self.dimensions), dtype=np.int8))
        rows = np.stack([self._unit([word]) for word in words])
        return Embedding(self._unit(words), np.rint(rows * 127).astype(np.int8))

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        return [await self.embed_query(text) for text in texts]

    def _unit(self, words: Sequence[str]) -> Vector:
        vector = np.zeros(self.dimensions, dtype=np.float32)
        for word in words:
            digest = blake2b(word.encode(), digest_size=4).digest()
            vector[int.from_bytes(digest, "big") % self.dimensions] += 1.0
        return vector / np.float32(np.linalg.norm(vector))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


@dataclass(frozen=True, slots=True)
class KeepOrder:
    """The reranker that trusts the ranking it is given."""

    async def rerank(
        self, query: EmbeddedQuery, candidates: Sequence[RetrievedChunk], *, budget_s: float
    ) -> Reranked:
        del query, budget_s
        ranked = (
            replace(hit, ranks=replace(hit.ranks, rerank=rank))
            for rank, hit in enumerate(candidates, start=1)
        )
        return Reranked(tuple(ranked), complete=True)


@dataclass(slots=True)
class ScriptedLanguageModel:
    """Says what it was told to say, a word at a time, and keeps the prompts it was given."""

    reply: str
    prompts: list[ModelPrompt] = field(default_factory=list[ModelPrompt])
    pieces_sent: int = 0
    finish_reason: str = "stop"
    error: Exception | None = None
    """Raised after the reply, where a stream should break off."""

    @property
    def name(self) -> str:
        return "scripted"

    async def stream(self, prompt: ModelPrompt) -> AsyncGenerator[str | Completion]:
        self.prompts.append(prompt)
        pieces = re.findall(r"\s*\S+|\s+$", self.reply)
        for piece in pieces:
            self.pieces_sent += 1
            yield piece
        if self.error is not None:
            raise self.error
        asked = sum(len(_words(message.content)) for message in prompt.messages)
        yield Completion(
            model=self.name, usage=Usage(asked, len(pieces)), finish_reason=self.finish_reason
        )

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class FixedRetriever:
    """Finds the same chunks whatever is asked, up to the query's limit."""

    hits: tuple[RetrievedChunk, ...]

    async def retrieve(self, query: Query) -> Retrieved:
        return Retrieved(hits=self.hits[: query.limit], timings_ms=MappingProxyType({}))


@dataclass(slots=True)
class MemoryPassages:
    """The ledger of a few passages: a `PassageStore` and a `TokenVectorStore`."""

    entries: dict[ChunkId, tuple[RetrievedChunk, AccessList]] = field(
        default_factory=dict[ChunkId, tuple[RetrievedChunk, AccessList]]
    )
    tokens: dict[ChunkId, TokenVectors] = field(default_factory=dict[ChunkId, TokenVectors])

    async def readable(
        self, chunks: Collection[ChunkId], *, scope: AccessScope
    ) -> Mapping[ChunkId, RetrievedChunk]:
        found = {chunk: self.entries[chunk] for chunk in chunks if chunk in self.entries}
        return {
            chunk: hit
            for chunk, (hit, access) in found.items()
            if scope.admits(hit.chunk.document.tenant, access, at=datetime.now(UTC))
        }

    async def token_vectors(
        self, tenant: TenantId, chunks: Collection[ChunkId]
    ) -> Mapping[ChunkId, TokenVectors]:
        return {
            chunk: self.tokens[chunk]
            for chunk in chunks
            if chunk in self.tokens and self.entries[chunk][0].chunk.document.tenant == tenant
        }


@dataclass(slots=True)
class MemoryIndex:
    """An exact index in this process's memory."""

    _points: dict[tuple[TenantId, ChunkId], IndexPoint] = field(
        default_factory=dict[tuple[TenantId, ChunkId], IndexPoint]
    )

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        for point in points:
            self._points[point.chunk.document.tenant, point.chunk.id] = point

    async def describe(
        self, tenant: TenantId, document: DocumentId, *, access: AccessList, metadata: Metadata
    ) -> None:
        for key, point in self._points.items():
            if key[0] == tenant and point.chunk.document.id == document:
                self._points[key] = replace(point, access=access, metadata=metadata)

    async def delete(self, tenant: TenantId, chunks: Collection[ChunkId]) -> None:
        for chunk in chunks:
            self._points.pop((tenant, chunk), None)

    async def delete_document(self, tenant: TenantId, document: DocumentId) -> None:
        await self.delete(tenant, await self.chunk_ids(tenant, document))

    async def chunk_ids(self, tenant: TenantId, document: DocumentId) -> set[ChunkId]:
        return {
            chunk
            for (of, chunk), point in self._points.items()
            if of == tenant and point.chunk.document.id == document
        }

    async def search_dense(
        self, vector: Vector, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        found = self._matching(scope, filters)
        return _best([IndexHit(p.chunk.id, float(vector @ p.vector)) for p in found], limit)

    async def search_sparse(
        self, text: str, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        """BM25 (k1 1.2, b .75), its statistics taken over all tenants, as one shared index does."""
        everything = [point.chunk for point in self._points.values()]
        scores = _bm25(set(_words(text)), everything)
        found = (
            IndexHit(point.chunk.id, score)
            for point in self._matching(scope, filters)
            if (score := scores[point.chunk.document.tenant, point.chunk.id]) > 0
        )
        return _best(list(found), limit)

    async def count(self, tenant: TenantId) -> int:
        return sum(of == tenant for of, _ in self._points)

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _matching(self, scope: AccessScope, filters: Filters) -> list[IndexPoint]:
        return [
            point
            for (tenant, _), point in self._points.items()
            if scope.admits(tenant, point.access, at=datetime.now(UTC))
            and all(
                _holds(point.metadata.get(name), condition) for name, condition in filters.items()
            )
        ]


def _best(hits: list[IndexHit], limit: int) -> list[IndexHit]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk))[:limit]


def _bm25(terms: set[str], chunks: Sequence[Chunk]) -> dict[tuple[TenantId, ChunkId], float]:
    counts = {(c.document.tenant, c.id): Counter(_words(c.embedded_text)) for c in chunks}
    average = sum(each.total() for each in counts.values()) / max(1, len(counts))
    containing = Counter(term for each in counts.values() for term in terms & each.keys())
    scores: dict[tuple[TenantId, ChunkId], float] = {}
    for key, each in counts.items():
        norm = 1.2 * (0.25 + 0.75 * each.total() / (average or 1.0))
        scores[key] = sum(
            log(1 + (len(counts) - containing[term] + 0.5) / (containing[term] + 0.5))
            * each[term]
            * 2.2
            / (each[term] + norm)
            for term in sorted(terms & each.keys())
        )
    return scores


def _holds(value: MetadataValue | None, condition: AnyOf | Between) -> bool:
    if value is None:
        return False
    if isinstance(condition, AnyOf):
        # True is no 1, although Python says they are equal.
        return any(
            value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
            for wanted in condition.values
        )
    orders = {
        bound: _order(value, bound)
        for bound in (condition.gte, condition.lte, condition.gt, condition.lt)
        if bound is not None
    }
    return (
        None not in orders.values()
        and (condition.gte is None or orders[condition.gte] in {0, 1})
        and (condition.lte is None or orders[condition.lte] in {0, -1})
        and (condition.gt is None or orders[condition.gt] == 1)
        and (condition.lt is None or orders[condition.lt] == -1)
    )


def _order(value: MetadataValue, bound: float | str) -> int | None:
    """-1, 0 or 1 as `value` stands to `bound`; None where the two cannot be compared."""
    if isinstance(value, str) and isinstance(bound, str):
        return (value > bound) - (value < bound)
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and not isinstance(bound, str)
    ):
        return (value > bound) - (value < bound)
    return None
