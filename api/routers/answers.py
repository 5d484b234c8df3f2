"""Asking: a cited answer, or an honest refusal, at once or as it is made."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, assert_never

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.auth import Caller
from api.conversations import joined, keep_turn
from api.deps import ClientDep, MetricsDep, PlatformDep, TraceId, requires, scope_for
from api.errors import PROBLEMS, problem_of, problems
from api.filters import filters_of
from api.metrics import Metrics
from api.permissions import Permission
from api.platform import Platform
from api.schemas import AskRequest, AskResponse, CitationOut, EvidenceOut, ask_response
from api.sse import EventStream, event
from api.summaries import sum_up_later
from api.trails import Over, decision_of, tell, trail_of
from rag.asking import (
    Ask,
    AskEvent,
    CitationMade,
    EvidenceFound,
    Finished,
    SentenceJudged,
    TextReleased,
    TextRetracted,
)
from rag.trail import UseCase
from rag.types import Answer, Refusal

log = logging.getLogger(__name__)

EVENTS = """Server-sent events, each with JSON data:

* `evidence` `{evidence: [...]}`: the numbered passages the answer is made from
* `token` `{text}`: the next piece of the answer
* `retract` `{reason}`: all pieces so far are void; others may follow
* `citation`: what the text just before rests on, as in the answer
* `verdict` `{sentence, verdict, score}`: what became of a sentence of the model
* `done`: the whole answer or refusal
* `error`: a problem document; nothing follows
"""

router = APIRouter(prefix="/v1", tags=["answers"], responses=PROBLEMS)


@router.post(
    "/ask",
    response_model=AskResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}},
                     "description": f"An answer or a refusal. With `stream`: {EVENTS}"},
               **problems(404)},
)  # fmt: skip
async def ask(
    request: AskRequest,
    caller: Annotated[Caller, requires(Permission.ASK)],
    platform: PlatformDep,
    metrics: MetricsDep,
    trace_id: TraceId,
    *,
    client: ClientDep,
) -> Response:
    """An answer from what the caller may read, each sentence cited and checked, or a refusal."""
    filters = await filters_of(
        request.filters, scope=scope_for(caller), fields=platform.filter_fields
    )
    conversation, history = await joined(
        platform.conversations, request.conversation_id, caller.principal
    )
    asked = Ask(
        question=request.question,
        principal=caller.principal,
        trail=await trail_of(platform, caller, UseCase.ASK, endpoint="/v1/ask", trace_id=trace_id),
        quality=request.quality,
        filters=filters,
        conversation=conversation,
        turns=history.turns,
        summary="" if history.summary is None else history.summary.text,
    )
    if request.stream:
        return EventStream(_told(asked, platform, metrics))
    outcome = await client.waits_for(answered(asked, platform, metrics))
    body = ask_response(outcome, asked.trail, conversation=conversation)
    return JSONResponse(body.model_dump(mode="json"))


async def answered(asked: Ask, platform: Platform, metrics: Metrics) -> Answer | Refusal:
    """The outcome, once it stands in the audit."""
    async with aclosing(audited(asked, platform, metrics)) as events:
        async for each in events:
            if isinstance(each, Finished):
                return each.outcome
    raise AssertionError("a stream of events ends with Finished")


async def audited(asked: Ask, platform: Platform, metrics: Metrics) -> AsyncGenerator[AskEvent]:
    """The events of an answer; the last comes once what it tells stands in the audit."""
    outcome: Answer | Refusal | None = None
    try:
        async with aclosing(platform.answerer.stream(asked)) as events:
            async for each in events:
                if isinstance(each, Finished):
                    outcome = each.outcome
                    break
                yield each
    finally:
        if outcome is None:
            await _over(asked, platform, metrics, None)
    if outcome is not None:
        await _over(asked, platform, metrics, outcome)
        await keep_turn(platform.conversations, asked, outcome)
        sum_up_later(platform, metrics, asked)
        yield Finished(outcome)


async def _over(
    asked: Ask, platform: Platform, metrics: Metrics, outcome: Answer | Refusal | None
) -> None:
    if outcome is not None:
        metrics.asked(outcome_name(outcome))
    await tell(
        platform,
        metrics,
        Over(
            trail=asked.trail,
            question=asked.question,
            decision="broken_off" if outcome is None else decision_of(outcome),
            answer=outcome.text if isinstance(outcome, Answer) else "",
            outcome=outcome,
            quality=asked.quality,
        ),
    )


def outcome_name(outcome: Answer | Refusal) -> str:
    match outcome:
        case Answer():
            return "answer"
        case Refusal():
            return outcome.reason.value


async def _told(asked: Ask, platform: Platform, metrics: Metrics) -> AsyncGenerator[bytes]:
    trace_id = asked.trail.request
    async with aclosing(audited(asked, platform, metrics)) as events:
        try:
            async for each in events:
                yield event(*_event_of(each, asked))
        except Exception as error:  # noqa: BLE001 - the status is sent: an event is all that is left
            yield event("error", problem_in_stream(error, trace_id=trace_id))


def problem_in_stream(error: Exception, *, trace_id: str) -> dict[str, Any]:
    """The problem of an error that comes after the response has begun."""
    problem = problem_of(error, trace_id=trace_id)
    if problem["status"] == 500:
        log.error("stream failed", exc_info=error, extra={"trace_id": trace_id})
    return problem


def _event_of(each: AskEvent, asked: Ask) -> tuple[str, dict[str, Any]]:
    match each:
        case EvidenceFound():
            shown = [EvidenceOut.of(one).model_dump(mode="json") for one in each.evidence]
            return "evidence", {"evidence": shown}
        case TextReleased():
            return "token", {"text": each.text}
        case TextRetracted():
            return "retract", {"reason": each.reason}
        case CitationMade():
            return "citation", CitationOut.of(each.citation).model_dump(mode="json")
        case SentenceJudged():
            return "verdict", {
                "sentence": each.sentence,
                "verdict": each.verdict,
                "score": each.score,
            }
        case Finished():
            whole = ask_response(each.outcome, asked.trail, conversation=asked.conversation)
            return "done", whole.model_dump(mode="json")
        case _:
            assert_never(each)
