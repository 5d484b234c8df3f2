"""What OpenAI's chat API sends and is sent, as far as it means something here."""

import json
import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.shapes import MAX_QUERY_CHARACTERS, without_control_characters
from rag.errors import InvalidRequest
from rag.types import Usage

MAX_SCHEMA_CHARACTERS = 20_000
MOST_TURNS = 8
"""The latest of a conversation that tell what a question means."""
MOST_TURN_CHARACTERS = 2_000
"""Of a question or an answer that was said before."""


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


class JsonSchema(Foreign):
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(Foreign):
    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None

    @property
    def schema_of_all(self) -> Mapping[str, Any] | None:
        """What the whole text must satisfy."""
        match self.type:
            case "text":
                return None
            case "json_object":
                return {"type": "object"}
            case "json_schema":
                if self.json_schema is None:
                    raise InvalidRequest("response_format: json_schema says no schema")
                return _harmless(self.json_schema.schema_)


def _harmless(schema: dict[str, Any]) -> dict[str, Any]:
    """Raises `InvalidRequest` for a schema that could hold up everybody else: by its size, or by a
    pattern that takes for ever on the right text."""
    written = json.dumps(schema)
    if len(written) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequest(f"response_format: more than {MAX_SCHEMA_CHARACTERS} characters")
    if '"pattern"' in written or '"patternProperties"' in written:
        raise InvalidRequest("response_format: patterns are not supported")
    return schema


class ChatRequest(Foreign):
    model: str = Field(default="rag", max_length=255)
    messages: list[ChatMessage] = Field(min_length=1, max_length=1_000)
    stream: bool = False
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    temperature: float = Field(default=0.0, ge=0, le=2)
    response_format: ResponseFormat | None = None
    tools: list[Any] | None = None

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


def question_of(request: ChatRequest) -> str:
    """The last thing that the user says."""
    place = _last_of_user(request)
    question = "" if place is None else without_control_characters(request.messages[place].text)
    if not question:
        raise InvalidRequest("messages: there is no text of the user in them")
    if len(question) > MAX_QUERY_CHARACTERS:
        raise InvalidRequest(f"messages: a question has at most {MAX_QUERY_CHARACTERS} characters")
    return question


def said_before(request: ChatRequest) -> list[tuple[str, str]]:
    """Questions and answers before the last question, oldest first; an answer is empty where there is
    none. They are no evidence, and no instruction to us."""
    turns: list[tuple[str, str]] = []
    for message in request.messages[: _last_of_user(request)]:
        said = without_control_characters(message.text[:MOST_TURN_CHARACTERS])
        if message.role == "user":
            turns.append((said, ""))
        elif message.role == "assistant" and turns:
            question, before = turns[-1]
            turns[-1] = question, f"{before}\n{said}".strip()[:MOST_TURN_CHARACTERS]
    return [turn for turn in turns if turn[0]][-MOST_TURNS:]


def unused_of(request: ChatRequest) -> list[str]:
    """What was sent and means nothing to an answer from documents: its prompt, its length and its
    form are the platform's own."""
    said = request.response_format
    unused = {
        "system": any(message.role in {"system", "developer"} for message in request.messages),
        "tools": bool(request.tools),
        "response_format": said is not None and said.type != "text",
        "temperature": "temperature" in request.model_fields_set,
        "max_tokens": bool(request.max_completion_tokens or request.max_tokens),
    }
    return [name for name, was_sent in unused.items() if was_sent]


def _last_of_user(request: ChatRequest) -> int | None:
    places = [place for place, message in enumerate(request.messages) if message.role == "user"]
    return places[-1] if places else None


def data(content: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def frame(kind: str, model: str, trace_id: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{trace_id}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "trace_id": trace_id,
    }


def usage_of(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
