"""What a request did, told to OpenTelemetry: counts, names, times and costs, and never a text.

Where nobody collects spans, or this request's are not sampled, each call here looks at the current
span and returns. Names are those of OpenTelemetry's conventions for generative AI where there is
one (`gen_ai.*`, in development at 1.44), else they begin with `rag.`.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    get_tracer,
    use_span,
)

from rag.asking import Ask
from rag.asking_protocols import AnswerMemory, Made, Retriever
from rag.gateway.answer_cache.entries import CachedAnswer
from rag.gateway.routing import ANSWERS
from rag.prompts.choosing import Chosen
from rag.protocols import EmbeddedQuery, Reranked, Reranker
from rag.trail import Attempt, GuardVerdict, RouteDecision, Trail
from rag.types import Query, Retrieved, RetrievedChunk, Usage

Value = str | bool | int | float | list[str]


def is_told() -> bool:
    """Whether somebody collects the span that this runs under."""
    return get_current_span().is_recording()


def trace_headers() -> Mapping[str, str]:
    """The W3C `traceparent` of the current span, for a server that is called under it; nothing where
    nobody collects that span. The caller's `tracestate` and baggage stay here."""
    span = get_current_span()
    if not span.is_recording():
        return {}
    context = span.get_span_context()
    flags = context.trace_flags & 0xFF
    return {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"}


def our_tracer() -> Tracer:
    """Of whatever provider this process has by the time a span begins."""
    return get_tracer("aldermoor-rag")


@dataclass(frozen=True, slots=True)
class Spans:
    """Tells of what goes on under the current span, where that is recorded."""

    tracer: Tracer = field(default_factory=our_tracer)

    @contextmanager
    def stage(self, name: str) -> Generator[Span]:
        """A span around a stage. Not to be held open over a generator's `yield`: who resumes that
        may be in another context."""
        span = self.tracer.start_span(name)
        with use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                yield span
            except Exception as error:
                # Its class alone: the words of an error may quote a document.
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise

    def told(self, trail: Trail, *, decision: str) -> None:
        """A request that is over: a span for each call of a model, when it was; the rest stands on
        the current span."""
        span = get_current_span()
        if not span.is_recording():
            return
        for attempt in trail.attempts:
            self._attempted(attempt)
        span.set_attributes(_of_request(trail, decision))
        for route in trail.routes:
            span.add_event("rag.route", _of_route(route))
        for verdict in trail.verdicts:
            span.add_event("rag.guardrail", _of_verdict(verdict))

    def _attempted(self, attempt: Attempt) -> None:
        span = self.tracer.start_span(
            f"chat {attempt.model}",
            kind=SpanKind.CLIENT,
            attributes=_of_attempt(attempt),
            start_time=_nanoseconds(attempt.started_at),
        )
        if attempt.outcome not in {"ok", "cancelled"}:
            span.set_status(StatusCode.ERROR)
        span.end(_nanoseconds(attempt.started_at + timedelta(milliseconds=attempt.total_ms)))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000


# --- what stands on a span ---------------------------------------------------------------------


def _of_usage(usage: Usage) -> dict[str, Value]:
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
    }


def _of_attempt(attempt: Attempt) -> dict[str, Value]:
    told: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": attempt.model,
        **_of_usage(attempt.usage),
        "rag.deployment": attempt.deployment,
        "rag.step": attempt.step,
        "rag.outcome": attempt.outcome,
        "rag.cost_micros": attempt.cost,
        "rag.usage_estimated": attempt.estimated,
    }
    if attempt.first_token_ms is not None:
        told["gen_ai.response.time_to_first_chunk"] = attempt.first_token_ms / 1_000
    if attempt.outcome not in {"ok", "cancelled"}:
        told["error.type"] = attempt.outcome
    return told


