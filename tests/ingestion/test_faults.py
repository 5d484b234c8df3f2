"""What breaks, what an administrator then reads, and that all is well once it is mended.

Each row of `FAULTS` is put into a platform that is following a source, and taken away again once
the ledger says what is wrong. The platform then goes on by itself, and ends as one that was never
disturbed. Nobody reads meanwhile what he may not. Redis is in `test_worker.py`, a kill in
`test_kill.py`, one full disk more in `tests/acceptance/test_interrupted_ingest.py`.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.migrations import migrate
from connectors.patience import PatientConnector
from connectors.protocols import Connector, Resource
from ingestion.dispatch import Dispatcher, running
from ingestion.jobs import Work, run_job, sync_job
from ingestion.upkeep import keep_order
from rag.access import TenantId, readable_by
from rag.adapters.qdrant_edge import open_edge_index
from rag.bodies import Body
from rag.errors import (
    ModelUnavailable,
    PermanentError,
    RateLimited,
    SourceGone,
    StorageUnavailable,
)
from rag.storage.database import Database, open_database
from rag.storage.documents.records import DocumentState
from rag.storage.generations.records import FIRST
from rag.storage.jobs.records import Job, JobState
from rag.storage.jobs.situations import Situations
from rag.storage.tables import DocumentRow
from tests.generations import with_index
from tests.ingestion.faulty import (
    Clock,
    Exchangeable,
    FaultyEmbedder,
    Waiting,
    full_disk,
    index_server,
)
from tests.ingestion.feed import Feed
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.standins import DictIndex
from tests.services import restartable_postgres

FINANCE, SALES = readable_by(["group:finance"]), readable_by(["group:sales"])
SILENCE_S = 0.2
LISTED_EACH_TIME = {"overlap": "0s", "reconcile_every": "0s", "recheck": 100}
FOLLOWED = {"overlap": "0s"}
PENDING = {JobState.QUEUED, JobState.WAITING, JobState.RUNNING}


class Source(Feed):
    """A feed that may also lie about single files."""

    vanished: frozenset[str] = frozenset()
    forged: frozenset[str] = frozenset()
    is_slow = False

    async def fetch(self, uri: str) -> Resource:
        if self.is_slow:
            await asyncio.Event().wait()
        if uri in self.vanished:
            raise SourceGone(uri)
        file = await super().fetch(uri)
        return replace(file, body=Body.of(b"Forged.")) if uri in self.forged else file


@dataclass(slots=True)
class World:
    platform: Platform
    source: Source
    embedder: FaultyEmbedder
    index: Exchangeable
    own_index: DictIndex

    @property
    def work(self) -> Work:
        return self.platform.work

    def begin(self) -> None:
        for number in range(8):
            self.source.put(f"a/{number}", f"Text {number}.\nLine {number}.", access=FINANCE)
        self.source.put("s/0", "Secret.", access=SALES)

    def change(self) -> None:
        self.source.put("a/0", "Another text.\nLine 0.", access=FINANCE)
        self.source.put("a/1", "Text 1.\nLine 1.", access=SALES)
        self.source.put("a/2", "Text 2.\nLine 2.", access=FINANCE, metadata={"department": "it"})
        self.source.move("a/3", "b/3")
        self.source.remove("a/4")
        self.source.put("a/5", "!broken", access=FINANCE)
        self.source.put("c/9", "Text 9.", access=FINANCE)

    async def enqueue_sync(self) -> None:
        await self.platform.jobs.enqueue([sync_job(TENANT, SOURCE)])

    async def sync(self, dispatcher: Dispatcher) -> None:
        await self.enqueue_sync()
        async with asyncio.timeout(60):
            await dispatcher.idle()

    async def jobs(self) -> list[Job]:
        return await self.platform.jobs.listed(TENANT, limit=1_000)


async def world_over(database: Database, root: Path, settings: dict[str, Any]) -> World:
    source, embedder, own = Source(SOURCE), FaultyEmbedder(), DictIndex()
    index = Exchangeable(own)
    platform = await platform_over(database, root, folder=source, embedder=embedder, index=own)
    await platform.sources.register(
        TENANT, kind="memory", name="Files", settings=settings, source=SOURCE
    )
    patient = PatientConnector(inner=source, seconds=SILENCE_S)

    def connect(_source: object) -> Connector:
        return patient

    platform.work = replace(
        platform.work,
        connect=connect,
        pipeline=replace(
            platform.pipeline,
            generations=with_index(platform.pipeline.generations, index.as_index()),
        ),
    )
    return World(platform, source, embedder, index, own)


# --- the faults --------------------------------------------------------------------------------

Begins = Callable[[World], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    name: str
    begins: Begins
    """Breaks something for as long as the block runs."""
    job_says: str | None = None
    """The error class that some job then has, or already had when it ended."""
    source_says: str | None = None
    """Part of what the source's status says."""
    settings: dict[str, Any] | None = None


