"""The job ledger, for those who look after it."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.shapes import JobAccepted, Schema
from rag.storage.records import Job, JobId, JobKind, JobState
from rag.types import SourceId

router = APIRouter(prefix="/v1/admin/jobs", tags=["administration"], responses=PROBLEMS)


class JobOut(Schema):
    id: str
    connector: str
    kind: JobKind
    uri: str | None
    state: JobState
    attempts: int
    max_attempts: int
    error_class: str | None
    error: str | None
    outcome: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    not_before: datetime

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(
            id=job.id,
            connector=job.source,
            kind=job.kind,
            uri=job.uri,
            state=job.state,
            attempts=job.attempts,
            max_attempts=job.max_attempts,
            error_class=job.error_class,
            error=job.error,
            outcome=job.outcome,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            not_before=job.not_before,
        )


class JobsOut(Schema):
    jobs: list[JobOut]
    counts: dict[str, int]
    """All jobs of the tenant, by state."""


@router.get("")
async def list_jobs(
    *,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    state: JobState | None = None,
    connector: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> JobsOut:
    """The newest first."""
    tenant = caller.principal.tenant
    jobs = await platform.jobs.listed(
        tenant,
        state=state,
        source=None if connector is None else SourceId(connector),
        limit=limit,
        offset=offset,
    )
    counts = await platform.jobs.counts(tenant)
    return JobsOut(
        jobs=[JobOut.of(job) for job in jobs],
        counts={each.value: count for each, count in counts.items()},
    )


@router.get("/{job_id}", responses=problems(404))
async def show_job(
    job_id: str, caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> JobOut:
    """One job, with why it failed."""
    return JobOut.of(await platform.jobs.get(caller.principal.tenant, JobId(job_id)))


@router.post("/{job_id}/retry", status_code=202, responses=problems(404))
async def retry_job(
    job_id: str, caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> JobAccepted:
    """Queue a job again that failed, died or waits. The id may be that of a later job, if one is
    queued for the same document already."""
    again = await platform.jobs.retry(caller.principal.tenant, JobId(job_id))
    return JobAccepted(job_id=again)
