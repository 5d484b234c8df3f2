"""What a source that lies, repeats itself or falls silent cannot do."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.patience import PatientConnector
from connectors.protocols import Problem
from ingestion.jobs import run_job, sync_job
from ingestion.sync import synchronise
from rag.errors import SourceInconsistent, SourceUnavailable
from rag.storage.jobs.records import JobState
from tests.ingestion.platform import SOURCE, TENANT
from tests.ingestion.sync.following import LISTED_ANEW, Following, ledger_of


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
