"""Jobs from a listing to the end, run inside this process."""
# ruff: noqa: ASYNC110 - what is waited for is a state of the ledger, which rings no bell

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.protocols import Problem, Resource
from ingestion.changes import reindex_job
from ingestion.dispatch import Dispatcher, running
from ingestion.jobs import run_job, sync_job
from ingestion.kept import push_job
from ingestion.protocols import ParsedDocument
from rag.access import NOBODY, TenantId, readable_by
from rag.bodies import Body
from rag.errors import SourceUnavailable
from rag.storage.database import Database
from rag.storage.documents.records import DocumentState
from rag.storage.jobs.records import Job, JobKind, JobState, NewJob
from rag.storage.sources.records import PUSH, Progress
from rag.types import ChunkId, SourceId
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.standins import DictIndex, LineParser, texts_of


@pytest.fixture
async def platform(sqlite_database: Database, tmp_path: Path) -> Platform:
    return await platform_over(sqlite_database, tmp_path)


async def enqueue(platform: Platform, *jobs: NewJob) -> list[Job]:
    ids = await platform.jobs.enqueue(jobs)
    return [await platform.jobs.get(TENANT, job) for job in ids]


@asynccontextmanager
async def at_work(platform: Platform, *, concurrency: int = 4) -> AsyncGenerator[Dispatcher]:
    dispatcher = platform.dispatcher(concurrency=concurrency)
    async with running(dispatcher, sole=True), asyncio.timeout(30):
        yield dispatcher


async def until_idle(platform: Platform) -> None:
    async with at_work(platform) as dispatcher:
        await dispatcher.idle()


async def sync(platform: Platform) -> Job:
    [job] = await enqueue(platform, sync_job(TENANT, SOURCE))
    await until_idle(platform)
    return await platform.jobs.get(TENANT, job.id)


async def test_a_sync_takes_in_what_is_there_and_then_only_what_changed(platform: Platform) -> None:
    for number in range(6):
        platform.folder.put(f"file {number}", f"Text {number}.")
    assert (await sync(platform)).outcome == "listed 6 changes and 0 problems"
    assert len(await platform.texts_seen_by("group:finance")) == 6
    assert await platform.sources.progress(TENANT, SOURCE) == Progress(6, done=6, failed=0)

    platform.embedder.embedded.clear()
    platform.folder.fetched.clear()
    platform.folder.put("file 0", "Another text.")
    platform.folder.put("file 1", "Text 1.", access=NOBODY)
    del platform.folder.files["file 2"]
    platform.folder.put("file 9", "A ninth.")
    assert (await sync(platform)).outcome == "listed 4 changes and 0 problems"
    assert sorted(platform.folder.fetched) == ["file 0", "file 9"]
    assert len(platform.embedder.embedded) == 2
    assert await platform.texts_seen_by("group:finance") == [
        "Another text.",
        "Text 3.",
        "Text 4.",
        "Text 5.",
        "A ninth.",
    ]
    assert (await sync(platform)).outcome == "listed 0 changes and 0 problems"


async def test_a_file_that_fails_is_recorded_and_the_rest_goes_on(platform: Platform) -> None:
    platform.folder.put("bad", "!broken")
    platform.folder.put("bug", "!bug")
    platform.folder.put("good", "Good.")
    await sync(platform)
    assert await platform.texts_seen_by("group:finance") == ["Good."]
    assert await platform.sources.progress(TENANT, SOURCE) == Progress(3, done=1, failed=2)
    by_uri = {job.uri: job for job in await platform.jobs.listed(TENANT)}
    assert (by_uri["bad"].state, by_uri["bad"].attempts) == (JobState.FAILED, 1)
    assert by_uri["bad"].error == "it makes no sense"
    assert (by_uri["bug"].state, by_uri["bug"].attempts) == (JobState.DEAD, 5)
    assert "secret" not in str(by_uri["bug"].error)
    # What cannot be read is not tried again until it changes; what nobody foresaw is.
    assert (await sync(platform)).outcome == "listed 1 changes and 0 problems"


async def test_a_source_that_does_not_answer_is_tried_again_and_noted(platform: Platform) -> None:
    platform.folder.put("file", "Text.")
    platform.folder.down = True
    [job] = await enqueue(platform, sync_job(TENANT, SOURCE))
    async with at_work(platform) as dispatcher:
        while (await platform.jobs.get(TENANT, job.id)).state is not JobState.WAITING:
            await asyncio.sleep(0.01)
        source = await platform.sources.get(TENANT, SOURCE)
        assert source.last_sync_error == "the folder does not answer"
        platform.folder.down = False
        await dispatcher.idle()
    assert (await platform.sources.get(TENANT, SOURCE)).last_sync_error is None
    assert await platform.texts_seen_by("group:finance") == ["Text."]


