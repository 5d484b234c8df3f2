"""Following a source: what is found, what becomes of it, and what a source that lies cannot do."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.patience import PatientConnector
from connectors.protocols import Problem
from ingestion.dispatch import running
from ingestion.jobs import Work, run_job, sync_job
from ingestion.schedule import enqueue_due_syncs, next_sync_of
from ingestion.sync import DELETED_UNASKED, SyncLedger, synchronise
from ingestion.sync_settings import SyncSettings
from rag.access import readable_by
from rag.errors import Error, SourceInconsistent, SourceUnavailable
from rag.storage.database import Database
from rag.storage.embeddings import CachedEmbedder, EmbeddingCache
from rag.storage.jobs.records import Job, JobKind, JobState
from rag.storage.sources.records import Progress, SourceState, Tally
from rag.storage.sources.snapshots import Snapshots
from tests.ingestion.feed import Feed
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.standins import HashEmbedder

FINANCE = "group:finance"
NO_OVERLAP = SyncSettings(overlap=timedelta(0))


class Following:
    """A platform that follows one feed."""

    def __init__(self, platform: Platform, feed: Feed) -> None:
        self.platform = platform
        self.feed = feed
        self.settings = NO_OVERLAP
        self._batches = 0

    async def find(self, *, confirm_deletions: bool = False) -> Tally:
        """Only list and enqueue."""
        self._batches += 1
        return await synchronise(
            self.feed,
            tenant=TENANT,
            batch=f"batch {self._batches}",
            ledger=ledger_of(self.platform),
            settings=self.settings,
            confirm_deletions=confirm_deletions,
        )

    async def sync(self, *, confirm_deletions: bool = False) -> Tally:
        tally = await self.find(confirm_deletions=confirm_deletions)
        await self.do_jobs()
        return tally

    async def do_jobs(self) -> None:
        async with running(self.platform.dispatcher(), sole=True) as dispatcher:
            async with asyncio.timeout(60):
                await dispatcher.idle()

    async def uris(self, *groups: str) -> list[str]:
        seen = await self.platform.seen_by(*(groups or (FINANCE,)))
        return [hit.chunk.document.uri for hit in seen]

    async def texts(self) -> list[str]:
        return await self.platform.texts_seen_by(FINANCE)

    async def pending(self) -> list[Job]:
        return await self.platform.jobs.listed(TENANT, state=JobState.QUEUED, limit=1_000)


def ledger_of(platform: Platform) -> SyncLedger:
    return SyncLedger(
        documents=platform.documents,
        snapshots=Snapshots(platform.database),
        jobs=platform.jobs,
        sources=platform.sources,
    )


async def following_over(database: Database, root: Path, *, files: int = 0) -> Following:
    feed = Feed(SOURCE)
    embedder = HashEmbedder()
    cached = CachedEmbedder(embedder, EmbeddingCache(database), TENANT)
    platform = await platform_over(database, root, folder=feed, embedder=embedder, wrapped=cached)
    for number in range(files):
        feed.put(f"a/{number}", f"Text {number}.")
    following = Following(platform, feed)
    if files:
        await following.sync()
        embedder.embedded.clear()
        feed.fetched.clear()
        feed.listings = 0
    return following


@pytest.fixture
async def five(database: Database, tmp_path: Path) -> Following:
    """Five files, taken in, on each database."""
    return await following_over(database, tmp_path, files=5)


@pytest.fixture
async def forty(sqlite_database: Database, tmp_path: Path) -> Following:
    return await following_over(sqlite_database, tmp_path, files=40)


# --- what is found -----------------------------------------------------------------------------


@pytest.mark.parametrize("everything", [False, True], ids=["by its changes", "by a listing"])
async def test_every_kind_of_change_is_told_apart(five: Following, *, everything: bool) -> None:
    if everything:
        five.settings = replace(NO_OVERLAP, reconcile_every=timedelta(0))
    feed = five.feed
    feed.put("a/0", "Another text.")
    feed.put("a/1", "Text 1.", access=readable_by(["group:board"]))
    feed.put("a/2", "Text 2.", metadata={"department": "it"})
    feed.move("a/3", "b/3")
    feed.remove("a/4")
    feed.put("c/5", "Text 5.")
    tally = await five.sync()
    assert tally.mode == ("listing" if everything else "changes")
    assert replace(tally, mode="listing", seen=0) == Tally(
        new=1, content_changed=1, metadata_changed=1, access_changed=1, moved=1, deleted=1
    )
    assert await five.uris() == ["a/0", "a/2", "b/3", "c/5"]
    assert await five.uris("group:board") == ["a/1"]
    assert sorted(five.platform.embedder.embedded) == ["a/0\nAnother text.", "c/5\nText 5."]
    assert sorted(feed.fetched) == ["a/0", "b/3", "c/5"]
    source = await five.platform.sources.get(TENANT, SOURCE)
    assert source.tally == tally
    again = await five.sync()
    assert (again.changes, again.problems) == (0, 0)


async def test_a_sync_follows_the_sources_word_until_the_listing_is_old(five: Following) -> None:
    assert (await five.sync()).mode == "changes"
    assert five.feed.listings == 0
    five.settings = replace(NO_OVERLAP, reconcile_every=timedelta(0))
    assert (await five.sync()).mode == "listing"


async def test_a_listing_finds_what_the_feed_never_said(five: Following) -> None:
    five.feed.put("a/9", "Never told.")
    del five.feed.files["a/0"]
    five.feed.events.clear()
    five.feed.events.extend([five.feed._listed("a/1")] * 5)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    assert (await five.sync()).changes == 0
    five.settings = replace(NO_OVERLAP, reconcile_every=timedelta(0))
    tally = await five.sync()
    assert (tally.new, tally.deleted) == (1, 1)
    assert await five.uris() == ["a/1", "a/2", "a/3", "a/4", "a/9"]


async def test_a_source_that_forgot_the_cursor_is_listed(five: Following) -> None:
    five.feed.habits.add("forgets")
    five.feed.put("a/9", "New.")
    tally = await five.sync()
    assert (tally.mode, tally.new) == ("listing", 1)


async def test_other_settings_begin_with_a_listing(five: Following) -> None:
    await five.platform.sources.register(
        TENANT, kind="memory", name="Files", settings={"folder": "b"}, source=SOURCE
    )
    assert (await five.sync()).mode == "listing"


# --- cursors -----------------------------------------------------------------------------------


async def test_a_sync_that_breaks_off_between_two_pages_goes_on_from_the_last(
    five: Following,
) -> None:
    for number in range(10, 16):
        five.feed.put(f"a/{number}", f"Text {number}.")
    five.feed.remove("a/0")
    five.feed.fails_after_pages = 2
    five.feed.pages_given.clear()
    with pytest.raises(SourceUnavailable):
        await five.find()
    assert {job.uri for job in await five.pending()} == {f"a/{n}" for n in range(10, 14)}
    five.feed.fails_after_pages = None
    first, five.feed.pages_given = five.feed.pages_given, []
    await five.sync()
    assert not set(first) & set(five.feed.pages_given), "a page was read twice"
    assert set(await five.uris()) == set(five.feed.files)


async def test_a_deletion_told_before_the_break_is_made_after_it(five: Following) -> None:
    five.feed.remove("a/0")
    five.feed.remove("a/1")
    five.feed.put("a/9", "New.")
    five.feed.fails_after_pages = 1
    with pytest.raises(SourceUnavailable):
        await five.find()
    assert await five.uris() == ["a/0", "a/1", "a/2", "a/3", "a/4"]
    five.feed.fails_after_pages = None
    assert (await five.sync()).deleted == 2
    assert await five.uris() == ["a/2", "a/3", "a/4", "a/9"]


async def test_what_went_and_came_back_between_two_pages_stays(five: Following) -> None:
    five.feed.remove("a/0")
    five.feed.put("x", "In between.")
    five.feed.put("a/0", "Text 0.")
    tally = await five.sync()
    assert (tally.deleted, tally.new) == (0, 1)
    assert "a/0" in await five.uris()


async def test_windows_overlap_and_what_is_met_twice_is_made_once(five: Following) -> None:
    five.settings = replace(NO_OVERLAP, overlap=timedelta(hours=1))
    five.feed.put("a/9", "New.")
    assert (await five.sync()).new == 1
    five.feed.pages_given.clear()
    assert (await five.sync()).changes == 0
    assert five.feed.pages_given, "nothing was met twice"
    assert await five.platform.jobs.counts(TENANT) == {JobState.DONE: 6}


# --- moves -------------------------------------------------------------------------------------


async def test_a_move_is_shown_at_one_of_its_places_at_any_moment(five: Following) -> None:
    five.feed.move("a/3", "b/3")
    await five.find()
    five.feed.down = True
    [job] = await five.pending()
    claimed = await five.platform.leases.claim("one", lease=timedelta(seconds=5))
    assert claimed is not None and claimed.id == job.id
    await run_job(claimed, five.platform.work)
    assert "a/3" in await five.uris(), "neither place is shown"
    five.feed.down = False
    await five.do_jobs()
    assert await five.uris() == ["a/0", "a/1", "a/2", "a/4", "b/3"]
    assert five.platform.embedder.embedded == []


async def test_a_move_shuts_out_at_once_whom_the_new_place_does_not_admit(five: Following) -> None:
    five.feed.move("a/3", "board/3", access=readable_by(["group:board"]))
    await five.find()
    five.feed.down = True
    claimed = await five.platform.leases.claim("one", lease=timedelta(seconds=5))
    assert claimed is not None
    await run_job(claimed, five.platform.work)
    assert "a/3" not in await five.uris()
    assert await five.uris("group:board") == []
    five.feed.down = False
    await five.do_jobs()
    assert await five.uris("group:board") == ["board/3"]


async def test_what_took_the_old_place_meanwhile_is_left_alone(five: Following) -> None:
    five.feed.move("a/3", "b/3")
    await five.find()
    five.feed.put("a/3", "Another document.")
    await five.sync()
    await five.sync()
    assert {"a/3", "b/3"} <= set(await five.uris())


async def test_a_copy_is_new_and_embeds_nothing(five: Following) -> None:
    file = five.feed.files["a/3"]
    five.feed.put("b/3", file.body, title=file.title)
    tally = await five.sync()
    assert (tally.new, tally.moved) == (1, 0)
    assert five.platform.embedder.embedded == []
    assert {"a/3", "b/3"} <= set(await five.uris())


async def test_whom_a_sync_shuts_out_is_out_before_any_job_is_done(five: Following) -> None:
    for number in range(4):
        five.feed.put(f"a/{number}", f"Text {number}.", access=readable_by(["group:board"]))
    five.feed.put("a/4", "Other text.", access=readable_by(["group:board", FINANCE]))
    tally = await five.find()
    assert (tally.access_changed, tally.content_changed) == (4, 1)
    assert await five.uris() == ["a/4"]
    assert await five.uris("group:board") == []
    await five.do_jobs()
    assert await five.uris() == ["a/4"]
    assert len(await five.uris("group:board")) == 5
    assert five.platform.embedder.embedded == ["a/4\nOther text."]


# --- the brake ---------------------------------------------------------------------------------


async def test_more_deletions_than_can_be_believed_wait_to_be_confirmed(forty: Following) -> None:
    for number in range(DELETED_UNASKED + 5):
        forty.feed.remove(f"a/{number}")
    forty.feed.put("new", "New.")
    tally = await forty.sync()
    assert (tally.new, tally.deleted) == (1, 0)
    assert len(await forty.uris()) == 41
    assert await forty.uris("group:other") == []
    source = await forty.platform.sources.get(TENANT, SOURCE)
    assert source.held_back == DELETED_UNASKED + 5
    assert source.last_sync_error is not None and "too many to delete" in source.last_sync_error
    assert source.problems[0][0] == "a/0"

    # One of them is there again: only what is still missing goes.
    forty.feed.put("a/0", "Text 0.")
    assert (await forty.sync()).deleted == 0
    assert (await forty.sync(confirm_deletions=True)).deleted == DELETED_UNASKED + 4
    assert set(await forty.uris()) == set(forty.feed.files)
    source = await forty.platform.sources.get(TENANT, SOURCE)
    assert (source.held_back, source.last_sync_error) == (0, None)


async def test_an_empty_folder_deletes_nothing_unasked(forty: Following) -> None:
    forty.settings = replace(NO_OVERLAP, reconcile_every=timedelta(0))
    forty.feed.files.clear()
    await forty.sync()
    assert len(await forty.uris()) == 40


async def test_the_brake_can_be_set(forty: Following) -> None:
    forty.settings = replace(NO_OVERLAP, max_deleted_share=1)
    for number in range(40):
        forty.feed.remove(f"a/{number}")
    assert (await forty.sync()).deleted == 40
    assert await forty.uris() == []


async def test_a_few_deletions_are_never_held_back(five: Following) -> None:
    for number in range(5):
        five.feed.remove(f"a/{number}")
    assert (await five.sync()).deleted == 5


# --- sources that lie --------------------------------------------------------------------------

LISTED_ANEW = replace(NO_OVERLAP, reconcile_every=timedelta(0))


async def test_other_bytes_under_the_same_revision_show_by_their_size(five: Following) -> None:
    five.settings = LISTED_ANEW
    five.feed.rewrite_quietly("a/0", b"A text of another length.")
    assert (await five.sync()).content_changed == 1
    assert "A text of another length." in await five.texts()


async def test_other_bytes_of_the_same_size_are_met_by_rechecking_in_turn(five: Following) -> None:
    five.settings = replace(LISTED_ANEW, recheck=2)
    five.feed.rewrite_quietly("a/3", b"TEXT 3.")
    for _ in range(4):
        assert (await five.sync()).changes == 0
    assert "TEXT 3." in await five.texts()
    assert set(five.feed.fetched) == set(five.feed.files)
    assert five.platform.embedder.embedded == ["a/3\nTEXT 3."]


@pytest.mark.parametrize("habit", ["repeats a page", "new cursors for ever"])
async def test_a_page_given_for_ever_ends_in_a_typed_error(five: Following, habit: str) -> None:
    five.feed.habits.add(habit)
    five.feed.put("a/9", "New.")
    async with asyncio.timeout(20):
        with pytest.raises(SourceInconsistent):
            await five.find()
    source = await five.platform.sources.get(TENANT, SOURCE)
    assert source.last_sync_error == "the source gives the same page of changes again"
    five.feed.habits.clear()
    await five.sync()
    assert set(await five.uris()) == set(five.feed.files)


@pytest.mark.parametrize("habit", ["never ends", "breaks off"])
async def test_a_listing_without_an_end_deletes_nothing(five: Following, habit: str) -> None:
    five.settings = LISTED_ANEW
    del five.feed.files["a/4"]
    five.feed.habits.add(habit)
    async with asyncio.timeout(20):
        with pytest.raises((SourceInconsistent, SourceUnavailable)):
            await five.find()
    assert await five.pending() == []
    five.feed.habits.clear()
    assert (await five.sync()).deleted == 1


async def test_what_one_look_misses_is_not_gone(five: Following) -> None:
    five.settings = LISTED_ANEW
    five.feed.habits.add("skips on the first look")
    assert (await five.sync()).deleted == 0
    assert len(await five.uris()) == 5


async def test_what_is_listed_twice_is_taken_in_once(five: Following) -> None:
    five.settings = LISTED_ANEW
    five.feed.habits.add("lists twice")
    five.feed.put("a/9", "New.")
    tally = await five.sync()
    assert (tally.new, tally.seen, tally.problems) == (1, 6, 0)
    five.feed.habits.add("contradicts itself")
    assert (await five.sync()).problems == 6


async def test_what_lies_below_something_unreadable_is_not_gone(five: Following) -> None:
    five.settings = LISTED_ANEW
    for uri in ("a/0", "a/1"):
        del five.feed.files[uri]
    five.feed.put("b", "B.")
    await five.sync()
    del five.feed.files["b"]
    for uri in ("a/2", "a/3", "a/4"):
        del five.feed.files[uri]
    five.feed.problems = [Problem("a", "it may not be read", hides=True)]
    assert (await five.sync()).deleted == 1
    assert await five.uris() == ["a/2", "a/3", "a/4"]


async def test_a_silent_source_is_given_up_in_time(five: Following) -> None:
    five.feed.habits.add("is silent")
    patient = PatientConnector(inner=five.feed, seconds=0.05)
    with pytest.raises(SourceUnavailable, match="silent"):
        await synchronise(
            patient,
            tenant=TENANT,
            batch="slow",
            ledger=ledger_of(five.platform),
            settings=LISTED_ANEW,
        )


async def test_a_sync_waits_for_as_long_as_the_source_asked(five: Following) -> None:
    five.feed.put("a/9", "New.")
    five.feed.fails_after_pages = 0
    [job] = await five.platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    claimed = await five.platform.leases.claim("one", lease=timedelta(seconds=5))
    assert claimed is not None
    await run_job(claimed, five.platform.work)
    waiting = await five.platform.jobs.get(TENANT, job)
    assert waiting.state is JobState.WAITING
    assert waiting.started_at is not None
    assert waiting.not_before - waiting.started_at >= timedelta(seconds=60)


# --- schedules ---------------------------------------------------------------------------------


async def scheduled(five: Following, settings: dict[str, Any]) -> Work:
    await five.platform.sources.register(
        TENANT, kind="memory", name="Files", settings=settings, source=SOURCE
    )
    return five.platform.work


async def test_a_source_is_synchronised_by_itself_when_it_is_due_and_never_twice(
    five: Following,
) -> None:
    work = await scheduled(five, {"sync_every": "15m"})
    assert await enqueue_due_syncs(work) == 0
    later = replace(
        work,
        sources=replace(work.sources, clock=lambda: work.jobs.clock() + timedelta(minutes=16)),
    )
    five.feed.put("a/9", "New.")
    assert await enqueue_due_syncs(later) == 1
    assert await enqueue_due_syncs(later) == 0
    [job] = await five.pending()
    assert job.kind is JobKind.SYNC
    claimed = await five.platform.leases.claim("one", lease=timedelta(seconds=5))
    assert claimed is not None
    assert await enqueue_due_syncs(later) == 0
    await run_job(claimed, work)
    await five.do_jobs()
    assert "a/9" in await five.uris()
    source = await work.sources.get(TENANT, SOURCE)
    assert source.last_sync_at is not None
    assert next_sync_of(source) == source.last_sync_at + timedelta(minutes=15)


async def test_a_paused_source_and_one_without_a_schedule_are_never_due(five: Following) -> None:
    work = await scheduled(five, {})
    assert next_sync_of(await work.sources.get(TENANT, SOURCE)) is None
    work = await scheduled(five, {"sync_every": "15m"})
    await work.sources.set_state(TENANT, SOURCE, SourceState.PAUSED)
    assert next_sync_of(await work.sources.get(TENANT, SOURCE)) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"sync_every": "often"},
        {"sync_every": "1s"},
        {"sync_every": 15},
        {"reconcile_every": "-1h"},
        {"overlap": None},
        {"max_deleted_share": 30},
        {"max_deleted_share": True},
        {"max_deleted_share": float("nan")},
        {"recheck": -1},
        {"recheck": 0.5},
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(settings: dict[str, object]) -> None:
    with pytest.raises(Error, match=next(iter(settings))):
        SyncSettings.of(settings)


async def test_progress_tells_a_rate(five: Following) -> None:
    progress = await five.platform.sources.progress(TENANT, SOURCE)
    assert progress == Progress(5, done=5, failed=0)
    assert progress.per_second is not None and progress.per_second > 0
    assert progress.eta_s is None
    assert replace(progress, done=3).eta_s == pytest.approx(2 / progress.per_second)
