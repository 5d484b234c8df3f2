"""What a sync finds: each kind of change, by the source's own word or by a listing."""

from dataclasses import replace

import pytest

from rag.access import readable_by
from rag.storage.sources.records import Tally
from tests.ingestion.platform import SOURCE, TENANT
from tests.ingestion.sync.following import LISTED_ANEW, Following


@pytest.mark.parametrize("everything", [False, True], ids=["by its changes", "by a listing"])
async def test_every_kind_of_change_is_told_apart(five: Following, *, everything: bool) -> None:
    if everything:
        five.settings = LISTED_ANEW
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
    five.settings = LISTED_ANEW
    assert (await five.sync()).mode == "listing"


async def test_a_listing_finds_what_the_feed_never_said(five: Following) -> None:
    five.feed.put("a/9", "Never told.")
    del five.feed.files["a/0"]
    five.feed.events.clear()
    five.feed.events.extend([five.feed.listed("a/1")] * 5)
    assert (await five.sync()).changes == 0
    five.settings = LISTED_ANEW
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
