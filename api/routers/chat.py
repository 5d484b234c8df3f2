"""The same answers in the shapes of OpenAI's chat API, for the clients that speak it; and, by the
names of the catalogue, language models themselves, for other teams' apps."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.auth import Caller
from api.deps import ClientDep, MetricsDep, PlatformDep, TraceId, requires
from api.errors import PROBLEMS
from api.metrics import Metrics
from api.permissions import Permission
from api.platform import Platform
from api.routers.answers import answered, audited, problem_in_stream
from api.routers.chat_shapes import (
    ChatRequest,
    data,
    frame,
    question_of,
    said_before,
    unused_of,
    usage_of,
)
from api.routers.models import models_for, stream_model, told_by_model
from api.schemas import CitationOut, notice_of
from api.sse import EventStream
from api.trails import trail_of
from rag.asking import Ask, Finished, TextReleased, TextRetracted
from rag.conversation.rewriting import retold
from rag.conversation.turns import Turn
from rag.trail import Trail, UseCase
from rag.types import Answer, Quality, Refusal

QUALITIES: Mapping[str, Quality] = MappingProxyType(
    {"rag": "balanced", "rag-fast": "fast", "rag-balanced": "balanced", "rag-best": "best"}
)
MARKER = re.compile(r"\[(\d+)\]")
ENDPOINT = "/v1/chat/completions"

router = APIRouter(prefix="/v1", tags=["chat"], responses=PROBLEMS)


@router.get("/models")
async def list_models(
    caller: Annotated[Caller, requires(Permission.ASK)], platform: PlatformDep
) -> dict[str, Any]:
    """One name for each quality, and with the permission `models` the catalogue's that the
    caller's tenant may call."""
    names = [*QUALITIES, *models_for(caller, platform)]
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "rag"} for name in names]
    return {"object": "list", "data": models}


@router.post("/chat/completions", response_model=dict[str, Any])
async def complete(
    request: ChatRequest,
    caller: Annotated[Caller, requires(Permission.ASK)],
    platform: PlatformDep,
    metrics: MetricsDep,
    trace_id: TraceId,
    *,
    client: ClientDep,
) -> Response:
    """Answers the last message of the user from documents; those before it tell what it means, and the
    citations are the message's `annotations`. What was sent and has no meaning here stands in
    `unused`: system messages, above all. With a model of the catalogue: what that model says to all
    messages."""
    quality = QUALITIES.get(request.model)
    use_case = UseCase.CHAT if quality is None else UseCase.ASK
    trail = await trail_of(platform, caller, use_case, endpoint=ENDPOINT, trace_id=trace_id)
    if quality is None:
        if request.stream:
            return EventStream(stream_model(request, caller, trail, platform, metrics))
        return await client.waits_for(told_by_model(request, caller, trail, platform, metrics))
    asked = Ask(
        question=question_of(request),
        principal=caller.principal,
        trail=trail,
        quality=quality,
        turns=await _turns_of(request, at=trail.started_at),
    )
    if request.stream:
        return EventStream(_chunks(asked, request, platform, metrics))
    outcome = await client.waits_for(answered(asked, platform, metrics))
    message = {"role": "assistant", "content": _text_of(outcome), **_extras(outcome, trail)}
    body = _frame("chat.completion", request, trace_id) | {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage_of(trail.usage),
    }
    return JSONResponse(body)


async def _turns_of(request: ChatRequest, *, at: datetime) -> tuple[Turn, ...]:
    if not (said := said_before(request)):
        return ()
    return await asyncio.to_thread(retold, said, at=at)


def _frame(kind: str, request: ChatRequest, trace_id: str) -> dict[str, Any]:
    unused = unused_of(request)
    return frame(kind, request.model, trace_id) | ({"unused": unused} if unused else {})


async def _chunks(
    asked: Ask, request: ChatRequest, platform: Platform, metrics: Metrics
) -> AsyncGenerator[bytes]:
    start = _frame("chat.completion.chunk", request, asked.trail.request)

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        return data(
            start | {"choices": [{"index": 0, "delta": dict(delta), "finish_reason": finish}]}
        )

    async with aclosing(audited(asked, platform, metrics)) as events:
        try:
            yield chunk({"role": "assistant", "content": ""})
            async for each in events:
                if isinstance(each, TextReleased):
                    yield chunk({"content": each.text})
                elif isinstance(each, TextRetracted):
                    yield chunk({"retracted": each.reason})
                elif isinstance(each, Finished):
                    if isinstance(each.outcome, Refusal):
                        yield chunk({"content": each.outcome.detail})
                    yield chunk(_extras(each.outcome, asked.trail), "stop")
        except Exception as error:  # noqa: BLE001 - the status is sent: an event is all that is left
            yield data({"error": problem_in_stream(error, trace_id=asked.trail.request)})
    yield b"data: [DONE]\n\n"


def _text_of(outcome: Answer | Refusal) -> str:
    match outcome:
        case Answer():
            return outcome.text
        case Refusal():
            return outcome.detail


def _extras(outcome: Answer | Refusal, trail: Trail) -> dict[str, Any]:
    notice = notice_of(trail)
    told = {} if notice is None else {"notice": notice}
    match outcome:
        case Answer():
            return told | {"annotations": list(_annotations(outcome))}
        case Refusal():
            return told | {"annotations": [], "refusal_reason": outcome.reason.value}


def _annotations(answer: Answer) -> Iterator[dict[str, Any]]:
    """One for each marker in the text whose citation there is."""
    citations = {citation.number: citation for citation in answer.citations}
    for marker in MARKER.finditer(answer.text):
        citation = citations.get(int(marker.group(1)))
        if citation is not None:
            yield {
                "type": "url_citation",
                "url_citation": {
                    "start_index": marker.start(),
                    "end_index": marker.end(),
                    "url": citation.chunk.document.uri,
                    "title": citation.chunk.document.title,
                },
                "citation": CitationOut.of(citation).model_dump(mode="json"),
            }
