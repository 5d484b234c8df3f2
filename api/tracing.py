"""Traces of requests for OpenTelemetry: FastAPI makes the request's span, `rag/adapters/spans.py` what
stands under and on it."""

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import (
    ProxyTracerProvider,
    TracerProvider,
    get_current_span,
    get_tracer_provider,
)


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
