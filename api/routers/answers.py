"""Asking: a cited answer, or an honest refusal, at once or as it is made."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, assert_never

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.auth import Caller
from api.deps import ClientDep, MetricsDep, PlatformDep, TraceId, requires, scope_for
from api.errors import PROBLEMS, problem_of
from api.filters import filters_of
from api.metrics import Metrics
from api.permissions import Permission
from api.schemas import AskRequest, AskResponse, CitationOut, EvidenceOut, ask_response
from api.sse import EventStream, event
from rag.answering import (
    AskEvent,
    CitationMade,
    EvidenceFound,
    Finished,
    SentenceJudged,
    TextReleased,
)
from rag.types import Answer, Refusal

log = logging.getLogger(__name__)

EVENTS = """Server-sent events, each with JSON data:

* `evidence` `{evidence: [...]}`: the numbered passages the answer is made from
* `token` `{text}`: the next piece of the answer; nothing is taken back
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
                     "description": f"An answer or a refusal. With `stream`: {EVENTS}"}},
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
    if request.stream:
        events = platform.answerer.stream(
            request.question, caller.principal, quality=request.quality, filters=filters
        )
        return EventStream(_told(events, metrics=metrics, trace_id=trace_id))
    outcome = await client.waits_for(
        platform.answerer.ask(
            request.question, caller.principal, quality=request.quality, filters=filters
        )
    )
    metrics.asked(outcome_name(outcome))
    return JSONResponse(ask_response(outcome, trace_id=trace_id).model_dump(mode="json"))


def outcome_name(outcome: Answer | Refusal) -> str:
    match outcome:
        case Answer():
            return "answer"
        case Refusal():
            return outcome.reason.value


async def _told(
    events: AsyncGenerator[AskEvent], *, metrics: Metrics, trace_id: str
) -> AsyncGenerator[bytes]:
    async with aclosing(events):
        try:
            async for each in events:
                if isinstance(each, Finished):
                    metrics.asked(outcome_name(each.outcome))
                yield event(*_event_of(each, trace_id))
        except Exception as error:  # noqa: BLE001 - the status is sent: an event is all that is left
            yield event("error", problem_in_stream(error, trace_id=trace_id))


def problem_in_stream(error: Exception, *, trace_id: str) -> dict[str, Any]:
    """The problem of an error that comes after the response has begun."""
    problem = problem_of(error, trace_id=trace_id)
    if problem["status"] == 500:
        log.error("stream failed", exc_info=error, extra={"trace_id": trace_id})
    return problem


def _event_of(each: AskEvent, trace_id: str) -> tuple[str, dict[str, Any]]:
    match each:
        case EvidenceFound():
            shown = [EvidenceOut.of(one).model_dump(mode="json") for one in each.evidence]
            return "evidence", {"evidence": shown}
        case TextReleased():
            return "token", {"text": each.text}
        case CitationMade():
            return "citation", CitationOut.of(each.citation).model_dump(mode="json")
        case SentenceJudged():
            return "verdict", {
                "sentence": each.sentence,
                "verdict": each.verdict,
                "score": each.score,
            }
        case Finished():
            return "done", ask_response(each.outcome, trace_id=trace_id).model_dump(mode="json")
        case _:
            assert_never(each)
