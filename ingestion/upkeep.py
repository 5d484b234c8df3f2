"""What is done now and then, so that what is over takes no room and bytes do not outlive need."""

from datetime import timedelta

from ingestion.jobs import Work

JOBS_KEPT = timedelta(days=30)
STRAYS_AFTER = timedelta(hours=1)
"""Longer than bytes lie stored before the ledger names them."""


async def tidy(
    work: Work, *, jobs_kept: timedelta = JOBS_KEPT, strays_after: timedelta = STRAYS_AFTER
) -> None:
    """Forget jobs long over, and originals that an ingest cut short left to nobody.

    Errors: `StorageUnavailable`.
    """
    moment = work.jobs.clock()
    await work.jobs.prune(before=moment - jobs_kept)
    stored = await work.originals.stored(before=moment - strays_after)
    for digest in await work.documents.strays(stored):
        async with work.documents.unreferenced(digest) as nobody_needs_it:
            if nobody_needs_it:
                await work.originals.remove(digest)
