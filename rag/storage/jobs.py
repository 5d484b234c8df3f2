"""The ledger of jobs: what is to be done, by whom it is being done, and how it went.

A job is leased, not taken: whoever runs it keeps extending the lease, and a job whose lease has
run out is queued again. Of one subject (a document, or a source as a whole) at most one job
waits and at most one runs; a new job takes the place of the waiting one, for it knows more.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import aliased

from rag.access import TenantId
from rag.errors import NotFound
from rag.storage.database import Database, insert_into
from rag.storage.records import Digest, Job, JobId, JobKind, JobState, NewJob, SourceState
from rag.storage.tables import PENDING, JobRow, SourceRow
from rag.types import SourceId

Due = tuple[JobId, int]
"""A job that may be begun now, and how often it was begun before."""

Announce = Callable[[Sequence[Due]], Awaitable[None]]
"""Tells whoever runs jobs that these may be begun. It may fail to; it must not raise."""

_OVER = (JobState.DONE.value, JobState.FAILED.value, JobState.DEAD.value)
_RETRYABLE = (JobState.FAILED.value, JobState.DEAD.value, JobState.WAITING.value)
SUPERSEDED = "superseded by a later job"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, in words that an administrator may read."""

    error_class: str
    reason: str


_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
_LOST = Failure("WorkerLost", "the worker that ran it was lost")


