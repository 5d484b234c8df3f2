"""Why a job is where it is, since when, and what moves it on: for those who ask why it waits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

from sqlalchemy import func, select, tuple_

from rag.storage.database import Database
from rag.storage.jobs.records import Job, JobId, JobState
from rag.storage.jobs.workers import Worker, Workers
from rag.storage.moments import now
from rag.storage.sources.records import SourceState
from rag.storage.tables import QUEUED, RUNNING, JobRow, SourceRow

COUNTED_AHEAD = 10_000
"""Jobs ahead in line that are counted; beyond that it is "more than"."""


class Cause(StrEnum):
    """What a job that is not over waits for."""

    TURN = "turn"
    """Others are before it."""
    SAME_DOCUMENT = "same_document"
    """Another job for the same document, or the same source as a whole, runs."""
    PAUSED = "paused"
    """Its source is paused: until somebody resumes it."""
    SOURCE_FULL = "source_full"
    """Its source runs as many jobs as it may."""
    NO_WORKER = "no_worker"
    """Nobody who runs jobs was heard of lately."""
    MEMORY = "memory"
    """All who run jobs begin none, for want of memory."""
    RETRY = "retry"
    """It failed for now, and runs again at its time."""
    WORK = "work"
    """It runs."""
    LOST_WORKER = "lost_worker"
    """Its worker was not heard of any more: the sweeper is about to take it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    since: datetime
    """When the job came into its state."""
    age: timedelta
    """How long ago that is; never negative, whatever was done to the clock."""
    cause: Cause | None
    """None when it is over."""
    until: datetime | None
    """When that changes by itself, where a time is set for it."""
    words: str


@dataclass(frozen=True, slots=True)
class Situations:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def of(self, jobs: Sequence[Job], *, count_ahead: bool = False) -> dict[JobId, Situation]:
        """`count_ahead` also counts who is before each job that waits for its turn."""
        moment = self.clock()
        around = await self._around(jobs)
        situations: dict[JobId, Situation] = {}
        for job in jobs:
            cause, until, words = _explained(job, around, moment)
            if cause is Cause.TURN and count_ahead:
                words = f"waits for its turn: {await self._ahead(job)}"
            situations[job.id] = Situation(
                since=job.since,
                age=max(moment - job.since, timedelta(0)),
                cause=cause,
                until=until,
                words=words,
            )
        return situations

    async def _around(self, jobs: Sequence[Job]) -> "_Around":
        queued = [job for job in jobs if job.state is JobState.QUEUED]
        live = {job.source for job in jobs if job.state in {JobState.QUEUED, JobState.WAITING}}
        if not live:
            return _Around({}, {}, [])
        running = (
            select(func.count())
            .where(JobRow.source == SourceRow.id, JobRow.state == JobState.RUNNING.value)
            .scalar_subquery()
        )
        sources = await self.database.rows(
            select(SourceRow.id, SourceRow.name, SourceRow.state, SourceRow.max_running,
                   running.label("running")).where(SourceRow.id.in_(live))
        )  # fmt: skip
        subjects = {(job.source, job.subject) for job in queued}
        same: dict[tuple[str, str], Any] = {}
        if subjects:
            statement = select(JobRow.id, JobRow.source, JobRow.subject, JobRow.started_at).where(
                RUNNING, tuple_(JobRow.source, JobRow.subject).in_(subjects)
            )
            for row in await self.database.rows(statement):
                same[row.source, row.subject] = row
        workers = await Workers(self.database, self.clock).listed()
        return _Around({row.id: row for row in sources}, same, workers)

    async def _ahead(self, job: Job) -> str:
        """In words, who of the same source and of more urgent classes goes first."""
        before = tuple_(JobRow.priority, JobRow.created_at) < tuple_(job.priority, job.created_at)
        own = select(JobRow.id).where(QUEUED, JobRow.source == job.source, before)
        others = select(JobRow.id).where(
            QUEUED, JobRow.source != job.source, JobRow.priority < job.priority
        )
        counts: list[str] = []
        for statement, whose in ((own, "of its connector"), (others, "of others, more urgent,")):
            some = statement.limit(COUNTED_AHEAD + 1).subquery()
            [row] = await self.database.rows(select(func.count()).select_from(some))
            if row[0]:
                counts.append(f"{_counted(row[0])} {whose}")
        if not counts:
            return "it is the next of its connector"
        return f"{' and '.join(counts)} go first"


