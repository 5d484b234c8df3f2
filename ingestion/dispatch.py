"""Running jobs: inside the platform's own process, or in one of many workers (`ingestion.worker`).

Which job is next is the ledger's to say (`rag.storage.jobs.claims`); how many at a time is said here.
"""

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ingestion.jobs import RunJob, Work, run_job
from ingestion.memory import MemoryBound
from ingestion.upkeep import keep_order, tidy
from rag.errors import StorageUnavailable
from rag.storage.jobs.records import Job, JobState
from rag.storage.jobs.rows import Due
from rag.storage.jobs.workers import WorkDone, Worker
from rag.storage.moments import now

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


@dataclass(slots=True)
class _Now:
    """What a dispatcher is at."""

    started_at: datetime
    running: int = 0
    paused: str | None = None
    """Why it begins no job, in words."""
    did: WorkDone = field(default_factory=WorkDone)

    def count(self, ended: JobState | None) -> None:
        match ended:
            case JobState.DONE:
                self.did = replace(self.did, done=self.did.done + 1)
            case JobState.FAILED:
                self.did = replace(self.did, failed=self.did.failed + 1)
            case JobState.DEAD:
                self.did = replace(self.did, dead=self.did.dead + 1)
            case JobState.WAITING:
                self.did = replace(self.did, retried=self.did.retried + 1)
            case _:  # it was given back, or is another's
                pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Runs due jobs, at most `concurrency` at a time. Started by `running`.

    While `memory` is exceeded none is begun, except that one may always run: memory that no job
    took would otherwise stop all work for good.
    """

    work: Work
    bell: Bell
    concurrency: int = 8
    memory: MemoryBound | None = None
    poll: timedelta = timedelta(seconds=1)
    """How long a job may lie unnoticed that nobody rang for: one that waited, or another's."""
    sweep_every: timedelta = timedelta(seconds=15)
    report_every: timedelta = timedelta(seconds=10)
    tidy_every: timedelta | None = timedelta(hours=1)
    """None where something else sees to it."""
    run_job: RunJob = run_job
    owner: str = field(default_factory=new_owner)
    _now: _Now = field(default_factory=lambda: _Now(now()), init=False, repr=False)

    async def idle(self) -> None:
        """Returns once no job is queued, waiting or running."""
        while True:
            if await self.work.jobs.nothing_to_do():
                return
            await asyncio.sleep(0.2)

    @property
    def has_room(self) -> bool:
        """Whether it would begin another job now."""
        return self._room() > 0

    async def run(self) -> None:
        """Until it is cancelled; it then gives back the jobs it was at."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(self.sweep_every, self._keep_order))
            group.create_task(self._every(self.report_every, self._report))
            if self.tidy_every is not None:
                group.create_task(self._every(self.tidy_every, self._tidy))
            await self._report()
            while True:
                room = self._room()
                jobs = await self._claim(room) if room else []
                for job in jobs:
                    self._now.running += 1
                    group.create_task(self._run(job))
                if not room or len(jobs) < room:
                    await self.bell.wait(at_most=self.poll)

    async def leave(self) -> None:
        """Say that this one is gone."""
        try:
            await self.work.workers.leave(self.owner)
        except StorageUnavailable:
            log.warning("the ledger could not be told that this worker ends")

    def _room(self) -> int:
        free = self.concurrency - self._now.running
        excess = self.memory.excess() if self.memory is not None and free else None
        if excess is None and self._now.paused is not None and free:
            log.info("jobs are begun again")
            self._now.paused = None
        if excess is None:
            return free
        if self._now.paused is None:
            log.warning("no more jobs are begun for now: %s", excess)
        self._now.paused = excess
        return 0 if self._now.running else 1

    async def _claim(self, room: int) -> list[Job]:
        began = time.perf_counter()
        try:
            jobs = await self.work.leases.claim_some(self.owner, lease=self.work.lease, number=room)
        except StorageUnavailable:
            log.warning("the job ledger does not answer")
            return []
        took = time.perf_counter() - began
        did = self._now.did
        self._now.did = replace(did, claims=did.claims + 1, claim_seconds=did.claim_seconds + took)
        return jobs

    async def _run(self, job: Job) -> None:
        try:
            self._now.count(await self.run_job(job, self.work))
        except Exception:
            # One job must not end the others. Its lease runs out, and it is taken back.
            log.exception("job %s: how it went could not be recorded", job.id)
        finally:
            self._now.running -= 1
        # There is room for another, and a later job for the same document may have waited.
        await self.bell()

    async def _every(self, pause: timedelta, do: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(pause.total_seconds())
            try:
                await do()
            except StorageUnavailable:
                log.warning("the ledger does not answer: %s", do.__name__.strip("_"))

    async def _keep_order(self) -> None:
        if await keep_order(self.work):
            await self.bell()

    async def _tidy(self) -> None:
        await tidy(self.work)

    async def _report(self) -> None:
        resident = None if self.memory is None else self.memory.resident
        try:
            await self.work.workers.report(
                Worker(
                    owner=self.owner,
                    started_at=self._now.started_at,
                    slots=self.concurrency,
                    running=self._now.running,
                    resident_bytes=resident,
                    paused=self._now.paused,
                    did=self._now.did,
                )
            )
        except StorageUnavailable:
            log.warning("the ledger could not be told how this worker is")


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
        await dispatcher.leave()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
