"""Generations in a process: opened, switched and closed as the ledger says."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.adapters import remove_index
from api.generations import OpenGeneration, OpenGenerations, ServingRetriever, open_generations
from api.settings import Settings
from rag.access import Principal, PrincipalId, TenantId, scope_of
from rag.errors import ConfigurationError, IndexUnavailable, NotFound, StorageUnavailable
from rag.retrieval import HybridRetriever
from rag.storage.database import Database
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import FIRST, Generation, GenerationId, Recipe
from rag.testing import HashEmbedder, MemoryIndex, MemoryPassages
from rag.types import Query
from tests.generations import one_generation

SECOND = GenerationId(2)
RECIPE = Recipe(embedder="minilm", model="", token_dimensions=None, chunk_tokens=100, overlap=0.0)


@dataclass
class Shelf:
    """Where indexes lie: what is open, and what was removed."""

    is_open: set[GenerationId] = field(default_factory=set[GenerationId])
    removed: list[GenerationId] = field(default_factory=list[GenerationId])
    broken: set[GenerationId] = field(default_factory=set[GenerationId])
    away: bool = False
    loading: asyncio.Event | None = None
    """What a new model waits for until it is there."""

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncGenerator[OpenGeneration]:
        if generation.id in self.broken:
            raise ConfigurationError("there is no such model here")
        if self.loading is not None:
            await self.loading.wait()
        embedder, index = HashEmbedder(), MemoryIndex()
        self.is_open.add(generation.id)
        try:
            yield OpenGeneration(
                id=generation.id,
                embedder=embedder,
                index=index,
                retriever=HybridRetriever(
                    index=index, embedder=embedder, passages=MemoryPassages(), reranker=None
                ),
                written=one_generation(index, embedder).only,
            )
        finally:
            self.is_open.remove(generation.id)

    async def remove(self, generation: GenerationId) -> None:
        assert generation not in self.is_open
        if self.away:
            raise IndexUnavailable("nobody answers")
        self.removed.append(generation)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def generations(sqlite_database: Database, shelf: Shelf) -> AsyncGenerator[OpenGenerations]:
    ledger = Generations(sqlite_database)
    async with open_generations(ledger, open_one=shelf.open, remove=shelf.remove) as opened:
        yield opened
    assert shelf.is_open == set()


async def test_a_new_one_is_written_beside_the_one_that_serves(
    generations: OpenGenerations,
) -> None:
    assert [(each.id, each.serves) for each in await generations.live()] == [(FIRST, True)]
    await generations.ledger.begin(RECIPE)
    await generations.look()
    live = await generations.live()
    assert [each.serves for each in live] == [True, False]
    assert (await generations.serving()).id == FIRST
    assert (await generations.get(SECOND)).id == SECOND
    with pytest.raises(NotFound):
        await generations.get(GenerationId(3))


async def _until_it_serves(generations: OpenGenerations, generation: GenerationId) -> None:
    while True:
        if (await generations.serving()).id == generation:
            return
        await asyncio.sleep(0.05)


async def test_a_switch_is_seen_without_being_told(generations: OpenGenerations) -> None:
    """Another process has switched."""
    await generations.ledger.begin(RECIPE)
    await generations.ledger.switch(SECOND)
    async with asyncio.timeout(30):
        await _until_it_serves(generations, SECOND)
    assert [each.serves for each in await generations.live()] == [True, False]


async def test_a_question_goes_to_the_one_that_serves(generations: OpenGenerations) -> None:
    await generations.ledger.begin(RECIPE)
    await generations.ledger.switch(SECOND)
    await generations.look()
    asker = Principal(TenantId("acme"), PrincipalId("user:1"), frozenset())
    found = await ServingRetriever(generations).retrieve(Query(text="?", scope=scope_of(asker)))
    assert found.hits == ()


async def test_a_dropped_one_is_closed_and_removed_once(
    generations: OpenGenerations, shelf: Shelf
) -> None:
    await generations.ledger.begin(RECIPE)
    await generations.look()
    await generations.ledger.drop(SECOND)
    await generations.look()
    await generations.look()
    assert (shelf.is_open, shelf.removed) == ({FIRST}, [SECOND])


async def test_an_index_that_cannot_be_removed_now_is_removed_by_another_process(
    generations: OpenGenerations, shelf: Shelf
) -> None:
    await generations.ledger.begin(RECIPE)
    await generations.ledger.drop(SECOND)
    shelf.away = True
    await generations.look()
    assert shelf.removed == [] and (await generations.serving()).id == FIRST
    shelf.away = False
    async with open_generations(generations.ledger, open_one=Shelf().open, remove=shelf.remove):
        assert shelf.removed == [SECOND]


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_an_index_on_this_machine_is_removed_or_it_is_said_why_not(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    await remove_index(settings, SECOND)  # there is none
    (tmp_path / "index-2" / "segments").mkdir(parents=True)
    await remove_index(settings, SECOND)
    assert _names_in(tmp_path) == []
    (tmp_path / "index-2").write_text("no folder")
    with pytest.raises(StorageUnavailable, match="index-2 cannot be removed"):
        await remove_index(settings, SECOND)


async def test_one_that_cannot_be_opened_stops_neither_readers_nor_writers(
    generations: OpenGenerations, shelf: Shelf
) -> None:
    shelf.broken.add(SECOND)
    await generations.ledger.begin(RECIPE)
    await generations.look()
    assert (await generations.serving()).id == FIRST
    assert [each.id for each in await generations.live()] == [FIRST]
    with pytest.raises(NotFound):
        await generations.get(SECOND)


async def test_a_model_that_is_being_loaded_holds_up_nobody(
    generations: OpenGenerations, shelf: Shelf
) -> None:
    shelf.loading = asyncio.Event()
    await generations.ledger.begin(RECIPE)
    looking = asyncio.create_task(generations.look())
    await asyncio.sleep(1.1)  # as long as what the ledger said before may be believed
    async with asyncio.timeout(30):
        assert (await generations.serving()).id == FIRST
        assert [each.id for each in await generations.live()] == [FIRST]
    assert not looking.done()
    shelf.loading.set()
    await looking
    assert (await generations.get(SECOND)).id == SECOND


async def test_without_the_one_that_serves_nothing_begins(
    sqlite_database: Database, shelf: Shelf
) -> None:
    shelf.broken.add(FIRST)
    with pytest.raises(ConfigurationError):
        async with open_generations(
            Generations(sqlite_database), open_one=shelf.open, remove=shelf.remove
        ):
            pass
