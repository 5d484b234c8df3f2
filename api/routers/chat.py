"""The same answers in the shapes of OpenAI's chat API, for the clients that speak it."""

import json
import re
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.deps import ClientDep, MetricsDep, PlatformDep, TraceId, requires
from api.errors import PROBLEMS
from api.metrics import Metrics
from api.permissions import Permission
from api.routers.answers import outcome_name, problem_in_stream
from api.schemas import CitationOut
from api.shapes import MAX_QUERY_CHARACTERS, without_control_characters
from api.sse import EventStream
from rag.answering import AskEvent, Finished, TextReleased
from rag.errors import InvalidRequest
from rag.types import Answer, Quality, Refusal

MODELS: Mapping[str, Quality] = MappingProxyType(
    {"rag": "balanced", "rag-fast": "fast", "rag-balanced": "balanced", "rag-best": "best"}
)
MARKER = re.compile(r"\[(\d+)\]")

router = APIRouter(prefix="/v1", tags=["chat"], responses=PROBLEMS)


class Foreign(BaseModel):
    """A shape that is not ours: what we do not know of it is left alone."""

    model_config = ConfigDict(extra="ignore")


class TextPart(Foreign):
    type: Literal["text"]
    text: str


class ChatMessage(Foreign):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        match self.content:
            case None:
                return ""
            case str():
                return self.content
            case list():
                return "\n".join(part.text for part in self.content)


class ChatRequest(Foreign):
    model: str = "rag"
    messages: list[ChatMessage] = Field(min_length=1, max_length=1_000)
    stream: bool = False

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "model": "rag",
                    "messages": [{"role": "user", "content": "Who signs off travel costs?"}],
                }
            ]
        },
    )


@router.get("/models")
async def list_models(caller: Annotated[Caller, requires(Permission.ASK)]) -> dict[str, Any]:
    """One name for each quality."""
    _ = caller
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "rag"} for name in MODELS]
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
    """Answers the last message of the user; the citations are the message's `annotations`."""
    quality = MODELS.get(request.model)
    if quality is None:
        raise InvalidRequest(f"model: unknown; known are {', '.join(MODELS)}")
    question = _question(request)
    if request.stream:
        events = platform.answerer.stream(question, caller.principal, quality=quality)
        return EventStream(_chunks(events, request.model, metrics=metrics, trace_id=trace_id))
    outcome = await client.waits_for(
        platform.answerer.ask(question, caller.principal, quality=quality)
    )
    metrics.asked(outcome_name(outcome))
    message = {"role": "assistant", "content": _text_of(outcome), **_extras(outcome)}
    body = _frame("chat.completion", request.model, trace_id) | {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(outcome),
    }
    return JSONResponse(body)


def _question(request: ChatRequest) -> str:
    """Earlier turns and system messages are not evidence, and no instruction to us."""
    last = next((message for message in reversed(request.messages) if message.role == "user"), None)
    question = without_control_characters(last.text) if last else ""
    if not question:
        raise InvalidRequest("messages: there is no text of the user in them")
    if len(question) > MAX_QUERY_CHARACTERS:
        raise InvalidRequest(f"messages: a question has at most {MAX_QUERY_CHARACTERS} characters")
    return question


async def _chunks(
    events: AsyncGenerator[AskEvent], model: str, *, metrics: Metrics, trace_id: str
) -> AsyncGenerator[bytes]:
    frame = _frame("chat.completion.chunk", model, trace_id)

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        return _data(
            frame | {"choices": [{"index": 0, "delta": dict(delta), "finish_reason": finish}]}
        )

    async with aclosing(events):
        try:
            yield chunk({"role": "assistant", "content": ""})
            async for each in events:
                if isinstance(each, TextReleased):
                    yield chunk({"content": each.text})
                elif isinstance(each, Finished):
                    metrics.asked(outcome_name(each.outcome))
                    if isinstance(each.outcome, Refusal):
                        yield chunk({"content": each.outcome.detail})
                    yield chunk(_extras(each.outcome), "stop")
        except Exception as error:  # noqa: BLE001 - the status is sent: an event is all that is left
            yield _data({"error": problem_in_stream(error, trace_id=trace_id)})
    yield b"data: [DONE]\n\n"


def _data(content: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def _frame(kind: str, model: str, trace_id: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{trace_id}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "trace_id": trace_id,
    }


def _text_of(outcome: Answer | Refusal) -> str:
    match outcome:
        case Answer():
            return outcome.text
        case Refusal():
            return outcome.detail


def _extras(outcome: Answer | Refusal) -> dict[str, Any]:
    match outcome:
        case Answer():
            return {"annotations": list(_annotations(outcome))}
        case Refusal():
            return {"annotations": [], "refusal_reason": outcome.reason.value}


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


def _usage(outcome: Answer | Refusal) -> dict[str, int]:
    sent, made = (
        (outcome.usage.input_tokens, outcome.usage.output_tokens)
        if isinstance(outcome, Answer)
        else (0, 0)
    )
    return {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}
