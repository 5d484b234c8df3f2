"""The ledger of jobs, for those who run them: who works on what, until when, and how it went.

A job is leased, not taken: whoever runs it keeps extending the lease, and a job whose lease has
run out is queued again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select, text, update
from sqlalchemy.orm import aliased

from rag.access import TenantId
from rag.storage.database import Database
from rag.storage.jobs.claims import Claim, claim_jobs
from rag.storage.jobs.records import Job, JobState
from rag.storage.jobs.rows import COLUMNS, Announce, announce_to_nobody, job_of
from rag.storage.moments import now
from rag.storage.tables import RUNNING, WAITING, JobRow

SUPERSEDED = "superseded by a later job"
LONGEST_WAIT = timedelta(days=1)
"""However long a source asks to be left alone, it is asked again after that."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, in words that an administrator may read."""

    error_class: str
    reason: str


_LOST = Failure("WorkerLost", "the worker that ran it was lost")


@dataclass(frozen=True, slots=True)
class Leases:
    """Errors: `StorageUnavailable`."""

    database: Database
    announce: Announce = announce_to_nobody
    clock: Callable[[], datetime] = now
    tenant_weights: Mapping[TenantId, float] = field(default_factory=dict[TenantId, float])
    """Shares of the tenants against each other; 1 where nothing is said."""

    # --- whoever runs a job ---------------------------------------------------------------------

    async def claim(self, owner: str, *, lease: timedelta) -> Job | None:
        """The job whose turn it is, leased to `owner`; None if none may be begun now."""
        claimed = await self.claim_some(owner, lease=lease, number=1)
        return claimed[0] if claimed else None

    async def claim_some(self, owner: str, *, lease: timedelta, number: int) -> list[Job]:
        """Up to `number` jobs whose turn it is, in one transaction."""
        moment = self.clock()
        claim = Claim(
            owner=owner,
            number=number,
            moment=moment,
            leased_until=moment + lease,
            tenant_weights=self.tenant_weights,
        )
        return await self.database.write(
            lambda connection: claim_jobs(connection, self.database.dialect, claim)
        )

    async def extend(self, job: Job, *, lease: timedelta) -> bool:
        """Whether the lease was still this owner's, and is now longer."""
        moment = self.clock()
        return await self._settle(job, lease_until=moment + lease, heartbeat_at=moment)

    async def done(self, job: Job, outcome: str) -> bool:
        """Like the three below: False when the lease had been lost, and nothing was written."""
        return await self._over(job, JobState.DONE, outcome=outcome)

    async def failed(self, job: Job, failure: Failure) -> bool:
        return await self._over(job, JobState.FAILED, **_values_of(failure))

    async def died(self, job: Job, failure: Failure) -> bool:
        return await self._over(job, JobState.DEAD, **_values_of(failure))

    async def wait(self, job: Job, failure: Failure, *, delay: timedelta) -> bool:
        """Try again after `delay`, unless a later job for the same subject waits already."""
        until = self.clock() + min(delay, LONGEST_WAIT)
        return await self._put_back(
            job, state=JobState.WAITING, not_before=until, **_values_of(failure)
        )

    async def release(self, job: Job) -> bool:
        """Give the job back undone, as if it had never been begun."""
        return await self._put_back(
            job, state=JobState.QUEUED, not_before=self.clock(), attempts=job.attempts - 1
        )

    # --- whoever keeps order --------------------------------------------------------------------

    async def sweep(self, *, lease: timedelta | None = None, all_leases: bool = False) -> int:
        """Take back the jobs whose lease ran out; the number of them.

        `lease`: the longest that anybody is given. What is leased or waits for much longer than
        anybody could have meant was written before the clock was set back; it is cut short.
        `all_leases`: those of every owner, at the start of the one process that runs jobs.
        """
        if lease is not None:
            await self._mend_after_a_clock_jump(lease)
        lost = RUNNING if all_leases else and_(RUNNING, JobRow.lease_until < self.clock())
        rows = await self.database.rows(select(*COLUMNS).where(lost))
        for job in map(job_of, rows):
            if job.attempts >= job.max_attempts:
                await self._over(job, JobState.DEAD, **_values_of(_LOST))
            else:
                await self._put_back(
                    job, state=JobState.QUEUED, not_before=self.clock(), **_values_of(_LOST)
                )
        return len(rows)

    # --- inside ---------------------------------------------------------------------------------

    async def _over(self, job: Job, state: JobState, **values: Any) -> bool:
        moment = self.clock()
        return await self.database.write(
            lambda connection: _write(
                connection, job, moment, state, {"finished_at": moment, **values}
            )
        )

    async def _put_back(self, job: Job, *, state: JobState, **values: Any) -> bool:
        moment = self.clock()

        def work(connection: Connection) -> bool:
            if connection.execute(_SUCCESSOR, {"this": job.id}).first() is not None:
                over = {"outcome": SUPERSEDED, "finished_at": moment}
                return _write(connection, job, moment, JobState.DONE, over)
            return _write(connection, job, moment, state, values)

        put_back = await self.database.write(work)
        if put_back and state is JobState.QUEUED:
            await self.announce([(job.id, values.get("attempts", job.attempts))])
        return put_back

    async def _settle(self, job: Job, **values: Any) -> bool:
        named = _named(job, values)
        return await self.database.write(
            lambda connection: connection.execute(_HELD, named).rowcount > 0
        )

    async def _mend_after_a_clock_jump(self, lease: timedelta) -> None:
        moment = self.clock()
        leased = update(JobRow).where(RUNNING, JobRow.lease_until > moment + 2 * lease)
        # One that began to wait later than now waits as long as it was told to, from now on.
        waiting = select(JobRow.id, JobRow.since, JobRow.not_before).where(
            WAITING, JobRow.since > moment + 2 * lease
        )
        ahead = await self.database.rows(waiting)
        waits = update(JobRow).where(
            WAITING, JobRow.id == bindparam("this"), JobRow.since == bindparam("began")
        )
        until = [
            {
                "this": row.id,
                "began": row.since,
                "since": moment,
                "not_before": moment + min(row.not_before - row.since, LONGEST_WAIT),
            }
            for row in ahead
        ]

        def work(connection: Connection) -> None:
            connection.execute(leased.values(lease_until=moment + lease))
            if until:
                connection.execute(waits, until)

        await self.database.write(work)


_HELD = update(JobRow).where(
    JobRow.id == bindparam("this"),
    RUNNING,
    JobRow.lease_owner == bindparam("held_by"),
    JobRow.attempts == bindparam("attempt"),
)
"""Does nothing once the lease is another's, or a later one."""

_successor, _own = aliased(JobRow, name="successor"), aliased(JobRow, name="own")
_SUCCESSOR = (
    select(_successor.id)
    .join(_own, (_own.source == _successor.source) & (_own.subject == _successor.subject))
    .where(_own.id == bindparam("this"), text("successor.state IN ('queued', 'waiting')"))
)


def _named(job: Job, values: Mapping[str, Any]) -> dict[str, Any]:
    held = {"this": job.id, "held_by": job.lease_owner, "attempt": job.attempts}
    return held | dict(values)


def _write(
    connection: Connection,
    job: Job,
    moment: datetime,
    state: JobState,
    values: Mapping[str, Any],
) -> bool:
    into = {"state": state.value, "since": moment, "lease_owner": None, "lease_until": None}
    return connection.execute(_HELD, _named(job, into | dict(values))).rowcount > 0


def _values_of(failure: Failure) -> dict[str, str]:
    return {"error_class": failure.error_class, "error": failure.reason}