async def announce_to_nobody(_jobs: Sequence[Due]) -> None:
    """For those who enqueue where nobody listens: a sweeper finds the jobs."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Jobs:
    """Errors: `StorageUnavailable`."""

    database: Database
    announce: Announce = announce_to_nobody
    clock: Callable[[], datetime] = _now

    # --- whoever has work -----------------------------------------------------------------------

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[JobId]:
        """All of them or none, announced once they are durable. Ids in the order of `jobs`."""
        if not jobs:
            return []
        moment = self.clock()
        rows = {(job.source, job.subject): _row_of(job, moment) for job in jobs}
        insert = insert_into(self.database, JobRow)
        # A change of access or a reindexing never takes the place of content that is on its way.
        knows_more = _weight(insert.excluded["kind"]) >= _weight(JobRow.kind)
        statement = insert.on_conflict_do_update(
            index_elements=["source", "subject"],
            index_where=PENDING,
            set_={
                name: case((knows_more, insert.excluded[name]), else_=getattr(JobRow, name))
                for name in _REPLACED
            }
            | {"priority": _lesser(insert.excluded["priority"])},
        ).returning(JobRow.id, JobRow.source, JobRow.subject, JobRow.attempts)
        # In one order everywhere, so that two who enqueue the same jobs cannot wait on each other.
        ordered = [rows[key] for key in sorted(rows)]
        queued = await self.database.write(
            lambda connection: connection.execute(statement, ordered).all()
        )
        await self.announce([(JobId(row.id), row.attempts) for row in queued])
        ids = {(row.source, row.subject): JobId(row.id) for row in queued}
        return [ids[job.source, job.subject] for job in jobs]

    async def retry(self, tenant: TenantId, job: JobId) -> JobId:
        """Queue a job again that failed, died or waits. Raises `NotFound`.

        Where a later job for the same subject waits already, that one is meant.
        """
        found = await self.get(tenant, job)
        if found.state.value not in _RETRYABLE:
            return job
        again = NewJob(
            tenant=found.tenant,
            source=found.source,
            kind=found.kind,
            uri=found.uri,
            payload=found.payload,
            original=found.original,
            batch=found.batch,
            priority=found.priority,
            max_attempts=found.max_attempts,
        )
        return (await self.enqueue([again]))[0]

    # --- whoever runs it ------------------------------------------------------------------------

    async def claim(self, owner: str, *, lease: timedelta) -> Job | None:
        """The most urgent job that may be begun now, leased to `owner`; None if there is none."""
        return await self._claim(owner, lease)

    async def claim_named(self, job: JobId, owner: str, *, lease: timedelta) -> Job | None:
        """This job, leased to `owner`; None if it is over, not due or in other hands."""
        return await self._claim(owner, lease, _candidate.id == job)

    async def extend(self, job: Job, *, lease: timedelta) -> bool:
        """Whether the lease was still this owner's, and is now longer."""
        return await self._settle(job, lease_until=self.clock() + lease)

    async def done(self, job: Job, outcome: str) -> bool:
        """Like the three below: False when the lease had been lost, and nothing was written."""
        return await self._over(job, JobState.DONE, outcome=outcome)

    async def failed(self, job: Job, failure: Failure) -> bool:
        return await self._over(job, JobState.FAILED, **_values_of(failure))

    async def died(self, job: Job, failure: Failure) -> bool:
        return await self._over(job, JobState.DEAD, **_values_of(failure))

    async def wait(self, job: Job, failure: Failure, *, delay: timedelta) -> bool:
        """Try again after `delay`, unless a later job for the same subject waits already."""
        return await self._put_back(
            job, state=JobState.WAITING, not_before=self.clock() + delay, **_values_of(failure)
        )

    async def release(self, job: Job) -> bool:
        """Give the job back undone, as if it had never been begun."""
        return await self._put_back(
            job, state=JobState.QUEUED, not_before=self.clock(), attempts=job.attempts - 1
        )

    # --- whoever keeps order --------------------------------------------------------------------

    async def sweep(self, *, all_leases: bool = False) -> int:
        """Take back the jobs whose lease ran out; the number of them.

        `all_leases`: those of every owner, at the start of the one process that runs jobs.
        """
        lost = JobRow.state == JobState.RUNNING.value
        if not all_leases:
            lost = and_(lost, JobRow.lease_until < self.clock())
        rows = await self.database.rows(select(*_COLUMNS).where(lost))
        for job in map(_job_of, rows):
            if job.attempts >= job.max_attempts:
                await self._over(job, JobState.DEAD, **_values_of(_LOST))
            else:
                await self._put_back(
                    job, state=JobState.QUEUED, not_before=self.clock(), **_values_of(_LOST)
                )
        return len(rows)

    async def due(self, *, limit: int = 1000) -> list[Due]:
        """The most urgent first."""
        statement = (
            select(JobRow.id, JobRow.attempts)
            .where(PENDING, JobRow.not_before <= self.clock(), _free())
            .order_by(JobRow.priority, JobRow.created_at)
            .limit(limit)
        )
        rows = await self.database.rows(statement)
        return [(JobId(row.id), row.attempts) for row in rows]

    async def next_due(self) -> datetime | None:
        """When the first of the jobs that wait may be begun; in the past if it may be now."""
        statement = select(func.min(JobRow.not_before).label("due")).where(PENDING, _free())
        [row] = await self.database.rows(statement)
        return row.due

    async def prune(self, *, before: datetime) -> int:
        """Forget jobs that were over before then, except those of a source's last sync."""
        current = select(SourceRow.batch).where(SourceRow.batch.is_not(None))
        statement = delete(JobRow).where(
            JobRow.state.in_(_OVER),
            JobRow.finished_at < before,
            or_(JobRow.batch.is_(None), JobRow.batch.not_in(current)),
        )
        return await self.database.write(lambda connection: connection.execute(statement).rowcount)

    # --- whoever looks --------------------------------------------------------------------------

    async def get(self, tenant: TenantId, job: JobId) -> Job:
        """Raises `NotFound`."""
        statement = select(*_COLUMNS).where(JobRow.id == job, JobRow.tenant == tenant)
        rows = await self.database.rows(statement)
        if not rows:
            raise NotFound("there is no such job")
        return _job_of(rows[0])

    async def listed(
        self,
        tenant: TenantId,
        *,
        state: JobState | None = None,
        source: SourceId | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Job]:
        """The newest first."""
        statement = (
            select(*_COLUMNS)
            .where(JobRow.tenant == tenant)
            .order_by(JobRow.created_at.desc(), JobRow.id)
            .limit(limit)
            .offset(offset)
        )
        if state is not None:
            statement = statement.where(JobRow.state == state.value)
        if source is not None:
            statement = statement.where(JobRow.source == source)
        return [_job_of(row) for row in await self.database.rows(statement)]

    async def counts(self, tenant: TenantId | None = None) -> dict[JobState, int]:
        statement = select(JobRow.state, func.count().label("jobs")).group_by(JobRow.state)
        if tenant is not None:
            statement = statement.where(JobRow.tenant == tenant)
        return {JobState(row.state): row.jobs for row in await self.database.rows(statement)}

    # --- inside ---------------------------------------------------------------------------------

    async def _claim(
        self, owner: str, lease: timedelta, *conditions: ColumnElement[bool]
    ) -> Job | None:
        moment = self.clock()
        most_urgent = (
            select(_candidate.id)
            .where(PENDING, _candidate.not_before <= moment, _free(_candidate), *conditions)
            .order_by(_candidate.priority, _candidate.created_at)
            .limit(1)
            .with_for_update(of=_candidate, skip_locked=True)
            .scalar_subquery()
        )
        statement = (
            update(JobRow)
            .where(JobRow.id == most_urgent)
            .values(
                state=JobState.RUNNING.value,
                attempts=JobRow.attempts + 1,
                lease_owner=owner,
                lease_until=moment + lease,
                started_at=moment,
            )
            .returning(*_COLUMNS)
        )
        row = await self.database.write(
            lambda connection: connection.execute(statement).one_or_none()
        )
        return None if row is None else _job_of(row)

    async def _over(self, job: Job, state: JobState, **values: Any) -> bool:
        return await self._settle(
            job, state=state.value, finished_at=self.clock(), lease_owner=None, lease_until=None,
            **values,
        )  # fmt: skip

    async def _put_back(self, job: Job, *, state: JobState, **values: Any) -> bool:
        moment = self.clock()

        def work(connection: Connection) -> bool:
            if _has_successor(connection, job):
                over: dict[str, Any] = {"outcome": SUPERSEDED, "finished_at": moment}
                statement = _held(job).values(state=JobState.DONE.value, **_NO_LEASE, **over)
            else:
                statement = _held(job).values(state=state.value, **_NO_LEASE, **values)
            return connection.execute(statement).rowcount > 0

        put_back = await self.database.write(work)
        if put_back and state is JobState.QUEUED:
            await self.announce([(job.id, values.get("attempts", job.attempts))])
        return put_back

    async def _settle(self, job: Job, **values: Any) -> bool:
        statement = _held(job).values(**values)
        return await self.database.write(
            lambda connection: connection.execute(statement).rowcount > 0
        )


