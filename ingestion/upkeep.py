"""What is done now and then: what was left lying is taken up, what is over takes no room."""

import logging
from datetime import timedelta

from ingestion.changes import job_of_rendering
from ingestion.expiring import drop_ended_grants
from ingestion.jobs import Work
from ingestion.ledger import JobQueue
from ingestion.schedule import enqueue_due_syncs
from rag.errors import IndexUnavailable
from rag.storage.documents.ended_grants import EndedGrants
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import GenerationState

log = logging.getLogger(__name__)

RENDERED_AT_ONCE = 1_000
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
    due += await enqueue_rendering(work.generations, work.jobs, while_building=True)
    return await work.leases.sweep(lease=work.lease) + due > 0


async def enqueue_rendering(
    generations: Generations,
    jobs: JobQueue,
    *,
    while_building: bool = False,
    at_most: int = RENDERED_AT_ONCE,
) -> int:
    """A job for each document that a generation lacks and that none is about to bring there; of how
    many. `while_building` looks only where a generation is being built.

    Nothing else remembers how far a generation has come: whoever is interrupted goes on with what
    it still lacks. Errors: `StorageUnavailable`.
    """
    live = await generations.live()
    if while_building and all(each.state is not GenerationState.BUILDING for each in live):
        return 0
    lacking = await generations.lacking([each.id for each in live], limit=at_most)
    await jobs.enqueue([job_of_rendering(document) for document in lacking])
    return len(lacking)


async def tidy(
    work: Work, *, jobs_kept: timedelta = JOBS_KEPT, strays_after: timedelta = STRAYS_AFTER
) -> None:
    """Take grants that ended out of the indexes, take up documents that a generation lacks, forget
    what dropped generations held, jobs long over, and originals that an ingest cut short left to
    nobody.

    Errors: `StorageUnavailable`.
    """
    try:
        await drop_ended_grants(
            EndedGrants(work.documents.database, work.documents.clock),
            work.documents,
            await work.pipeline.generations.live(),
        )
    except IndexUnavailable:
        # The ledger shuts people out whatever the index holds; the next round finds the rest.
        log.warning("grants that ended could not be taken out of the index")
    await enqueue_rendering(work.generations, work.jobs)
    for generation in await work.generations.listed():
        if generation.state is GenerationState.DROPPED:
            await work.generations.erase(generation.id)
    moment = work.jobs.clock()
    await work.jobs.prune(before=moment - jobs_kept)
    stored = await work.originals.stored(before=moment - strays_after)
    for digest in await work.documents.strays(stored):
        async with work.documents.unreferenced(digest) as nobody_needs_it:
            if nobody_needs_it:
                await work.originals.remove(digest)