async def test_problems_of_a_source_are_shown_and_open_nothing(platform: Platform) -> None:
    platform.folder.problems = [Problem("a/.access.yaml", "no YAML")] * 150
    await sync(platform)
    source = await platform.sources.get(TENANT, SOURCE)
    assert source.last_sync_error == "150 problems at the source"
    assert len(source.problems) == 100
    assert source.problems[0] == ("a/.access.yaml", "no YAML")


async def test_an_index_that_comes_back_ends_in_the_same_state(platform: Platform) -> None:
    platform.folder.put("file", "Text.")
    platform.index.down = True
    [job] = await enqueue(platform, sync_job(TENANT, SOURCE))
    async with at_work(platform) as dispatcher:
        while (await platform.jobs.counts()).get(JobState.WAITING) != 1:
            await asyncio.sleep(0.01)
        platform.index.down = False
        await dispatcher.idle()
    assert await platform.texts_seen_by("group:finance") == ["Text."]
    assert (await platform.jobs.get(TENANT, job.id)).state is JobState.DONE


async def test_what_an_app_pushes_is_taken_in_and_can_be_deleted(platform: Platform) -> None:
    notes = SourceId("notes")
    await platform.sources.register(TENANT, kind=PUSH, name="Notes", settings={}, source=notes)
    job = await push_job(
        platform.originals,
        tenant=TENANT,
        source=notes,
        uri="note:1",
        title="Note",
        media_type="text/plain",
        body=Body.of(b"Pushed."),
        access=readable_by(["group:finance"]),
        metadata={"department": "it"},
    )
    await enqueue(platform, job)
    await until_idle(platform)
    [hit] = await platform.seen_by("group:finance")
    assert (hit.chunk.text, hit.metadata) == ("Pushed.", {"department": "it", "source": "notes"})
    await enqueue(platform, job)
    await until_idle(platform)
    assert (await platform.jobs.listed(TENANT))[0].outcome == "unchanged"
    await enqueue(platform, sync_job(TENANT, notes))
    gone = NewJob(tenant=TENANT, source=notes, kind=JobKind.DELETE, uri="note:1")
    await enqueue(platform, gone)
    await until_idle(platform)
    assert await platform.seen_by("group:finance") == []
    assert not any(path.is_file() for path in platform.originals.root.rglob("*"))


async def test_reindexing_rebuilds_a_lost_index_without_touching_the_source(
    platform: Platform,
) -> None:
    for number in range(3):
        platform.folder.put(f"file {number}", f"Text {number}.")
    await sync(platform)
    platform.index.points.clear()
    platform.folder.down = True
    await enqueue(platform, reindex_job(TENANT, SOURCE))
    await until_idle(platform)
    assert len(await platform.texts_seen_by("group:finance")) == 3


class SlowParser(LineParser):
    """Waits, after saying that it began."""

    def __init__(self) -> None:
        super().__init__()
        self.began = asyncio.Event()
        self.at_once = 0
        self.most_at_once = 0
        self.go_on = asyncio.Event()

    async def parse(self, resource: Resource) -> ParsedDocument:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.began.set()
        try:
            await self.go_on.wait()
            return await super().parse(resource)
        finally:
            self.at_once -= 1


@pytest.fixture
def parser() -> SlowParser:
    return SlowParser()


@pytest.fixture
async def slow(sqlite_database: Database, tmp_path: Path, parser: SlowParser) -> Platform:
    """Its `parser` waits until it is told to go on."""
    return await platform_over(sqlite_database, tmp_path, parser=parser)


async def test_stopping_gives_back_what_was_running_and_it_counts_as_never_begun(
    slow: Platform, parser: SlowParser
) -> None:
    slow.folder.put("file", "Text.")
    await enqueue(slow, sync_job(TENANT, SOURCE))
    async with at_work(slow):
        await parser.began.wait()
    # The sync may have been at its last steps, and is then given back too.
    queued = await slow.jobs.listed(TENANT, state=JobState.QUEUED)
    [job] = [each for each in queued if each.kind is JobKind.UPSERT]
    assert (job.uri, job.attempts, job.lease_owner) == ("file", 0, None)
    parser.go_on.set()
    await until_idle(slow)
    assert await slow.texts_seen_by("group:finance") == ["Text."]


