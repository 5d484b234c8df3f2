"""Sources that are synchronised by themselves: which of them are due."""

import logging
from datetime import datetime, timedelta

from ingestion.jobs import Work, sync_job
from ingestion.sync_settings import SyncSettings
from rag.errors import ConfigurationError
from rag.storage.jobs.records import JobKind, NewJob
from rag.storage.sources.records import Source, SourceState

log = logging.getLogger(__name__)

_BACK_AT_LEAST = timedelta(minutes=1)
"""By less, two machines' clocks may differ."""


def next_sync_of(source: Source) -> datetime | None:
    """When the source is due; None where nothing syncs it by itself."""
    every = SyncSettings.of(source.settings).sync_every
    if every is None or source.state is not SourceState.ENABLED:
        return None
    return source.created_at if source.last_sync_at is None else source.last_sync_at + every


async def enqueue_due_syncs(work: Work) -> int:
    """Enqueue a sync of each source that is due and that none is queued or running for; how many.

    Any number of processes may call it: of a source only one sync waits and one runs, and the
    interval begins again when one ends, be it with an error. Errors: `StorageUnavailable`.
    """
    moment = work.sources.clock()
    due: list[NewJob] = []
    for source in await work.sources.listed():
        try:
            next_sync = next_sync_of(source)
        except ConfigurationError as error:
            # One source that was set wrongly must not keep the others waiting.
            log.warning("source %s is not synchronised by itself: %s", source.id, error)
            continue
        if next_sync is None:
            continue
        # A clock that was set back must not keep a source waiting for the time to come round.
        is_ahead = source.last_sync_at is not None and source.last_sync_at > moment + _BACK_AT_LEAST
        if next_sync <= moment or is_ahead:
            due.append(sync_job(source.tenant, source.id))
    syncing = await work.sources.with_job([job.source for job in due], subject=JobKind.SYNC.value)
    due = [job for job in due if job.source not in syncing]
    await work.jobs.enqueue(due)
    return len(due)