def _held(job: Job) -> Any:
    """An update of `job` that does nothing once the lease is another's, or a later one."""
    return update(JobRow).where(
        JobRow.id == job.id,
        JobRow.state == JobState.RUNNING.value,
        JobRow.lease_owner == job.lease_owner,
        JobRow.attempts == job.attempts,
    )


def _has_successor(connection: Connection, job: Job) -> bool:
    own = select(JobRow.source, JobRow.subject).where(JobRow.id == job.id).subquery()
    statement = select(JobRow.id).where(
        JobRow.source == own.c.source, JobRow.subject == own.c.subject, _IS_PENDING
    )
    return connection.execute(statement).first() is not None


_IS_PENDING = JobRow.state.in_(("queued", "waiting"))


_candidate = aliased(JobRow)


def _free(job: type[JobRow] = JobRow) -> ColumnElement[bool]:
    """Nobody works on the same subject, and the source is not paused."""
    other = aliased(JobRow)
    busy = exists().where(
        other.source == job.source,
        other.subject == job.subject,
        other.state == JobState.RUNNING.value,
    )
    paused = exists().where(SourceRow.id == job.source, SourceRow.state == SourceState.PAUSED.value)
    return and_(~busy, ~paused)


_REPLACED = (
    "kind",
    "uri",
    "payload",
    "original",
    "batch",
    "state",
    "attempts",
    "max_attempts",
    "not_before",
    "error_class",
    "error",
    "created_at",
)
"""What a waiting job takes over from the one that replaces it."""


def _weight(kind: Any) -> Any:
    return case(
        (kind == JobKind.UPSERT.value, 2),
        (kind == JobKind.DELETE.value, 2),
        (kind == JobKind.ACCESS.value, 1),
        else_=0,
    )


def _lesser(excluded: ColumnElement[int]) -> Any:
    return case((JobRow.priority < excluded, JobRow.priority), else_=excluded)


def _values_of(failure: Failure) -> dict[str, str]:
    return {"error_class": failure.error_class, "error": failure.reason}


def _row_of(job: NewJob, moment: datetime) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "tenant": job.tenant,
        "source": job.source,
        "kind": job.kind.value,
        "subject": job.subject,
        "uri": job.uri,
        "payload": dict(job.payload),
        "original": job.original,
        "batch": job.batch,
        "state": JobState.QUEUED.value,
        "priority": job.priority,
        "attempts": 0,
        "max_attempts": job.max_attempts,
        "not_before": moment,
        "error_class": None,
        "error": None,
        "created_at": moment,
    }


_COLUMNS = (
    JobRow.id,
    JobRow.tenant,
    JobRow.source,
    JobRow.kind,
    JobRow.uri,
    JobRow.payload,
    JobRow.original,
    JobRow.batch,
    JobRow.state,
    JobRow.priority,
    JobRow.attempts,
    JobRow.max_attempts,
    JobRow.lease_owner,
    JobRow.lease_until,
    JobRow.not_before,
    JobRow.error_class,
    JobRow.error,
    JobRow.outcome,
    JobRow.created_at,
    JobRow.started_at,
    JobRow.finished_at,
)


def _job_of(row: Any) -> Job:
    return Job(
        id=JobId(row.id),
        tenant=TenantId(row.tenant),
        source=SourceId(row.source),
        kind=JobKind(row.kind),
        uri=row.uri,
        payload=row.payload,
        original=Digest(row.original) if row.original else None,
        batch=row.batch,
        state=JobState(row.state),
        priority=row.priority,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
        not_before=row.not_before,
        error_class=row.error_class,
        error=row.error,
        outcome=row.outcome,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