def source_is(*habits: str) -> Begins:
    @asynccontextmanager
    async def begins(world: World) -> AsyncGenerator[None]:
        world.source.habits.update(habits)
        yield
        world.source.habits.clear()

    return begins


def set_to(part: Callable[[World], Any], name: str, value: Any) -> Begins:
    @asynccontextmanager
    async def begins(world: World) -> AsyncGenerator[None]:
        before = getattr(part(world), name)
        setattr(part(world), name, value)
        yield
        setattr(part(world), name, before)

    return begins


def server_instead(*, answers: bool) -> Begins:
    @asynccontextmanager
    async def begins(world: World) -> AsyncGenerator[None]:
        async with index_server(answers=answers) as away:
            world.index.instead = away
            yield
            world.index.instead = None

    return begins


def the_source(world: World) -> object:
    return world.source


def the_index(world: World) -> object:
    return world.own_index


def the_embedder(world: World) -> object:
    return world.embedder


FAULTS = [
    Fault(name="the source does not answer", begins=set_to(the_source, "down", True),
          job_says="SourceUnavailable", source_says="does not answer"),
    Fault(name="the source is silent while it lists", begins=source_is("is silent"),
          job_says="SourceUnavailable", source_says="was silent for"),
    Fault(name="the source is silent when asked for a file",
          begins=set_to(the_source, "is_slow", True), job_says="SourceUnavailable"),
    Fault(name="the source goes away half-way", begins=source_is("breaks off"),
          job_says="SourceUnavailable", source_says="half-way"),
    Fault(name="the listing never ends", begins=source_is("never ends"),
          job_says="SourceInconsistent", source_says="repeats itself"),
    Fault(name="a page of changes comes again and again", begins=source_is("repeats a page"),
          job_says="SourceInconsistent", source_says="the same page", settings=FOLLOWED),
    Fault(name="pages of changes never end", begins=source_is("new cursors for ever"),
          job_says="SourceInconsistent", source_says="the same page", settings=FOLLOWED),
    Fault(name="the source forgot the cursor", begins=source_is("forgets"), settings=FOLLOWED),
    Fault(name="the listing skips what is there", begins=source_is("skips on the first look")),
    Fault(name="ids come twice", begins=source_is("lists twice")),
    Fault(name="ids come twice and say different things",
          begins=source_is("contradicts itself"), source_says="problems at the source"),
    Fault(name="files vanish after they were listed",
          begins=set_to(the_source, "vanished", frozenset({"a/0", "c/9", "b/3"}))),
    Fault(name="the same version has other bytes",
          begins=set_to(the_source, "forged", frozenset({"a/6", "a/0"}))),
    Fault(name="the index does not answer", begins=set_to(the_index, "down", True),
          job_says="IndexUnavailable"),
    Fault(name="the index server refuses", begins=server_instead(answers=False),
          job_says="IndexUnavailable"),
    Fault(name="the index server is silent", begins=server_instead(answers=True),
          job_says="IndexUnavailable"),
    Fault(name="the model does not answer",
          begins=set_to(the_embedder, "error", ModelUnavailable("no answer")),
          job_says="ModelUnavailable"),
    Fault(name="the model asks to slow down",
          begins=set_to(the_embedder, "error", RateLimited("slower", retry_after_s=0.1)),
          job_says="RateLimited"),
    Fault(name="the model refuses the text",
          begins=set_to(the_embedder, "error", PermanentError("not with me")),
          job_says="PermanentError"),
    Fault(name="the model has a bug", begins=set_to(the_embedder, "error", ZeroDivisionError()),
          job_says="ZeroDivisionError"),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_is_told_and_leaves_no_trace_once_it_is_over(
    fault: Fault, sqlite_template: Path, tmp_path: Path
) -> None:
    settings = fault.settings or LISTED_EACH_TIME
    async with AsyncExitStack() as stack:
        disturbed = await stack.enter_async_context(
            opened(sqlite_template, tmp_path / "1", settings)
        )
        dispatcher = await at_work(stack, disturbed)
        watching = asyncio.create_task(watch(disturbed))
        async with fault.begins(disturbed):
            await disturbed.enqueue_sync()
            await Waiting().until(lambda: is_told(disturbed, fault))
        async with asyncio.timeout(60):
            await dispatcher.idle()
        # What gave up meanwhile, and what the source lied about, the next sync takes up.
        await disturbed.sync(dispatcher)
        watching.cancel()
        await asyncio.wait({watching})
        assert watching.cancelled(), watching.exception()

        in_peace = await stack.enter_async_context(
            opened(sqlite_template, tmp_path / "2", settings)
        )
        dispatcher = await at_work(stack, in_peace)
        await in_peace.sync(dispatcher)
        assert await state_of(disturbed.platform) == await state_of(in_peace.platform)


@asynccontextmanager
async def opened(template: Path, root: Path, settings: dict[str, Any]) -> AsyncGenerator[World]:
    """A world whose first files are taken in, and that changed since."""
    await asyncio.to_thread(copied, template, root)
    async with open_database(f"sqlite:///{root / 'rag.db'}") as database:
        yield await changed_world(database, root, settings)


def copied(template: Path, root: Path) -> None:
    root.mkdir()
    shutil.copy(template, root / "rag.db")


async def changed_world(database: Database, root: Path, settings: dict[str, Any]) -> World:
    world = await world_over(database, root, settings)
    world.begin()
    async with running(world.platform.dispatcher(), sole=True) as dispatcher:
        await world.sync(dispatcher)
    world.change()
    return world


async def at_work(stack: AsyncExitStack, world: World) -> Dispatcher:
    return await stack.enter_async_context(running(world.platform.dispatcher(), sole=True))


async def is_told(world: World, fault: Fault) -> bool:
    """Whether an administrator can read what is wrong; for a fault that nothing shows of, whether
    the sync went through."""
    jobs = await world.jobs()
    source = await world.platform.sources.get(TENANT, SOURCE)
    if fault.source_says is not None and fault.source_says not in (source.last_sync_error or ""):
        return False
    if fault.job_says is None:
        return not any(job.state in PENDING for job in jobs)
    told = [job for job in jobs if job.error_class == fault.job_says and job.error]
    if not told:
        return False
    situations = await Situations(world.platform.database).of(told)
    return all(
        situation.words and situation.age >= timedelta(0) for situation in situations.values()
    )


async def watch(world: World) -> None:
    """Until it is cancelled. What is for one group alone, the other never finds."""
    while True:
        seen = await world.platform.texts_seen_by("group:finance")
        assert "Secret." not in seen
        seen = await world.platform.texts_seen_by("group:sales")
        assert {"Secret.", "Text 1.", "Line 1.", "Forged."} >= set(seen), seen
        assert await world.platform.texts_seen_by("group:other") == []
        await asyncio.sleep(0.01)


async def state_of(platform: Platform) -> dict[str, Any]:
    """All that a reader, an administrator or a later sync could tell two platforms apart by."""
    columns = (
        DocumentRow.uri,
        DocumentRow.version,
        DocumentRow.revision,
        DocumentRow.state,
        DocumentRow.access_fingerprint,
        DocumentRow.settled,
        DocumentRow.error,
    )
    gone = DocumentState.DELETED.value
    rows = await platform.database.rows(select(*columns).where(DocumentRow.state != gone))
    jobs = await platform.jobs.listed(TENANT, limit=1_000)
    points = platform.index.points.values()
    originals = platform.originals.root.glob("??/*")
    return {
        "documents": sorted(tuple(row) for row in rows),
        "index": sorted((str(point.chunk.id), str(point.access)) for point in points),
        "finance": await platform.texts_seen_by("group:finance"),
        "sales": await platform.texts_seen_by("group:sales"),
        "originals": sorted(path.name for path in originals),
        "pending": [job.uri for job in jobs if job.state in PENDING],
    }


# --- disks, databases and engines ----------------------------------------------------------------


async def test_a_full_disk_stops_all_work_and_all_goes_on_when_there_is_room(
    sqlite_template: Path, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(opened(sqlite_template, tmp_path / "1", FOLLOWED))
        dispatcher = await at_work(stack, world)
        await world.enqueue_sync()
        with full_disk():
            with pytest.raises(StorageUnavailable):
                await world.platform.sources.add_tenant(TenantId("another"))
            assert "Secret." in await world.platform.texts_seen_by("group:sales")
            await asyncio.sleep(0.3)
        await world.platform.leases.sweep(all_leases=True)
        async with asyncio.timeout(60):
            await dispatcher.idle()
        await world.sync(dispatcher)
        in_peace = await stack.enter_async_context(
            opened(sqlite_template, tmp_path / "2", FOLLOWED)
        )
        await in_peace.sync(await at_work(stack, in_peace))
        assert await state_of(world.platform) == await state_of(in_peace.platform)


async def test_postgresql_restarted_in_mid_work_delays_and_loses_nothing(
    sqlite_template: Path, tmp_path: Path
) -> None:
    with restartable_postgres() as (address, server):
        url = f"{address}/postgres"
        async with AsyncExitStack() as stack:
            with server():
                await migrate(url)
                database = await stack.enter_async_context(open_database(url))
                world = await changed_world(database, tmp_path / "1", FOLLOWED)
                world.platform.work = replace(world.work, lease=timedelta(seconds=1))
                dispatcher = await at_work(stack, world)
                await world.enqueue_sync()
                await Waiting(pause=0).until(lambda: some_job_runs(world))
            with pytest.raises(StorageUnavailable):
                await world.jobs()
            with server():
                async with asyncio.timeout(60):
                    await dispatcher.idle()
                await world.sync(dispatcher)
                peace = opened(sqlite_template, tmp_path / "2", FOLLOWED)
                in_peace = await stack.enter_async_context(peace)
                await in_peace.sync(await at_work(stack, in_peace))
                assert await state_of(world.platform) == await state_of(in_peace.platform)
                await stack.aclose()


async def some_job_runs(world: World) -> bool:
    return JobState.RUNNING in await world.platform.jobs.counts()


async def test_an_engine_killed_again_and_again_ends_with_the_index_that_the_ledger_says(
    sqlite_database: Database, tmp_path: Path
) -> None:
    async with open_edge_index(tmp_path / "index", dimensions=8) as edge:
        world = await world_over(sqlite_database, tmp_path, FOLLOWED)
        world.index.instead = edge
        world.begin()
        async with running(world.platform.dispatcher(), sole=True) as dispatcher:
            await world.enqueue_sync()
            killed: set[int] = set()
            while len(killed) < 3:
                if (alive := edge.process_id) is not None and alive not in killed:
                    os.kill(alive, signal.SIGKILL)
                    killed.add(alive)
                await asyncio.sleep(0.01)
            async with asyncio.timeout(60):
                await dispatcher.idle()
            await world.sync(dispatcher)
        documents = await world.platform.documents.listed(TENANT)
        assert len(documents) == 9
        for document in documents:
            held = await world.platform.documents.held(document.ref.id, FIRST)
            assert document.settled and held
            assert await edge.chunk_ids(TENANT, document.ref.id) == held


# --- clocks ------------------------------------------------------------------------------------


@pytest.fixture
async def ticking(sqlite_database: Database, tmp_path: Path) -> tuple[World, Clock]:
    """A world that goes by a clock of its own, and has one file to take in."""
    world = await world_over(sqlite_database, tmp_path, {"sync_every": "10m", **FOLLOWED})
    clock, work = Clock(), world.work
    world.platform.work = replace(
        work,
        jobs=replace(work.jobs, clock=clock),
        leases=replace(work.leases, clock=clock),
        sources=replace(work.sources, clock=clock),
        documents=replace(work.documents, clock=clock),
        retry=replace(work.retry, first_delay=timedelta(minutes=5)),
    )
    world.source.put("file", "Text.", access=FINANCE)
    return world, clock


async def do_due_jobs(world: World) -> list[JobState | None]:
    ended: list[JobState | None] = []
    while (job := await world.work.leases.claim("one", lease=world.work.lease)) is not None:
        ended.append(await run_job(job, world.work))
    return ended


async def test_a_wait_from_before_the_clock_went_back_is_as_long_as_it_was_meant(
    ticking: tuple[World, Clock],
) -> None:
    world, clock = ticking
    world.source.down = True
    await keep_order(world.work)
    assert await do_due_jobs(world) == [JobState.WAITING]
    world.source.down = False
    clock.jumped = timedelta(hours=-1)
    await keep_order(world.work)
    assert await do_due_jobs(world) == [], "it waits its five minutes"
    clock.jumped += timedelta(minutes=7)
    assert await do_due_jobs(world) == [JobState.DONE, JobState.DONE]
    assert await world.platform.texts_seen_by("group:finance") == ["Text."]


async def test_a_source_is_not_left_alone_until_the_clock_is_where_it_was(
    ticking: tuple[World, Clock],
) -> None:
    world, clock = ticking
    await keep_order(world.work)
    assert await do_due_jobs(world) == [JobState.DONE, JobState.DONE]
    await keep_order(world.work)
    assert await do_due_jobs(world) == []
    clock.jumped = timedelta(days=-1)
    world.source.put("file", "Another text.", access=FINANCE)
    await keep_order(world.work)
    assert await do_due_jobs(world) == [JobState.DONE, JobState.DONE]
    assert await world.platform.texts_seen_by("group:finance") == ["Another text."]
    await keep_order(world.work)
    assert await do_due_jobs(world) == []


@pytest.mark.parametrize("leap", [timedelta(days=1), timedelta(hours=-1)])
async def test_a_worker_lost_before_the_clock_leapt_holds_its_job_no_longer_than_a_lease(
    ticking: tuple[World, Clock], leap: timedelta
) -> None:
    world, clock = ticking
    await keep_order(world.work)
    lost = await world.work.leases.claim("lost", lease=world.work.lease)
    assert lost is not None
    clock.jumped = leap
    await keep_order(world.work)
    clock.jumped += world.work.lease * 1.1
    await keep_order(world.work)
    assert await do_due_jobs(world) == [JobState.DONE, JobState.DONE]
    assert await world.platform.texts_seen_by("group:finance") == ["Text."]
