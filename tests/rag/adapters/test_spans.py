"""The trail of a request as spans, events and attributes."""

from dataclasses import replace
from datetime import UTC, datetime

from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    use_span,
)

from rag.access import Principal, PrincipalId, TenantId, scope_of
from rag.adapters.spans import Spans, TracedRetriever, trace_headers
from rag.gateway.money import Micro
from rag.trail import (
    Account,
    Attempt,
    AttemptOutcome,
    GuardVerdict,
    RequestId,
    RouteDecision,
    Trail,
    UseCase,
)
from rag.types import Query, Retrieved, Usage
from tests.spans import Collector, KeptSpan

NOTHING = Retrieved(hits=(), timings_ms={})
BEGAN = datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC)


class Empty:
    async def retrieve(self, query: Query) -> Retrieved:
        del query
        return NOTHING


def an_attempt(model: str, outcome: AttemptOutcome, usage: Usage) -> Attempt:
    return Attempt(
        model=model,
        deployment=f"{model}-1",
        step="answer",
        outcome=outcome,
        usage=usage,
        estimated=False,
        cost=Micro(7),
        started_at=BEGAN,
        first_token_ms=20.0 if outcome == "ok" else None,
        total_ms=125.0,
    )


def a_trail() -> Trail:
    return Trail(
        request=RequestId("request-1"),
        account=Account(tenant=TenantId("acme"), user=PrincipalId("user:1042")),
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
        routes=[RouteDecision(step="answer", models=("a", "b"), tier="cheap", reasons=("rule",))],
        attempts=[
            an_attempt("a", "rate_limited", Usage()),
            an_attempt("b", "ok", Usage(100, 20, 64)),
        ],
        verdicts=[
            GuardVerdict(check="injection", direction="input", standing="passed", score=0.1),
            GuardVerdict(check="pii", direction="output", standing="not_run", score=0.0),
        ],
    )


def told(trail: Trail) -> tuple[KeptSpan, Collector]:
    collector = Collector()
    tracer = collector.get_tracer("tests")
    with use_span(tracer.start_span("request"), end_on_exit=True):
        Spans(tracer).told(trail, decision="answered")
    return collector.spans[0], collector


def test_each_attempt_is_a_span_at_the_time_when_it_was_made() -> None:
    _, collector = told(a_trail())
    [failed], [answered] = collector.named("chat a"), collector.named("chat b")
    assert failed.status is StatusCode.ERROR and failed.description is None
    assert failed.attributes["error.type"] == failed.attributes["rag.outcome"] == "rate_limited"
    assert answered.status is StatusCode.UNSET
    assert answered.kind is SpanKind.CLIENT
    began = int(BEGAN.timestamp() * 1e6) * 1_000
    assert (answered.started, answered.ended_at) == (began, began + 125_000_000)
    assert answered.attributes["gen_ai.operation.name"] == "chat"
    assert answered.attributes["gen_ai.usage.cache_read.input_tokens"] == 64
    assert answered.attributes["gen_ai.response.time_to_first_chunk"] == 0.02
    assert answered.attributes["rag.deployment"] == "b-1"


def test_the_request_has_the_sums_and_who_answered() -> None:
    request, _ = told(a_trail())
    assert request.attributes["gen_ai.response.model"] == "b"
    assert request.attributes["gen_ai.usage.input_tokens"] == 100
    assert request.attributes["rag.cost_micros"] == 14
    assert request.attributes["rag.attempts.failed"] == 1


def test_a_server_that_is_called_is_told_of_a_span_that_somebody_collects() -> None:
    assert trace_headers() == {}
    with use_span(NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(0)))):
        assert trace_headers() == {}, "this one was not sampled"
    collector = Collector()
    with use_span(collector.get_tracer("tests").start_span("request")):
        assert trace_headers() == {"traceparent": collector.spans[0].traceparent}


def test_a_judge_that_is_asked_meanwhile_is_not_who_answered() -> None:
    trail = a_trail()
    trail.attempts.append(replace(an_attempt("judge", "ok", Usage(9, 1)), step="judge"))
    request, collector = told(trail)
    assert request.attributes["gen_ai.response.model"] == "b"
    assert request.attributes["rag.cost_micros"] == 21
    assert len(collector.named("chat judge")) == 1


def test_verdicts_and_routes_are_events_and_what_was_not_run_is_not_passed() -> None:
    request, _ = told(a_trail())
    guards = [attributes for name, attributes in request.events if name == "rag.guardrail"]
    assert [
        (
            each["rag.guardrail.check"],
            each["rag.guardrail.direction"],
            each["rag.guardrail.standing"],
        )
        for each in guards
    ] == [("injection", "input", "passed"), ("pii", "output", "not_run")]
    [route] = [attributes for name, attributes in request.events if name == "rag.route"]
    assert route["rag.route.models"] == ["a", "b"]


def test_the_person_is_not_told_of() -> None:
    _, collector = told(a_trail())
    assert "1042" not in collector.all_told()


async def test_under_no_span_that_is_recorded_nothing_is_told() -> None:
    collector = Collector()
    spans = Spans(collector.get_tracer("tests"))
    scope = scope_of(Principal(TenantId("acme"), PrincipalId("user:1042")))
    found = await TracedRetriever(Empty(), spans).retrieve(Query(text="pumps", scope=scope))
    assert found == NOTHING
    spans.told(a_trail(), decision="answered")
    assert collector.spans == []
