"""A language model behind an OpenAI-compatible endpoint: vLLM, TGI, Ollama, llama.cpp, managed ones."""

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from rag.adapters.streaming import Patience, paced
from rag.errors import ModelUnavailable, PermanentError
from rag.protocols import Completion, ModelPrompt
from rag.types import Usage

_TRY_AGAIN = frozenset({408, 409, 425, 429})
_OK, _SERVER_ERRORS = 200, 500
_DONE = "[DONE]"
_UNSENDABLE = (
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    UnicodeEncodeError,
)
"""What httpx raises for an address or a header that is none, before anything is sent."""


class _Delta(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Counts(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Frame(BaseModel):
    """One event of the stream. The last one before the end has the usage and no choice."""

    # A frame that is none may repeat the key or the prompt: pydantic's error must not show it.
    model_config = ConfigDict(hide_input_in_errors=True)

    choices: list[_Choice] = []
    usage: _Counts | None = None
    error: object = None

    @property
    def says_something(self) -> bool:
        """False for the opening event, which names a role before the model has read the prompt."""
        return self.usage is not None or any(
            choice.delta.content or choice.finish_reason for choice in self.choices
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAICompatibleModel:
    """`POST {base_url}/chat/completions`, streamed. It owns `client` and closes it."""

    client: httpx.AsyncClient
    base_url: str
    """With the version: `https://host/v1`."""
    model: str
    api_key: SecretStr | None = None
    patience: Patience = field(default_factory=Patience)
    temperature: float = 0.0

    @property
    def name(self) -> str:
        return self.model

    async def stream(self, prompt: ModelPrompt) -> AsyncGenerator[str | Completion]:
        """As the protocol says. Closing it closes the connection, which stops the model."""
        finish_reason = ""
        usage = Usage()
        async with (
            aclosing(self._frames(prompt)) as frames,
            aclosing(paced(frames, self.patience, model=self.model)) as timed,
        ):
            async for frame in timed:
                if frame.usage is not None:
                    usage = Usage(frame.usage.prompt_tokens, frame.usage.completion_tokens)
                for choice in frame.choices[:1]:
                    finish_reason = choice.finish_reason or finish_reason
                    if choice.delta.content:
                        yield choice.delta.content
        if not finish_reason:
            raise ModelUnavailable(f"{self.model} broke off in the middle of its answer")
        yield Completion(model=self.model, usage=usage, finish_reason=finish_reason)

    async def aclose(self) -> None:
        await self.client.aclose()

    async def _frames(self, prompt: ModelPrompt) -> AsyncGenerator[_Frame]:
        try:
            response = await self.client.send(self._request(prompt), stream=True)
            try:
                if response.status_code != _OK:
                    raise self._refused(response)
                async with aclosing(_events(response.aiter_lines())) as events:
                    async for data in events:
                        if data == _DONE:
                            return
                        if (frame := self._frame(data)).says_something:
                            yield frame
            finally:
                await response.aclose()
        except _UNSENDABLE as error:
            # These errors show the header or the address itself: they may not even be the cause.
            raise PermanentError(
                f"the address or the key of {self.model} cannot be sent ({type(error).__name__})"
            ) from None
        except httpx.HTTPError as error:
            # The library's words may hold the address with its credentials: only its kind is told.
            raise ModelUnavailable(
                f"{self.model} could not be reached ({type(error).__name__})"
            ) from error

    def _request(self, prompt: ModelPrompt) -> httpx.Request:
        return self.client.build_request(
            "POST",
            f"{self.base_url.rstrip('/')}/chat/completions",
            headers=self._headers(),
            json={
                "model": self.model,
                "messages": [
                    {"role": message.role, "content": message.content}
                    for message in prompt.messages
                ],
                "max_tokens": prompt.max_output_tokens,
                "temperature": self.temperature,
                "stream": True,
                "stream_options": {"include_usage": True},
            },
            # Waiting for the model is timed piece by piece; only connecting is httpx's to time.
            timeout=httpx.Timeout(None, connect=self.patience.connect_s),
        )

    def _headers(self) -> dict[str, str]:
        if self.api_key is None:
            return {}
        return {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}

    def _frame(self, data: str) -> _Frame:
        try:
            frame = _Frame.model_validate_json(data)
        except ValidationError as error:
            raise ModelUnavailable(f"{self.model} sent what is no completion") from error
        if frame.error is not None:
            raise ModelUnavailable(f"{self.model} failed while it answered")
        return frame

    def _refused(self, response: httpx.Response) -> ModelUnavailable | PermanentError:
        """The body stays unread: endpoints repeat keys and prompts in it."""
        status = response.status_code
        message = f"{self.model} answered with status {status}"
        if status in _TRY_AGAIN or status >= _SERVER_ERRORS:
            return ModelUnavailable(
                message, retry_after_s=retry_after_s(response.headers.get("retry-after"))
            )
        return PermanentError(message)


async def _events(lines: AsyncIterator[str]) -> AsyncGenerator[str]:
    """The data of each server-sent event: its `data:` lines, up to the blank line that ends it."""
    data: list[str] = []
    async for line in lines:
        field_name, _, value = line.partition(":")
        if not line:
            if data:
                yield "\n".join(data)
            data = []
        elif field_name == "data":
            data.append(value.removeprefix(" "))
        elif field_name == "error":
            # llama.cpp reports a failure in mid-stream under this name.
            yield '{"error": true}'
    if data:
        yield "\n".join(data)


def retry_after_s(header: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds from a `Retry-After` header: a number of them, or a date. None for neither."""
    if header is None:
        return None
    if (digits := header.strip()).isdecimal():
        seconds = float(digits)
        return seconds if math.isfinite(seconds) else None
    try:
        then = parsedate_to_datetime(header)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())
