"""The ledger of jobs, for those who run them: who works on what, until when, and how it went.

A job is leased, not taken: whoever runs it keeps extending the lease, and a job whose lease has
run out is queued again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, select, update
from sqlalchemy.orm import aliased

from rag.storage.database import Database
from rag.storage.job_rows import COLUMNS, Announce, Due, announce_to_nobody, job_of, now
from rag.storage.records import Job, JobId, JobState, SourceState
from rag.storage.tables import PENDING, JobRow, SourceRow

SUPERSEDED = "superseded by a later job"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, in words that an administrator may read."""

    error_class: str
    reason: str


_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
_LOST = Failure("WorkerLost", "the worker that ran it was lost")


@dataclass(frozen=True, slots=True)
class Leases:
    """Errors: `StorageUnavailable`."""

    database: Database
    announce: Announce = announce_to_nobody
    clock: Callable[[], datetime] = now

    # --- whoever runs a job ---------------------------------------------------------------------

    async def claim(self, owner: str, *, lease: timedelta) -> Job | None:
        """The most urgent job that may be begun now, leased to `owner`; None if there is none."""
        moment = self.clock()
        asked = {"moment": moment, "leased_to": owner, "leased_until": moment + lease}
        row = await self.database.write(
            lambda connection: connection.execute(_CLAIM, asked).one_or_none()
        )
        return None if row is None else job_of(row)

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
        rows = await self.database.rows(select(*COLUMNS).where(lost))
        for job in map(job_of, rows):
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

    # --- inside ---------------------------------------------------------------------------------

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
        JobRow.source == own.c.source, JobRow.subject == own.c.subject, PENDING
    )
    return connection.execute(statement).first() is not None


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


# Built once: it is asked several times for every job, and building it costs more than asking.
_CLAIM = (
    update(JobRow)
    .where(
        JobRow.id
        == select(_candidate.id)
        .where(PENDING, _candidate.not_before <= bindparam("moment"), _free(_candidate))
        .order_by(_candidate.priority, _candidate.created_at)
        .limit(1)
        .with_for_update(of=_candidate, skip_locked=True)
        .scalar_subquery()
    )
    .values(
        state=JobState.RUNNING.value,
        attempts=JobRow.attempts + 1,
        lease_owner=bindparam("leased_to"),
        lease_until=bindparam("leased_until"),
        started_at=bindparam("moment"),
    )
    .returning(*COLUMNS)
)


def _values_of(failure: Failure) -> dict[str, str]:
    return {"error_class": failure.error_class, "error": failure.reason}
