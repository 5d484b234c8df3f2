"""Jobs as rows: what is stored of each, and how it is read back."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from rag.access import TenantId
from rag.storage.jobs.records import Job, JobId, JobKind, JobState, NewJob
from rag.storage.records import Digest
from rag.storage.tables import JobRow
from rag.types import SourceId

Due = tuple[JobId, int]
"""A job that may be begun now, and how often it was begun before."""

Announce = Callable[[Sequence[Due]], Awaitable[None]]
"""Tells whoever runs jobs that these may be begun. It may fail to; it must not raise."""


async def announce_to_nobody(_jobs: Sequence[Due]) -> None:
    """For those who enqueue where nobody listens: a sweeper finds the jobs."""


def row_of(job: NewJob, moment: datetime) -> dict[str, Any]:
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
        "since": moment,
    }


COLUMNS = (
    JobRow.id,
    JobRow.tenant,
    JobRow.source,
    JobRow.kind,
    JobRow.subject,
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
    JobRow.since,
    JobRow.heartbeat_at,
)


def job_of(row: Any) -> Job:
    return Job(
        id=JobId(row.id),
        tenant=TenantId(row.tenant),
        source=SourceId(row.source),
        kind=JobKind(row.kind),
        subject=row.subject,
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
        since=row.since,
        heartbeat_at=row.heartbeat_at,
    )
