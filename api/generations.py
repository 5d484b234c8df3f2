"""Generations of the index in this process: opened as the ledger says, and closed as it says."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Protocol

from ingestion.generations import LiveGeneration
from rag.errors import Error, NotFound
from rag.protocols import Embedder, Index
from rag.retrieval import HybridRetriever
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import Generation, GenerationId, GenerationState
from rag.types import Query, Retrieved

log = logging.getLogger(__name__)

_LOOKED_EVERY_S = 1.0
"""After so long at most, every process searches the generation that the ledger says serves."""
_TRIED_AGAIN_AFTER_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGeneration:
    """A generation as it is searched, and as it is written."""

    id: GenerationId
    embedder: Embedder
    index: Index
    retriever: HybridRetriever
    written: LiveGeneration
    """As it is written; whether it served when it was opened."""


Open = Callable[[Generation], AbstractAsyncContextManager[OpenGeneration]]
Remove = Callable[[GenerationId], Awaitable[None]]
"""Removes the index of a dropped generation from where it lies; there may be none."""


class GenerationsInUse(Protocol):
    """Which generation a question goes to, and which are written."""

    async def serving(self) -> OpenGeneration:
        """The one that readers search now. A question stays with the one it was given."""
        ...

    async def get(self, generation: GenerationId) -> OpenGeneration:
        """Raises `NotFound` where it is not open here."""
        ...

    async def live(self) -> Sequence[LiveGeneration]:
        """As `LiveGenerations` says."""
        ...

    async def look(self) -> None:
        """Take up at once what the ledger says now, instead of within a second."""
        ...


@dataclass(frozen=True, slots=True)
class ServingRetriever:
    """Retrieves from the generation that serves as the question comes."""

    generations: GenerationsInUse

    async def retrieve(self, query: Query) -> Retrieved:
        generation = await self.generations.serving()
        return await generation.retriever.retrieve(query)


@dataclass(slots=True)
class OpenGenerations:
    """`GenerationsInUse` by the ledger. Made by `open_generations`.

    One that cannot be opened, and does not serve, is left out and tried again later: readers and
    what is written to the others go on.
    """

    ledger: Generations
    open: Open
    remove: Remove
    _open: dict[GenerationId, tuple[OpenGeneration, AsyncExitStack]] = field(
        default_factory=dict[GenerationId, tuple[OpenGeneration, AsyncExitStack]], init=False
    )
    _not_before: dict[GenerationId, float] = field(
        default_factory=dict[GenerationId, float], init=False
    )
    _removed: set[GenerationId] = field(default_factory=set[GenerationId], init=False)
    _live: tuple[Generation, ...] = field(default=(), init=False)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def serving(self) -> OpenGeneration:
        return self._open[self._live[0].id][0]

    async def get(self, generation: GenerationId) -> OpenGeneration:
        if generation not in self._open:
            raise NotFound("that generation is not open here")
        return self._open[generation][0]

    async def live(self) -> Sequence[LiveGeneration]:
        return [
            replace(self._open[each.id][0].written, serves=each.state is GenerationState.SERVING)
            for each in self._live
            if each.id in self._open
        ]

    async def look(self) -> None:
        async with self._looking:
            await self._look()

    async def keep_looking(self) -> None:
        """Until it is cancelled. Questions wait for no model that is being loaded here."""
        while True:
            await asyncio.sleep(_LOOKED_EVERY_S)
            try:
                await self.look()
            except Error as error:
                log.warning("which generation serves cannot be looked up: %s", error)

    async def _look(self) -> None:
        listed = await self.ledger.listed()
        live = [each for each in listed if each.state is not GenerationState.DROPPED]
        live.sort(key=lambda each: each.state is not GenerationState.SERVING)
        for generation in live:
            if generation.id not in self._open:
                await self._open_one(generation)
        self._live = tuple(live)
        for generation in listed:
            if generation.state is GenerationState.DROPPED:
                await self._drop(generation.id)

    async def _open_one(self, generation: Generation) -> None:
        serves = generation.state is GenerationState.SERVING
        if not serves and monotonic() < self._not_before.get(generation.id, 0.0):
            return
        stack = AsyncExitStack()
        try:
            opened = await stack.enter_async_context(self.open(generation))
        except Error as error:
            await stack.aclose()
            if serves:
                raise
            self._not_before[generation.id] = monotonic() + _TRIED_AGAIN_AFTER_S
            log.warning("generation %s cannot be opened here: %s", generation.id, error)
            return
        self._open[generation.id] = opened, stack

    async def _drop(self, generation: GenerationId) -> None:
        if opened := self._open.pop(generation, None):
            await opened[1].aclose()
        if generation in self._removed or monotonic() < self._not_before.get(generation, 0.0):
            return
        try:
            await self.remove(generation)
            self._removed.add(generation)
        except Error as error:
            self._not_before[generation] = monotonic() + _TRIED_AGAIN_AFTER_S
            log.warning("the index of generation %s cannot be removed yet: %s", generation, error)

    async def aclose(self) -> None:
        async with self._looking:
            while self._open:
                _, (_, stack) = self._open.popitem()
                await stack.aclose()


@asynccontextmanager
async def open_generations(
    ledger: Generations, *, open_one: Open, remove: Remove
) -> AsyncGenerator[OpenGenerations]:
    """Those that the ledger has now; others as they come. Raises where the one that serves cannot
    be opened."""
    generations = OpenGenerations(ledger, open_one, remove)
    try:
        await generations.look()
        looking = asyncio.create_task(generations.keep_looking())
        try:
            yield generations
        finally:
            looking.cancel()
            await asyncio.wait({looking})
    finally:
        await generations.aclose()
