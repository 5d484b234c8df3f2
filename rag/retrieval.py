"""From a query to the evidence: search twice inside the scope, fuse, check liveness, rerank.

Read this file to know what `retrieve` does.
"""

import asyncio
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from time import perf_counter
from types import MappingProxyType

from rag.access import TenantId
from rag.cached_queries import CachedQueries
from rag.fusion import Fusion, normalised_sum_fusion
from rag.protocols import EmbeddedQuery, Embedder, Index, PassageStore, Reranker, Translator
from rag.types import (
    AnyOf,
    ChunkId,
    Embedding,
    IndexHit,
    Mode,
    Query,
    Ranks,
    Retrieved,
    RetrievedChunk,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridRetriever:
    index: Index
    embedder: Embedder
    passages: PassageStore
    reranker: Reranker | None
    """None keeps the fused order."""
    fusion: Fusion = normalised_sum_fusion
    dense_weight: float = 1.0
    sparse_weight: float = 1.0
    translator: Translator | None = None
    """Lets a question find passages in another language; None searches as the question says."""
    translated_weight: float = 1.0
    candidates: int = 50
    """How many chunks each search may bring."""
    rerank_candidates: int = 20
    """How many of the fused are reranked; the rest follow in their fused order."""
    rerank_budget_s: float = 0.3
    queries: CachedQueries | None = None
    """Remembers the embeddings of queries, of the same embedder; None embeds each anew."""

    def embedder_for(self, tenant: TenantId) -> Embedder:
        """What queries of `tenant` are embedded with."""
        return self.embedder if self.queries is None else self.queries.of(tenant)

    async def retrieve(self, query: Query) -> Retrieved:
        """The chunks that answer `query` best among those its scope admits, best first.

        Errors: `IndexUnavailable`, `StorageUnavailable`.
        """
        clock = _Stopwatch()
        depth = max(self.candidates, query.limit)

        with clock.measures("search"):
            embedding, dense, sparse, translated = await self._search(query, depth, clock)

        with clock.measures("fuse"):
            fused = self.fusion(
                [
                    (dense, self.dense_weight),
                    (sparse, self.sparse_weight),
                    (translated, self.translated_weight),
                ]
            )

        with clock.measures("liveness"):
            readable = await self.passages.readable([hit.chunk for hit in fused], scope=query.scope)
        candidates = _candidates(fused, dense, sparse, readable, limit=depth)

        outcome = "skipped"
        if query.rerank and self.reranker and candidates and embedding is not None:
            depth = max(self.rerank_candidates, query.limit)
            with clock.measures("rerank"):
                reranked = await self.reranker.rerank(
                    EmbeddedQuery(query, embedding),
                    candidates[:depth],
                    budget_s=self.rerank_budget_s,
                )
            candidates = [*reranked.hits, *candidates[depth:]]
            outcome = "complete" if reranked.complete else "budget_spent"

        return Retrieved(
            hits=tuple(newer_first(candidates)[: query.limit]),
            timings_ms=clock.timings_ms(),
            rerank=outcome,
        )

    async def _search(
        self, query: Query, depth: int, clock: "_Stopwatch"
    ) -> tuple[Embedding | None, list[IndexHit], list[IndexHit], list[IndexHit]]:
        """All searches at once; the sparse ones do not wait for the query's embedding."""

        async def dense() -> tuple[Embedding | None, list[IndexHit]]:
            if query.mode is Mode.SPARSE and not (query.rerank and self.reranker):
                return None, []
            with clock.measures("embed"):
                embedder = self.embedder_for(query.scope.tenant)
                embedding = await embedder.embed_query(query.text)
            if query.mode is Mode.SPARSE:
                return embedding, []
            with clock.measures("dense"):
                hits = await self.index.search_dense(
                    embedding.vector, scope=query.scope, filters=query.filters, limit=depth
                )
            return embedding, hits

        async def sparse() -> list[IndexHit]:
            if query.mode is Mode.DENSE:
                return []
            with clock.measures("sparse"):
                return await self.index.search_sparse(
                    query.text, scope=query.scope, filters=query.filters, limit=depth
                )

        async def translated() -> list[IndexHit]:
            """By the question's words in other languages, among passages in those alone."""
            if self.translator is None or query.mode is not Mode.HYBRID:
                return []
            if "language" in query.filters:
                return []
            # Words not asked for before are read from a file: up to 10 ms a question.
            translation = await asyncio.to_thread(self.translator.translate, query.text)
            if translation is None:
                return []
            with clock.measures("translated"):
                return await self.index.search_sparse(
                    translation.text,
                    scope=query.scope,
                    filters={**query.filters, "language": AnyOf(translation.languages)},
                    limit=depth,
                )

        async with asyncio.TaskGroup() as group:
            dense_task = group.create_task(dense())
            sparse_task = group.create_task(sparse())
            translated_task = group.create_task(translated())
        embedding, dense_hits = dense_task.result()
        return embedding, dense_hits, sparse_task.result(), translated_task.result()


_ABSENT: tuple[int | None, float | None] = (None, None)


def _candidates(
    fused: Sequence[IndexHit],
    dense: Sequence[IndexHit],
    sparse: Sequence[IndexHit],
    readable: Mapping[ChunkId, RetrievedChunk],
    *,
    limit: int,
) -> list[RetrievedChunk]:
    """The first fused hits that are alive and admitted now, with each stage's rank and score.

    Ranks count only what the asker may read: a gap would tell that something is hidden.
    """
    alive_dense = _standing(hit for hit in dense if hit.chunk in readable)
    alive_sparse = _standing(hit for hit in sparse if hit.chunk in readable)
    alive_fused = _standing(hit for hit in fused if hit.chunk in readable)
    found: list[RetrievedChunk] = []
    for chunk, (rank, score) in islice(alive_fused.items(), limit):
        dense_rank, dense_score = alive_dense.get(chunk, _ABSENT)
        sparse_rank, sparse_score = alive_sparse.get(chunk, _ABSENT)
        stages = {"fused": score, "dense": dense_score, "sparse": sparse_score}
        found.append(
            replace(
                readable[chunk],
                score=score,
                ranks=Ranks(fused=rank, dense=dense_rank, sparse=sparse_rank),
                stage_scores=MappingProxyType(
                    {stage: value for stage, value in stages.items() if value is not None}
                ),
            )
        )
    return found


def _standing(ranking: Iterable[IndexHit]) -> dict[ChunkId, tuple[int, float]]:
    return {hit.chunk: (rank, hit.score) for rank, hit in enumerate(ranking, start=1)}


def newer_first(hits: Sequence[RetrievedChunk]) -> list[RetrievedChunk]:
    """`hits` with each superseded document's chunks behind the best of what superseded it.

    A superseded document whose successor was not found keeps its place.
    """
    waiting: dict[str, list[RetrievedChunk]] = {}
    found = {hit.chunk.document.id for hit in hits}
    ordered: list[RetrievedChunk] = []
    shown: set[str] = set()

    def show(hit: RetrievedChunk) -> None:
        ordered.append(hit)
        document = hit.chunk.document.id
        if document not in shown:
            shown.add(document)
            for older in waiting.pop(document, []):
                show(older)

    for hit in hits:
        newer = hit.superseded_by
        if newer is not None and newer in found and newer not in shown:
            waiting.setdefault(newer, []).append(hit)
        else:
            show(hit)
    # Two documents that each claim to supersede the other wait for ever: show them as ranked.
    stranded = {hit.chunk.id for hits_waiting in waiting.values() for hit in hits_waiting}
    return ordered + [hit for hit in hits if hit.chunk.id in stranded]


class _Stopwatch:
    """Milliseconds of each stage of one retrieval."""

    def __init__(self) -> None:
        self._stages: dict[str, float] = {}

    @contextmanager
    def measures(self, stage: str) -> Generator[None]:
        start = perf_counter()
        try:
            yield
        finally:
            self._stages[stage] = (perf_counter() - start) * 1_000

    def timings_ms(self) -> Mapping[str, float]:
        return MappingProxyType({stage: round(ms, 3) for stage, ms in self._stages.items()})
