"""What moved, was copied or has other readers: nothing is embedded, and nobody sees too much."""

from datetime import timedelta

from ingestion.jobs import run_job
from rag.access import readable_by
from tests.ingestion.sync.following import FINANCE, Following


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
    five.feed.put("b/3", file.body.read(), title=file.title)
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
