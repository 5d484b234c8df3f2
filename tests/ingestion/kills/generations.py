"""Generations of the index on the way through a world: what is wanted of them in each state, and
what they are made of.

They are opened, followed and removed by `api.generations`, as in the platform. Each cuts and marks
what it holds in its own way, so that a mixture of two can be told.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from api.generations import OpenGeneration, OpenGenerations, Remove, open_generations
from ingestion.batching import BatchingEmbedder
from ingestion.generations import LiveGeneration
from rag.errors import IndexUnavailable
from rag.protocols import Index
from rag.retrieval import HybridRetriever
from rag.storage.database import Database
from rag.storage.documents.passages import Passages
from rag.storage.embeddings import CachedEmbedder, EmbeddingCache
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import Generation, GenerationId, GenerationState, Recipe
from tests.ingestion.marking import MarkingChunker
from tests.ingestion.standins import HashEmbedder

_STEPS = 6
"""States until all begins anew, two generations on."""
_LONGEST_FILL_S = 60.0


# --- what is wanted ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which generations there are in a state, once all that was asked for is done."""

    serving: GenerationId
    live: frozenset[GenerationId]

    @property
    def newest(self) -> GenerationId:
        return max(self.live)


def wanted_in(state: int) -> Wanted:
    """One is begun beside the one that serves; readers go to it, and back; it is dropped; a third
    is begun; readers go to that, and the first is dropped."""
    rounds, step = divmod(state, _STEPS)
    first = 1 + 2 * rounds
    serving, *others = (
        (first, first + 1),
        (first + 1, first),
        (first, first + 1),
        (first,),
        (first, first + 2),
        (first + 2,),
    )[step]
    live = frozenset(map(GenerationId, (serving, *others)))
    return Wanted(GenerationId(serving), live)


async def bring_about(wanted: Wanted, ledger: Generations, generations: OpenGenerations) -> None:
    """What an administrator does of it, in the midst of other work; all may be asked again."""
    listed = await ledger.listed()
    if listed[-1].id < wanted.newest:
        await ledger.begin(_recipe(wanted.newest))
        await generations.look()
    serving, *_ = await ledger.live()
    if serving.id != wanted.serving:
        await holds_everything(ledger, wanted.serving)
        await ledger.switch(wanted.serving)
        await generations.look()
    for each in await ledger.live():
        if each.id not in wanted.live:
            await ledger.drop(each.id)
    await generations.look()


async def holds_everything(ledger: Generations, generation: GenerationId) -> None:
    """Once it does. Raises where it never will without somebody's help."""
    async with asyncio.timeout(_LONGEST_FILL_S):
        while (standing := await ledger.standing(generation)).lacking:
            assert standing.lacking > standing.failed, f"generation {generation}: {standing}"
            await asyncio.sleep(0.02)


async def all_hold_everything(ledger: Generations) -> None:
    for each in await ledger.live():
        await holds_everything(ledger, each.id)


def _recipe(generation: GenerationId) -> Recipe:
    return Recipe(
        embedder="hash",
        model=f"hash {generation}",
        token_dimensions=4,
        chunk_tokens=100,
        overlap=0.0,
    )


# --- what they are made of --------------------------------------------------------------------------


OpenIndex = Callable[[GenerationId], AbstractAsyncContextManager[Index]]


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens generations, and knows the indexes that are open."""

    database: Database
    open_index: OpenIndex
    indexes: dict[GenerationId, Index] = field(default_factory=dict[GenerationId, Index])

    def index_of(self, generation: GenerationId) -> Index:
        if generation not in self.indexes:
            raise IndexUnavailable("it is not open here")
        return self.indexes[generation]

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncGenerator[OpenGeneration]:
        embedder = HashEmbedder(f"hash {generation.id}")
        batching, cache = BatchingEmbedder(embedder), EmbeddingCache(self.database)
        async with self.open_index(generation.id) as index:
            self.indexes[generation.id] = index
            passages = Passages(self.database, generation=generation.id)
            written = LiveGeneration(
                id=generation.id,
                serves=generation.state is GenerationState.SERVING,
                chunker=MarkingChunker(generation.id),
                embedder_of=lambda tenant: CachedEmbedder(batching, cache, tenant),
                index=index,
            )
            try:
                yield OpenGeneration(
                    id=generation.id,
                    embedder=embedder,
                    index=index,
                    retriever=HybridRetriever(
                        index=index, embedder=embedder, passages=passages, reranker=None
                    ),
                    written=written,
                )
            finally:
                del self.indexes[generation.id]


def opened(
    opener: Opener, ledger: Generations, remove: Remove
) -> AbstractAsyncContextManager[OpenGenerations]:
    return open_generations(ledger, open_one=opener.open, remove=remove)
