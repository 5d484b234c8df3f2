"""What is done now and then: what was left lying is taken up, what is over takes no room."""

import logging
from datetime import timedelta

from ingestion.expiring import drop_ended_grants
from ingestion.jobs import Work
from ingestion.schedule import enqueue_due_syncs
from rag.errors import IndexUnavailable
from rag.storage.documents.ended_grants import EndedGrants

log = logging.getLogger(__name__)

JOBS_KEPT = timedelta(days=30)
STRAYS_AFTER = timedelta(hours=1)
"""Longer than bytes lie stored before the ledger names them."""


async def keep_order(work: Work) -> bool:
    """Every few seconds: take up what a lost worker, or a clock that was set back, left lying, and
    sync the sources that are due. Whether there is something to begin now.

    Errors: `StorageUnavailable`.
    """
    await work.workers.forget_the_lost()
    due = await enqueue_due_syncs(work)
    return await work.leases.sweep(lease=work.lease) + due > 0


async def tidy(
    work: Work, *, jobs_kept: timedelta = JOBS_KEPT, strays_after: timedelta = STRAYS_AFTER
) -> None:
    """Take grants that ended out of the index, forget jobs long over, and originals that an ingest
    cut short left to nobody.

    Errors: `StorageUnavailable`.
    """
    try:
        await drop_ended_grants(
            EndedGrants(work.documents.database, work.documents.clock), work.pipeline.index
        )
    except IndexUnavailable:
        # The ledger shuts people out whatever the index holds; the next round finds the rest.
        log.warning("grants that ended could not be taken out of the index")
    moment = work.jobs.clock()
    await work.jobs.prune(before=moment - jobs_kept)
    stored = await work.originals.stored(before=moment - strays_after)
    for digest in await work.documents.strays(stored):
        async with work.documents.unreferenced(digest) as nobody_needs_it:
            if nobody_needs_it:
                await work.originals.remove(digest)