def _of_request(trail: Trail, decision: str) -> dict[str, Value]:
    told: dict[str, Value] = {
        "rag.request.id": trail.request,
        "rag.tenant": trail.account.tenant,
        "rag.use_case": trail.use_case.value,
        "rag.decision": decision,
        "rag.cache": trail.cache,
        "rag.cost_micros": trail.cost,
        "rag.saved_micros": trail.saved,
        "rag.budget_spent": trail.budget_spent,
        "rag.passages.sent": len(trail.sent),
        "rag.passages.shown": len(trail.shown),
        "rag.attempts": len(trail.attempts),
        "rag.attempts.failed": sum(each.outcome != "ok" for each in trail.attempts),
    }
    optional: dict[str, Value | None] = {
        "gen_ai.prompt.name": trail.prompt or None,
        "rag.rollout": trail.rollout or None,
        "rag.classification": trail.classification or None,
        "rag.generation": trail.generation,
    }
    told |= {name: value for name, value in optional.items() if value is not None}
    if trail.attempts:
        answering = [each for each in trail.attempts if each.step in ANSWERS] or trail.attempts
        told |= {"gen_ai.response.model": answering[-1].model, **_of_usage(trail.usage)}
    return told


def _of_route(route: RouteDecision) -> dict[str, Value]:
    told: dict[str, Value] = {
        "rag.step": route.step,
        "rag.route.tier": route.tier,
        "rag.route.models": list(route.models),
        "rag.route.reasons": list(route.reasons),
    }
    if route.complexity is not None:
        told["rag.route.complexity"] = route.complexity
    return told


def _of_verdict(verdict: GuardVerdict) -> dict[str, Value]:
    return {
        "rag.guardrail.check": verdict.check,
        "rag.guardrail.direction": verdict.direction,
        "rag.guardrail.standing": verdict.standing,
        "rag.guardrail.score": verdict.score,
        "rag.guardrail.kinds": list(verdict.kinds),
        "rag.guardrail.dry_run": verdict.dry_run,
        "rag.guardrail.policy": verdict.policy,
        "rag.guardrail.took_ms": verdict.took_ms,
    }


def _of_retrieval(query: Query, retrieved: Retrieved) -> dict[str, Value]:
    told: dict[str, Value] = {
        "gen_ai.operation.name": "retrieval",
        "rag.retrieval.mode": query.mode.value,
        "rag.retrieval.hits": len(retrieved.hits),
        "rag.retrieval.rerank": retrieved.rerank,
    }
    stages = retrieved.timings_ms.items()
    return told | {f"rag.retrieval.{stage}_ms": took for stage, took in stages}


# --- stages, each with a span around it --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TracedRetriever:
    """Satisfies `Retriever`."""

    inner: Retriever
    spans: Spans

    async def retrieve(self, query: Query) -> Retrieved:
        if not is_told():
            return await self.inner.retrieve(query)
        with self.spans.stage("retrieval") as span:
            retrieved = await self.inner.retrieve(query)
            span.set_attributes(_of_retrieval(query, retrieved))
        return retrieved


@dataclass(frozen=True, slots=True)
class TracedReranker:
    """Satisfies `Reranker`."""

    inner: Reranker
    spans: Spans

    async def rerank(
        self, query: EmbeddedQuery, candidates: Sequence[RetrievedChunk], *, budget_s: float
    ) -> Reranked:
        if not is_told():
            return await self.inner.rerank(query, candidates, budget_s=budget_s)
        with self.spans.stage("rerank") as span:
            reranked = await self.inner.rerank(query, candidates, budget_s=budget_s)
            span.set_attribute("rag.rerank.candidates", len(candidates))
            span.set_attribute("rag.rerank.complete", reranked.complete)
        return reranked


@dataclass(frozen=True, slots=True)
class TracedMemory:
    """Satisfies `AnswerMemory`."""

    inner: AnswerMemory
    spans: Spans

    async def recall(self, ask: Ask, chosen: Chosen, *, policy: str) -> CachedAnswer | None:
        if not is_told():
            return await self.inner.recall(ask, chosen, policy=policy)
        with self.spans.stage("recall answer") as span:
            kept = await self.inner.recall(ask, chosen, policy=policy)
            span.set_attribute("rag.cache", ask.trail.cache)
        return kept

    async def keep(self, ask: Ask, chosen: Chosen, made: Made, *, policy: str) -> None:
        if not is_told():
            await self.inner.keep(ask, chosen, made, policy=policy)
            return
        with self.spans.stage("keep answer"):
            await self.inner.keep(ask, chosen, made, policy=policy)

    def should_recheck(self) -> bool:
        return self.inner.should_recheck()

    def rechecked(self, *, agreed: bool) -> None:
        self.inner.rechecked(agreed=agreed)
