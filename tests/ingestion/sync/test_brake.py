"""More deletions at once than can be believed wait until somebody confirms them."""

from dataclasses import replace

from ingestion.sync import DELETED_UNASKED
from tests.ingestion.platform import SOURCE, TENANT
from tests.ingestion.sync.following import LISTED_ANEW, NO_OVERLAP, Following


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
    forty.settings = LISTED_ANEW
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
