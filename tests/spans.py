"""A collector of OpenTelemetry spans in this process: what was told of a request, for tests to read."""

from dataclasses import dataclass, field

from opentelemetry.context import Context
from opentelemetry.trace import (
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
    get_current_span,
)
from opentelemetry.util import types


class KeptSpan(Span):
    """A span as it was told."""

    def __init__(
        self,
        number: int,
        name: str,
        *,
        parent: Span,
        kind: SpanKind,
        attributes: types.Attributes,
        start_time: int | None,
    ) -> None:
        self.name, self.kind, self.parent = name, kind, parent
        self.attributes = dict(attributes or {})
        self.events: list[tuple[str, dict[str, types.AttributeValue]]] = []
        self.status = StatusCode.UNSET
        self.description: str | None = None
        self.started, self.ended = start_time, False
        self.ended_at: int | None = None
        self._context = SpanContext(1, number, is_remote=False, trace_flags=TraceFlags(1))

    def end(self, end_time: int | None = None) -> None:
        self.ended, self.ended_at = True, end_time

    def get_span_context(self) -> SpanContext:
        return self._context

    @property
    def traceparent(self) -> str:
        """How W3C writes this span for those that are called under it."""
        return f"00-{self._context.trace_id:032x}-{self._context.span_id:016x}-01"

    def set_attributes(self, attributes: types.Attributes) -> None:
        self.attributes |= dict(attributes or {})

    def set_attribute(self, key: str, value: types.AttributeValue) -> None:
        self.attributes[key] = value

    def add_event(
        self, name: str, attributes: types.Attributes = None, timestamp: int | None = None
    ) -> None:
        del timestamp
        self.events.append((name, dict(attributes or {})))

    def update_name(self, name: str) -> None:
        self.name = name

    def is_recording(self) -> bool:
        return not self.ended

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.status = status.status_code if isinstance(status, Status) else status
        self.description = description

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        del attributes, timestamp, escaped
        self.add_event("exception", {"exception.message": str(exception)})


@dataclass(slots=True)
class Collector(TracerProvider):
    """Keeps every span that is begun, in order."""

    spans: list[KeptSpan] = field(default_factory=list[KeptSpan])

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: types.Attributes = None,
    ) -> Tracer:
        del instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        return _KeepingTracer(self.spans)

    def named(self, name: str) -> list[KeptSpan]:
        return [span for span in self.spans if span.name == name]

    def all_told(self) -> str:
        """Everything that leaves the process, to look for what must not."""
        return repr([(span.name, span.attributes, span.events) for span in self.spans])


class _KeepingTracer(NoOpTracer):
    def __init__(self, spans: list[KeptSpan]) -> None:
        self._spans = spans

    def start_span(  # noqa: PLR0917 - the library's own signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: types.Attributes = None,
        links: object = None,
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002
    ) -> Span:
        del links, record_exception, set_status_on_exception
        span = KeptSpan(
            len(self._spans) + 1,
            name,
            parent=get_current_span(context),
            kind=kind,
            attributes=attributes,
            start_time=start_time,
        )
        self._spans.append(span)
        return span
