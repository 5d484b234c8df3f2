"""Running jobs inside this process, as the embedded platform does."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from ingestion.jobs import Work, run_job
from ingestion.upkeep import tidy
from rag.errors import StorageUnavailable
from rag.storage.job_rows import Due
from rag.storage.records import Job, JobState

log = logging.getLogger(__name__)


class Bell:
    """Wakes whoever waits for jobs; given to `Jobs` as what announces them."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    async def __call__(self, _jobs: Sequence[Due] = ()) -> None:
        self._rung.set()

    async def wait(self, *, at_most: timedelta) -> None:
        """Until it is rung, also if that was before, or the time is over."""
        try:
            async with asyncio.timeout(at_most.total_seconds()):
                await self._rung.wait()
        except TimeoutError:
            return
        self._rung.clear()


def new_owner() -> str:
    """A name that no other run of any worker has."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Runs due jobs, at most `concurrency` at a time. Started by `running`."""

    work: Work
    bell: Bell
    concurrency: int = 8
    poll: timedelta = timedelta(seconds=1)
    """How long a job may lie unnoticed that nobody rang for: one that waited, or another's."""
    sweep_every: timedelta = timedelta(seconds=15)
    tidy_every: timedelta = timedelta(hours=1)
    owner: str = field(default_factory=new_owner)

    async def idle(self) -> None:
        """Returns once no job is queued, waiting or running."""
        while True:
            counts = await self.work.jobs.counts()
            if not any(map(counts.get, (JobState.QUEUED, JobState.WAITING, JobState.RUNNING))):
                return
            await asyncio.sleep(0.2)

    async def run(self) -> None:
        """Until it is cancelled; it then gives back the jobs it was at."""
        slots = asyncio.Semaphore(self.concurrency)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep())
            group.create_task(self._tidy())
            while True:
                await slots.acquire()
                job = await self._next()
                task = group.create_task(self._run(job))
                task.add_done_callback(lambda _: slots.release())

    async def _next(self) -> Job:
        while True:
            try:
                job = await self.work.leases.claim(self.owner, lease=self.work.lease)
            except StorageUnavailable:
                log.warning("the job ledger does not answer")
                job = None
            if job is not None:
                return job
            await self.bell.wait(at_most=self.poll)

    async def _run(self, job: Job) -> None:
        try:
            await run_job(job, self.work)
        except Exception:
            # One job must not end the others. Its lease runs out, and it is taken back.
            log.exception("job %s: how it went could not be recorded", job.id)
        # A later job for the same document may have waited for this one.
        await self.bell()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.sweep_every.total_seconds())
            try:
                if await self.work.leases.sweep():
                    await self.bell()
            except StorageUnavailable:
                log.warning("expired leases could not be looked for")

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(self.tidy_every.total_seconds())
            try:
                await tidy(self.work)
            except StorageUnavailable:
                log.warning("what is over could not be tidied away")


@asynccontextmanager
async def running(dispatcher: Dispatcher, *, sole: bool) -> AsyncGenerator[Dispatcher]:
    """`dispatcher` at work while the block runs.

    `sole`: no other process runs this ledger's jobs, so those that a killed predecessor left
    running are taken back at once. On leaving, jobs that have not ended are given back.
    """
    if sole:
        await dispatcher.work.leases.sweep(all_leases=True)
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
