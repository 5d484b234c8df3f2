"""A language model by its name in the catalogue, for another team's app: guarded, routed and paid
for like every other call. No document is read for it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi.responses import JSONResponse

from api.auth import Caller
from api.metrics import Metrics
from api.permissions import Permission
from api.platform import Platform
from api.routers.answers import problem_in_stream
from api.routers.chat_shapes import ChatRequest, data, frame, usage_of
from api.trails import Over, tell
from rag.asking import TextReleased, TextRetracted
from rag.chatting import ChatEvent, Said, Withheld
from rag.errors import Forbidden, InvalidRequest
from rag.gateway.calls import ModelCall
from rag.gateway.routing import ANSWERS
from rag.protocols import Message, ModelPrompt
from rag.trail import RequestId, Trail
from rag.types import Usage

MOST_OUTPUT = 1_024
"""Tokens, where the app does not say how many it wants."""


def models_for(caller: Caller, platform: Platform) -> list[str]:
    """The names that the caller may call."""
    if Permission.MODELS not in caller.permissions:
        return []
    return platform.router.names_for(caller.principal.tenant)


def call_of(request: ChatRequest, caller: Caller, trail: Trail, platform: Platform) -> ModelCall:
    """Raises `InvalidRequest` for a model that is not there for the caller, and `Forbidden`."""
    if request.model not in models_for(caller, platform):
        if Permission.MODELS not in caller.permissions:
            raise Forbidden("calling models by name needs the permission models")
        raise InvalidRequest("model: unknown; GET /v1/models lists those that there are")
    if request.tools:
        raise InvalidRequest("tools: they are not supported here")
    wanted = request.max_completion_tokens or request.max_tokens or MOST_OUTPUT
    said = request.response_format
    return ModelCall(
        prompt=ModelPrompt(
            messages=tuple(
                Message("system" if each.role == "developer" else each.role, each.text)
                for each in request.messages
            ),
            max_output_tokens=wanted,
            temperature=request.temperature,
            response_schema=None if said is None else said.schema_of_all,
        ),
        account=trail.account,
        request=RequestId(trail.request),
        use_case=trail.use_case,
        model=request.model,
    )


async def told_by_model(
    request: ChatRequest, caller: Caller, trail: Trail, platform: Platform, metrics: Metrics
) -> JSONResponse:
    call = call_of(request, caller, trail, platform)
    last: Said | Withheld | None = None
    chatting = platform.chatter.stream(call, trail, in_pieces=False)
    async with aclosing(_audited(chatting, request, trail, platform, metrics)) as events:
        async for event in events:
            if isinstance(event, Said | Withheld):
                last = event
    match last:
        case Said(text, completion):
            content, finish = text, completion.finish_reason
        case Withheld(reason):
            content, finish = reason, "content_filter"
        case None:
            raise AssertionError("a chat ends with what was said, or with why it was withheld")
    body = frame("chat.completion", request.model, trail.request) | {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": finish,
            }
        ],
        "usage": usage_of(_answering(trail)),
    }
    return JSONResponse(body)


async def stream_model(
    request: ChatRequest, caller: Caller, trail: Trail, platform: Platform, metrics: Metrics
) -> AsyncGenerator[bytes]:
    start = frame("chat.completion.chunk", request.model, trail.request)

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        return data(
            start | {"choices": [{"index": 0, "delta": dict(delta), "finish_reason": finish}]}
        )

    call = call_of(request, caller, trail, platform)
    chatting = platform.chatter.stream(call, trail)
    async with aclosing(_audited(chatting, request, trail, platform, metrics)) as events:
        # What comes together goes in one write: the role with the first words, and all that ends.
        before, after = chunk({"role": "assistant", "content": ""}), b""
        try:
            async for event in events:
                match event:
                    case TextReleased(text):
                        yield before + chunk({"content": text})
                    case TextRetracted(reason):
                        yield before + chunk({"retracted": reason})
                    case Said(_, completion):
                        after = before + chunk({}, completion.finish_reason)
                    case Withheld(reason):
                        after = before + chunk({"content": reason}, "content_filter")
                before = b""
            after += data(start | {"choices": [], "usage": usage_of(_answering(trail))})
        except Exception as error:  # noqa: BLE001 - the status is sent: an event is all that is left
            after = before + data({"error": problem_in_stream(error, trace_id=trail.request)})
    yield after + b"data: [DONE]\n\n"


def _answering(trail: Trail) -> Usage:
    """What the model was called for; what checks spent beside it is nothing that the app asked for."""
    total = Usage()
    for attempt in trail.attempts:
        if attempt.step in ANSWERS:
            total += attempt.usage
    return total


async def _audited(
    chatting: AsyncGenerator[ChatEvent],
    request: ChatRequest,
    trail: Trail,
    platform: Platform,
    metrics: Metrics,
) -> AsyncGenerator[ChatEvent]:
    """The events of a chat; the last comes once what it tells stands in the audit."""
    last: Said | Withheld | None = None
    try:
        async with aclosing(chatting) as events:
            async for event in events:
                if isinstance(event, Said | Withheld):
                    last = event
                    break
                yield event
    finally:
        if last is None:
            await tell(platform, metrics, _over(request, trail, None))
    if last is not None:
        await tell(platform, metrics, _over(request, trail, last))
        yield last


def _over(request: ChatRequest, trail: Trail, last: Said | Withheld | None) -> Over:
    decisions = {Said: "done", Withheld: "blocked"}
    return Over(
        trail=trail,
        question="\n\n".join(message.text for message in request.messages),
        decision="broken_off" if last is None else decisions[type(last)],
        answer=last.text if isinstance(last, Said) else "",
    )
