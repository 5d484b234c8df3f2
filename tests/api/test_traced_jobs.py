"""What OpenTelemetry is told of jobs, and of a process that serves no requests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from opentelemetry.trace import ProxyTracerProvider, StatusCode, get_tracer_provider

from api.tracing import exporting, traced
from ingestion.jobs import Work
from rag.access import TenantId
from rag.adapters.spans import Spans
from rag.errors import StorageUnavailable
from rag.storage.jobs.records import Job, JobId, JobKind, JobState
from rag.types import SourceId
from tests.spans import Collector

THEN = datetime(2026, 11, 1, tzinfo=UTC)
WORK = cast("Work", None)
"""Nothing here looks at it."""


def a_job(**fields: Any) -> Job:
    job = Job(
        id=JobId("job-1"),
        tenant=TenantId("acme"),
        source=SourceId("source-1"),
        kind=JobKind.UPSERT,
        subject="document-1",
        uri="file:///salaries.txt",
        payload={"title": "Salaries"},
        original=None,
        batch=None,
        state=JobState.RUNNING,
        priority=0,
        attempts=2,
        max_attempts=5,
        lease_owner="worker",
        lease_until=None,
        not_before=THEN,
        error_class=None,
        error=None,
        outcome=None,
        created_at=THEN,
        started_at=THEN,
        finished_at=None,
        since=THEN,
        heartbeat_at=None,
    )
    return replace(job, **fields)


@pytest.mark.parametrize(
    ("state", "told", "status"),
    [
        (JobState.DONE, "done", StatusCode.UNSET),
        (JobState.WAITING, "waiting", StatusCode.UNSET),
        (JobState.FAILED, "failed", StatusCode.ERROR),
        (JobState.DEAD, "dead", StatusCode.ERROR),
        (None, "lost", StatusCode.UNSET),
    ],
)
async def test_a_job_has_a_span_that_says_how_it_ended_and_never_of_what_it_was(
    state: JobState | None, told: str, status: StatusCode
) -> None:
    collector = Collector()

    async def run(job: Job, work: Work) -> JobState | None:
        _ = job, work
        return state

    run_job = traced(run, Spans(collector.get_tracer("tests")))
    assert await run_job(a_job(), WORK) is state
    [span] = collector.named("job upsert")
    assert span.ended and span.status is status
    assert span.attributes["rag.job.state"] == told
    assert span.attributes["rag.job.attempts"] == 2
    assert "alaries" not in collector.all_told()


async def test_of_a_job_that_nobody_foresaw_the_class_of_the_error_is_told() -> None:
    collector = Collector()

    async def run(job: Job, work: Work) -> JobState | None:
        raise StorageUnavailable(f"{job.uri} {work}")

    with pytest.raises(StorageUnavailable):
        await traced(run, Spans(collector.get_tracer("tests")))(a_job(), WORK)
    [span] = collector.spans
    assert span.attributes["error.type"] == "StorageUnavailable"
    assert "alaries" not in collector.all_told()


async def test_where_the_environment_names_nobody_to_tell_nothing_is_set_up() -> None:
    async with exporting():
        assert isinstance(get_tracer_provider(), ProxyTracerProvider)
