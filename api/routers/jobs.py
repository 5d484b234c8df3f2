"""The job ledger, for those who look after it: what waits and why, what failed, and again."""

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.shapes import JobAccepted, Schema
from rag.access import TenantId
from rag.storage.jobs.failures import FAILED_STATES, FailureGroup, Failures
from rag.storage.jobs.records import Job, JobId, JobKind, JobState
from rag.storage.jobs.situations import Cause, Situation, Situations
from rag.types import SourceId

router = APIRouter(prefix="/v1/admin/jobs", tags=["administration"], responses=PROBLEMS)

ConnectorQuery = Annotated[str | None, Query(max_length=64)]


class JobOut(Schema):
    id: str
    connector: str
    kind: JobKind
    uri: str | None
    state: JobState
    urgency: str = Field(description="at_once, awaited, routine or spare_time.")
    why: str = Field(description="Why it is where it is, in words.")
    cause: Cause | None = Field(description="What it waits for; null when it is over.")
    since: datetime = Field(description="When it came into its state.")
    age_s: float = Field(description="How long ago that is.")
    until: datetime | None = Field(description="When that changes by itself, where it is known.")
    attempts: int
    max_attempts: int
    error_class: str | None
    error: str | None
    outcome: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    not_before: datetime
    worker: str | None
    heartbeat_at: datetime | None
    lease_until: datetime | None

    @classmethod
    def of(cls, job: Job, situation: Situation) -> Self:
        return cls(
            id=job.id,
            connector=job.source,
            kind=job.kind,
            uri=job.uri,
            state=job.state,
            urgency=job.urgency.name.lower(),
            why=situation.words,
            cause=situation.cause,
            since=situation.since,
            age_s=round(situation.age.total_seconds(), 1),
            until=situation.until,
            attempts=job.attempts,
            max_attempts=job.max_attempts,
            error_class=job.error_class,
            error=job.error,
            outcome=job.outcome,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            not_before=job.not_before,
            worker=job.lease_owner,
            heartbeat_at=job.heartbeat_at,
            lease_until=job.lease_until,
        )


class JobsOut(Schema):
    jobs: list[JobOut]
    counts: dict[str, int]
    """All jobs of the tenant, by state."""


class FailureOut(Schema):
    state: JobState
    error_class: str | None
    jobs: int
    first: datetime
    last: datetime
    example_id: str | None
    example_uri: str | None
    example_connector: str | None
    example_error: str | None

    @classmethod
    def of(cls, group: FailureGroup) -> Self:
        return cls(
            state=group.state,
            error_class=group.error_class,
            jobs=group.jobs,
            first=group.first,
            last=group.last,
            example_id=group.example.id,
            example_uri=group.example.uri,
            example_connector=group.example.source,
            example_error=group.example.error,
        )

    @classmethod
    def for_tenant(cls, tenant: TenantId, group: FailureGroup) -> Self:
        """Without its example where that is another tenant's."""
        shown = cls.of(group)
        if group.example.tenant == tenant:
            return shown
        nothing = dict.fromkeys(name for name in cls.model_fields if name.startswith("example_"))
        return shown.model_copy(update=nothing)


class FailuresOut(Schema):
    failures: list[FailureOut]


class RetryRequest(Schema):
    """What is left out narrows nothing down."""

    state: Literal["failed", "dead"] | None = None
    connector: str | None = Field(default=None, max_length=64)
    error_class: str | None = Field(default=None, max_length=255)


class RetriedOut(Schema):
    retried: int


@router.get("")
async def list_jobs(
    *,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    state: JobState | None = None,
    connector: ConnectorQuery = None,
    error_class: Annotated[str | None, Query(max_length=255)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> JobsOut:
    """The newest first, each with why it is where it is and since when."""
    tenant = caller.principal.tenant
    jobs = await platform.jobs.listed(
        tenant,
        state=state,
        source=None if connector is None else SourceId(connector),
        error_class=error_class,
        limit=limit,
        offset=offset,
    )
    situations = await Situations(platform.database).of(jobs)
    counts = await platform.jobs.counts(tenant)
    return JobsOut(
        jobs=[JobOut.of(job, situations[job.id]) for job in jobs],
        counts={each.value: count for each, count in counts.items()},
    )


@router.get("/failures")
async def list_failures(
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    connector: ConnectorQuery = None,
) -> FailuresOut:
    """What failed for good or gave up and still stands, by kind of error with one example each."""
    groups = await Failures(platform.database).groups(
        caller.principal.tenant, source=None if connector is None else SourceId(connector)
    )
    return FailuresOut(failures=[FailureOut.of(group) for group in groups])


@router.post("/retry", status_code=202)
async def retry_jobs(
    request: RetryRequest,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> RetriedOut:
    """Queue again what failed for good or gave up, all of it or what the filters name. Documents
    that a later job was made for are left alone."""
    retried = await Failures(platform.database).retry_all(
        platform.jobs,
        caller.principal.tenant,
        states=FAILED_STATES if request.state is None else (JobState(request.state),),
        source=None if request.connector is None else SourceId(request.connector),
        error_class=request.error_class,
    )
    return RetriedOut(retried=retried)


@router.get("/{job_id}", responses=problems(404))
async def show_job(
    job_id: str, caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> JobOut:
    """One job, with why it is where it is and who is before it."""
    job = await platform.jobs.get(caller.principal.tenant, JobId(job_id))
    situations = await Situations(platform.database).of([job], count_ahead=True)
    return JobOut.of(job, situations[job.id])


@router.post("/{job_id}/retry", status_code=202, responses=problems(404))
async def retry_job(
    job_id: str, caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> JobAccepted:
    """Queue a job again that failed, died or waits. The id may be that of a later job, if one is
    queued for the same document already; one that a later job has overtaken is a 422."""
    again = await platform.jobs.retry(caller.principal.tenant, JobId(job_id))
    return JobAccepted(job_id=again)