@dataclass(frozen=True, slots=True)
class _Around:
    """What the situation of a job depends on besides itself."""

    sources: Mapping[str, Any]
    same: Mapping[tuple[str, str], Any]
    workers: Sequence[Worker]


def _explained(
    job: Job, around: _Around, moment: datetime
) -> tuple[Cause | None, datetime | None, str]:
    match job.state:
        case JobState.QUEUED:
            return _why_queued(job, around)
        case JobState.WAITING:
            return _why_waiting(job, around)
        case JobState.RUNNING:
            return _how_running(job, moment)
        case JobState.DONE:
            return None, None, job.outcome or "done"
        case JobState.FAILED:
            return None, None, f"failed for good: {_error_of(job)}"
        case JobState.DEAD:
            return None, None, f"gave up after {_attempts(job)}: {_error_of(job)}"
        case _:
            assert_never(job.state)


def _why_queued(job: Job, around: _Around) -> tuple[Cause, datetime | None, str]:
    source = around.sources[job.source]
    if source.state == SourceState.PAUSED.value:
        return Cause.PAUSED, None, f"the connector {source.name} is paused"
    if (other := around.same.get((job.source, job.subject))) is not None:
        since = "" if other.started_at is None else f" since {_at(other.started_at)}"
        return Cause.SAME_DOCUMENT, None, f"job {other.id} is at the same document{since}"
    if source.max_running is not None and source.running >= source.max_running:
        most = source.max_running
        return Cause.SOURCE_FULL, None, f"{source.name} runs as many jobs as it may ({most})"
    if not around.workers:
        return Cause.NO_WORKER, None, "nobody who runs jobs was heard of in the last minute"
    paused = [worker.paused for worker in around.workers if worker.paused is not None]
    if len(paused) == len(around.workers):
        return Cause.MEMORY, None, f"no worker begins more jobs for now ({paused[0]})"
    return Cause.TURN, None, "waits for its turn"


def _why_waiting(job: Job, around: _Around) -> tuple[Cause, datetime | None, str]:
    source = around.sources[job.source]
    words = f"is tried again at {_at(job.not_before)}, after {_attempts(job)}: {_error_of(job)}"
    if source.state == SourceState.PAUSED.value:
        return Cause.PAUSED, None, f"the connector {source.name} is paused; it {words}"
    return Cause.RETRY, job.not_before, words


def _how_running(job: Job, moment: datetime) -> tuple[Cause, datetime | None, str]:
    heard = "never" if job.heartbeat_at is None else _at(job.heartbeat_at)
    if job.lease_until is not None and job.lease_until < moment:
        words = f"its worker {job.lease_owner} was last heard of at {heard}; it is taken back next"
        return Cause.LOST_WORKER, job.lease_until, words
    started = "" if job.started_at is None else f" since {_at(job.started_at)}"
    words = f"runs{started} at {job.lease_owner}, last heard of at {heard}"
    if job.lease_until is not None:
        words += f"; its lease holds until {_at(job.lease_until)}"
    return Cause.WORK, job.lease_until, words


def _error_of(job: Job) -> str:
    return f"{job.error or 'no reason was kept'} ({job.error_class or 'unknown'})"


def _attempts(job: Job) -> str:
    # Through an outage of the platform's own parts it is tried more often than it may fail.
    most = "" if job.attempts > job.max_attempts else f" of {job.max_attempts}"
    return f"attempt {job.attempts}{most}"


def _at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _counted(number: int) -> str:
    if number > COUNTED_AHEAD:
        return f"more than {COUNTED_AHEAD} jobs"
    return "1 job" if number == 1 else f"{number} jobs"
