"""Syncing a source of an open platform, and waiting until all that it led to has ended."""

import asyncio

from api.platform import Platform
from ingestion.jobs import sync_job
from rag.storage.jobs.records import Job, JobId, JobState
from rag.storage.sources.records import Source

ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.DEAD})


async def sync(platform: Platform, source: Source) -> list[Job]:
    """The jobs that it took to follow the source, as they ended."""
    [listing] = await platform.jobs.enqueue([sync_job(source.tenant, source.id)])
    listed = await end_of(platform, source, listing)
    assert listed.state is JobState.DONE, listed.error
    while True:
        if not (await platform.sources.progress(source.tenant, source.id)).pending:
            jobs = await platform.jobs.listed(source.tenant, source=source.id, limit=1_000)
            return [job for job in jobs if job.batch == listing]
        await asyncio.sleep(0.05)


async def end_of(platform: Platform, source: Source, job: JobId) -> Job:
    while True:
        found = await platform.jobs.get(source.tenant, job)
        if found.state in ENDED:
            return found
        await asyncio.sleep(0.05)