async def test_no_more_run_at_once_than_was_said(slow: Platform, parser: SlowParser) -> None:
    for number in range(10):
        slow.folder.put(f"file {number}", f"Text {number}.")
    await enqueue(slow, sync_job(TENANT, SOURCE))
    async with at_work(slow, concurrency=3) as dispatcher:
        while parser.at_once < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        parser.go_on.set()
        await dispatcher.idle()
    assert parser.most_at_once == 3


async def test_a_lease_is_kept_while_the_work_lasts_and_lost_work_records_nothing(
    slow: Platform,
) -> None:
    slow.folder.put("file", "Text.")
    work = replace(slow.work, lease=timedelta(seconds=2))
    await enqueue(slow, sync_job(TENANT, SOURCE))
    listing = await slow.leases.claim("one", lease=work.lease)
    assert listing is not None
    await run_job(listing, work)
    job = await slow.leases.claim("one", lease=work.lease)
    assert job is not None and job.lease_until is not None
    first_end = job.lease_until
    doing = asyncio.create_task(run_job(job, work))
    while (await slow.jobs.get(TENANT, job.id)).lease_until == first_end:
        await asyncio.sleep(0.01)
    afterwards = replace(slow.leases, clock=lambda: first_end + timedelta(milliseconds=1))
    assert await afterwards.sweep() == 0
    # Another takes it over, as after a long pause of this process.
    await slow.leases.sweep(all_leases=True)
    again = await slow.leases.claim("two", lease=work.lease)
    assert again is not None
    await asyncio.wait_for(doing, 60)
    assert (await slow.jobs.get(TENANT, job.id)).lease_owner == "two"


async def test_a_change_that_arrives_while_the_document_is_worked_on_is_not_lost(
    slow: Platform, parser: SlowParser
) -> None:
    slow.folder.put("file", "First.")
    await enqueue(slow, sync_job(TENANT, SOURCE))
    async with at_work(slow) as dispatcher:
        await parser.began.wait()
        slow.folder.put("file", "Second.")
        await enqueue(slow, sync_job(TENANT, SOURCE))
        while (await slow.jobs.counts()).get(JobState.QUEUED) != 1:
            await asyncio.sleep(0.01)
        parser.go_on.set()
        await dispatcher.idle()
    assert await slow.texts_seen_by("group:finance") == ["Second."]
    assert texts_of(slow.index.points) == ["Second."]


async def test_a_listing_that_overlaps_running_jobs_takes_nothing_in_twice(
    slow: Platform, parser: SlowParser
) -> None:
    slow.folder.put("file", "Text.")
    await enqueue(slow, sync_job(TENANT, SOURCE))
    async with at_work(slow) as dispatcher:
        await parser.began.wait()
        [listing] = await enqueue(slow, sync_job(TENANT, SOURCE))
        while (await slow.jobs.get(TENANT, listing.id)).state is not JobState.DONE:
            await asyncio.sleep(0.01)
        assert await slow.sources.progress(TENANT, SOURCE) == Progress(1, done=0, failed=0)
        parser.go_on.set()
        await dispatcher.idle()
    assert slow.folder.fetched == ["file"]
    assert await slow.sources.progress(TENANT, SOURCE) == Progress(1, done=1, failed=0)


class FailsOnce(DictIndex):
    """Goes down after the ledger has switched: the old chunks stay in the index."""

    fail_next_delete = False

    async def delete(self, tenant: TenantId, chunks: Collection[ChunkId]) -> None:
        if self.fail_next_delete:
            self.fail_next_delete = False
            raise SourceUnavailable("gone at the worst moment")
        await super().delete(tenant, chunks)


async def test_an_ingest_cut_short_after_the_switch_is_settled_by_the_next(
    sqlite_database: Database, tmp_path: Path
) -> None:
    index = FailsOnce()
    platform = await platform_over(sqlite_database, tmp_path, index=index)
    platform.folder.put("file", "First.")
    await sync(platform)
    platform.folder.put("file", "Second.")
    index.fail_next_delete = True
    await sync(platform)
    assert await platform.texts_seen_by("group:finance") == ["Second."]
    assert texts_of(index.points) == ["Second."]
    [document] = await platform.documents.listed(TENANT)
    assert (document.state, document.settled) == (DocumentState.ACTIVE, True)


async def test_a_document_left_unsettled_is_mended_by_the_next_sync(platform: Platform) -> None:
    platform.folder.put("file", "Text.")
    await sync(platform)
    [document] = await platform.documents.listed(TENANT)
    await platform.documents.begin(document.ref, access=document.access)
    await sync(platform)
    [document] = await platform.documents.listed(TENANT)
    assert document.settled
