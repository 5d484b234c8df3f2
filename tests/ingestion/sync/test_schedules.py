"""When a source is synchronised by itself, what can be set, and how far a sync is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingestion.jobs import Work, run_job
from ingestion.schedule import enqueue_due_syncs, next_sync_of
from ingestion.sync_settings import SyncSettings
from rag.errors import Error
from rag.storage.jobs.records import JobKind
from rag.storage.sources.records import Progress, SourceState
from tests.ingestion.platform import SOURCE, TENANT
from tests.ingestion.sync.following import Following


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
