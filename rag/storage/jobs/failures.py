"""Jobs that failed for good or gave up: what kinds there are, and all of a kind tried again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import aliased

from rag.access import TenantId
from rag.storage.database import Database
from rag.storage.jobs.ledger import Jobs, again, has_ended_since
from rag.storage.jobs.records import Job, JobKind, JobState
from rag.storage.jobs.rows import COLUMNS, job_of
from rag.storage.tables import JobRow, UtcDateTime
from rag.types import SourceId

FAILED_STATES = (JobState.FAILED, JobState.DEAD)
_LIVE = (JobState.QUEUED.value, JobState.WAITING.value, JobState.RUNNING.value)
_RETRIED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Jobs that ended in the same state, for the same kind of reason."""

    state: JobState
    error_class: str | None
    jobs: int
    first: datetime
    last: datetime
    example: Job


@dataclass(frozen=True, slots=True)
class Failures:
    """Speaks of failures that still stand: no later job was made for the same document. An old
    deletion that failed must not remove what came back since. Errors: `StorageUnavailable`."""

    database: Database

    async def groups(
        self,
        tenant: TenantId | None,
        *,
        source: SourceId | None = None,
        kind: JobKind | None = None,
        since: datetime | None = None,
    ) -> list[FailureGroup]:
        """By state and kind of error, the most frequent first; of jobs made from `since` on. Without `tenant`, of all of them:
        what an example says is for its own tenant alone."""
        columns = (
            JobRow.state,
            JobRow.error_class,
            func.count().label("jobs"),
            func.min(JobRow.since, type_=UtcDateTime).label("first"),
            func.max(JobRow.since, type_=UtcDateTime).label("last"),
            func.max(JobRow.id).label("example"),
        )
        grouped = (
            _standing(columns, tenant, FAILED_STATES, source, None, kind=kind, since=since)
            .group_by(JobRow.state, JobRow.error_class)
            .order_by(func.count().desc(), JobRow.error_class)
        )
        rows = await self.database.rows(grouped)
        examples = select(*COLUMNS).where(JobRow.id.in_([row.example for row in rows]))
        by_id = {row.id: job_of(row) for row in await self.database.rows(examples)}
        return [
            FailureGroup(
                state=JobState(row.state),
                error_class=row.error_class,
                jobs=row.jobs,
                first=row.first,
                last=row.last,
                example=by_id[row.example],
            )
            for row in rows
            if row.example in by_id  # else it was forgotten between the two questions
        ]

    async def retry_all(
        self,
        jobs: Jobs,
        tenant: TenantId,
        *,
        states: Sequence[JobState] = FAILED_STATES,
        source: SourceId | None = None,
        error_class: str | None = None,
    ) -> int:
        """Queue them again; the number of them."""
        retried, last = 0, ""
        statement = _standing(COLUMNS, tenant, states, source, error_class)
        while True:
            page = statement.where(JobRow.id > last).order_by(JobRow.id).limit(_RETRIED_AT_ONCE)
            failed = [job_of(row) for row in await self.database.rows(page)]
            if not failed:
                return retried
            await jobs.enqueue([again(job) for job in failed])
            retried, last = retried + len(failed), failed[-1].id


def _standing(
    columns: Sequence[Any],
    tenant: TenantId | None,
    states: Sequence[JobState],
    source: SourceId | None,
    error_class: str | None,
    *,
    kind: JobKind | None = None,
    since: datetime | None = None,
) -> Select[*tuple[Any, ...]]:
    live = aliased(JobRow)
    is_retried = exists().where(
        live.source == JobRow.source, live.subject == JobRow.subject, live.state.in_(_LIVE)
    )
    statement = select(*columns).where(
        JobRow.state.in_([state.value for state in states]),
        ~is_retried,
        ~has_ended_since(),
    )
    if tenant is not None:
        statement = statement.where(JobRow.tenant == tenant)
    if kind is not None:
        statement = statement.where(JobRow.kind == kind.value)
    if since is not None:
        statement = statement.where(JobRow.created_at >= since)
    if source is not None:
        statement = statement.where(JobRow.source == source)
    if error_class is not None:
        statement = statement.where(JobRow.error_class == error_class)
    return statement
