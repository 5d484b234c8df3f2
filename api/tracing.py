"""Traces for OpenTelemetry: FastAPI makes a request's span, `rag/adapters/spans.py` what stands under
and on it. A job of a worker is a span of its own."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import (
    ProxyTracerProvider,
    StatusCode,
    TracerProvider,
    get_current_span,
    get_tracer_provider,
)

from ingestion.jobs import RunJob, Work
from rag.adapters.spans import Spans
from rag.storage.jobs.records import Job, JobState


def telemetry_of(provider: TracerProvider | None) -> TelemetryConfig:
    """Spans of requests alone. They go to `provider`, else to the one that this process has, else to
    where the environment says (`OTEL_EXPORTER_OTLP_ENDPOINT`)."""
    is_ours = provider is None and isinstance(get_tracer_provider(), ProxyTracerProvider)
    return TelemetryConfig(
        tracer_provider=provider,
        # A second exporter, beside one that somebody set up, would send everything twice.
        auto_configure=is_ours,
        # Its log records quote errors, and errors quote documents.
        logs=False,
        # `/metrics` tells of requests; and our spans hang from the request's, not from a handler's.
        metrics=False,
        operation_spans=False,
    )


def mark_request(trace_id: str, *, has_query: bool) -> None:
    """Put the id that logs and audit know it by on the request's span. Its path and query are taken
    off: who is asked about stands in them. `http.route` says which route it was."""
    span = get_current_span()
    if not span.is_recording():
        return
    span.set_attributes({"rag.request.id": trace_id, "url.path": "REDACTED"})
    if has_query:
        span.set_attribute("url.query", "REDACTED")


@asynccontextmanager
async def exporting() -> AsyncGenerator[None]:
    """Spans of a process without an API go, while the block runs, where the environment says: FastAPI
    sets that up before the lifespan of an app, so an app without routes is begun and ended."""
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    begun = asyncio.Event()

    async def heard(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "lifespan.startup.complete":
            begun.set()

    app = FastAPI(telemetry=telemetry_of(None))
    living = asyncio.create_task(app({"type": "lifespan", "state": {}}, said.get, heard))
    starting = asyncio.create_task(begun.wait())
    try:
        await said.put({"type": "lifespan.startup"})
        await asyncio.wait({living, starting}, return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        starting.cancel()
        # What waits to be sent is sent before this ends.
        await said.put({"type": "lifespan.shutdown"})
        await living


def traced(run_job: RunJob, spans: Spans) -> RunJob:
    """`run_job` with a span around each job: what kind it was and how it ended, and never what of."""

    async def run(job: Job, work: Work) -> JobState | None:
        with spans.stage(f"job {job.kind.value}") as span:
            span.set_attributes(
                {
                    "rag.job.id": job.id,
                    "rag.tenant": job.tenant,
                    "rag.source": job.source,
                    "rag.job.attempts": job.attempts,
                }
            )
            state = await run_job(job, work)
            span.set_attribute("rag.job.state", "lost" if state is None else state.value)
            if state in {JobState.FAILED, JobState.DEAD}:
                span.set_status(StatusCode.ERROR)
        return state

    return run
