"""Where a sync goes on: cut short between two pages, and over windows that overlap."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rag.errors import SourceUnavailable
from rag.storage.jobs.records import JobState
from tests.ingestion.platform import TENANT
from tests.ingestion.sync.following import NO_OVERLAP, Following


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
