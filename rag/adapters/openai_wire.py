"""A language model behind an OpenAI-compatible endpoint: vLLM, TGI, Ollama, llama.cpp, managed ones.

On the hot path of every question: aiohttp, and as little as can be done for a piece.
"""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from pydantic import SecretStr

from rag.adapters.openai_frames import FailedMidway, Heard
from rag.adapters.prefix_cache import PrefixCache
from rag.adapters.server_sent_events import EventReader
from rag.errors import LimitExceeded, ModelRejects, ModelUnavailable, PermanentError
from rag.gateway.patience import Patience, Waiting
from rag.protocols import Completion, ModelPrompt

_TRY_AGAIN = frozenset({408, 409, 425})
_OK, _TOO_MANY, _SERVER_ERRORS = 200, 429, 500
_DONE = b"[DONE]"
_DRAIN_S = 0.05
"""How long to wait, after the answer is whole, for the end of its body: a connection that was read
to the end is used again."""
_JSON = {"Content-Type": "application/json", "Accept": "text/event-stream"}


class HttpConnections:
    """The connections to one endpoint, opened when they are first needed."""

    def __init__(self, *, trust_env: bool = False) -> None:
        """`trust_env`: proxies and credentials of the environment and of `.netrc` are used."""
        self._trust_env = trust_env
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                # How many calls there may be at once is for the gateway's lanes to say.
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self._trust_env,
                auto_decompress=True,
                trace_configs=[_telling_of_reuse()],
            )
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


@dataclass(slots=True)
class _Sending:
    """One request on its way."""

    reused: bool = False
    """Whether it went over a connection that was there before."""


def _telling_of_reuse() -> aiohttp.TraceConfig:
    async def reused(_session: object, context: Any, _params: object) -> None:
        if isinstance(context.trace_request_ctx, _Sending):
            context.trace_request_ctx.reused = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(reused)
    return config


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIWire:
    """`POST {base_url}/chat/completions`, streamed. It owns its connections and closes them."""

    base_url: str
    """With the version: `https://host/v1`."""
    model: str
    api_key: SecretStr | None = None
    patience: Patience = field(default_factory=Patience)
    """Where the caller brings none of its own."""
    logprobs: bool = False
    """Whether the endpoint is asked how sure it was of each token."""
    prefix_cache: PrefixCache | None = None
    """None: the endpoint is told nothing of prompts that begin alike."""
    trace_headers: Callable[[], Mapping[str, str]] = dict
    """Sent with each call, so that the endpoint's own trace goes on from ours; none as it comes."""
    connections: HttpConnections = field(default_factory=HttpConnections)

    @property
    def name(self) -> str:
        return self.model

    async def stream(
        self, prompt: ModelPrompt, patience: Patience | None = None
    ) -> AsyncGenerator[str | Completion]:
        """As the protocol says. Closing it closes the connection, which stops the model."""
        patience = patience or self.patience
        waiting = Waiting(patience, self.model)
        reader, heard = EventReader(), Heard()
        response = await self._opened(prompt, waiting, patience)
        try:
            done = False
            while not done:
                data = await self._read(response, waiting)
                said = self._said(self._events(reader, data), heard, waiting)
                if said.text:
                    yield said.text
                if said.failure is not None:
                    raise said.failure
                done = said.is_whole or not data
            if not heard.finish_reason:
                raise ModelUnavailable(
                    f"{self.model} broke off in the middle of its answer",
                    fault="broken_off" if heard.anything else "bad_response",
                )
            await _drain(response)
        finally:
            # What was not read to its end is closed, never used again.
            response.release() if response.content.at_eof() else response.close()
        yield Completion(
            model=self.model,
            usage=heard.usage,
            finish_reason=heard.finish_reason,
            confidence=heard.sureness,
        )

    async def is_alive(self, *, within_s: float) -> bool:
        """Whether the endpoint answers at all; even a refusal to list its models is an answer."""
        try:
            async with (
                asyncio.timeout(within_s),
                self.connections.session.get(
                    self._url("models"), headers=self._headers(), allow_redirects=False
                ) as response,
            ):
                return response.status < _SERVER_ERRORS
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, PermanentError):
            return False

    async def aclose(self) -> None:
        await self.connections.aclose()

    def _post(
        self, prompt: ModelPrompt, patience: Patience, sending: _Sending
    ) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        return self.connections.session.post(
            self._url("chat/completions"),
            data=json.dumps(self._body(prompt)).encode(),
            headers={**self._headers(), **self.trace_headers()},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=patience.connect_s),
            trace_request_ctx=sending,
        )

    # --- asking --------------------------------------------------------------------------------

    async def _opened(
        self, prompt: ModelPrompt, waiting: Waiting, patience: Patience
    ) -> aiohttp.ClientResponse:
        sending = _Sending()
        try:
            try:
                response = await waiting.wait(self._post(prompt, patience, sending))
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not sending.reused:
                    raise
                # The endpoint closed a connection that lay idle, just as it was taken up again: it
                # is told by an end or, where we had begun to write, by a reset.
                response = await waiting.wait(self._post(prompt, patience, _Sending()))
        except (ValueError, aiohttp.NonHttpUrlClientError) as error:
            # These errors show the address itself, and it may hold credentials.
            raise PermanentError(
                f"the address of {self.model} cannot be sent to ({type(error).__name__})"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from None
        if response.status != _OK:
            response.close()
            raise self._refused(response)
        return response

    def _url(self, path: str) -> str:
        return f"{self.base_url.rstrip('/')}/{path}"

    def _headers(self) -> dict[str, str]:
        if self.api_key is None:
            return _JSON
        key = self.api_key.get_secret_value()
        if not (key.isascii() and key.isprintable()):
            raise PermanentError(f"the key of {self.model} cannot be sent")
        return {**_JSON, "Authorization": f"Bearer {key}"}

    def _body(self, prompt: ModelPrompt) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [
                {"role": message.role, "content": message.content} for message in prompt.messages
            ],
            "max_tokens": prompt.max_output_tokens,
            "temperature": prompt.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if prompt.response_schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": prompt.response_schema},
            }
        if self.logprobs:
            body["logprobs"] = True
        if self.prefix_cache is not None and prompt.cache_scope:
            return self.prefix_cache.hinted(body, prompt.cache_scope)
        return body

    # --- listening -----------------------------------------------------------------------------

    async def _read(self, response: aiohttp.ClientResponse, waiting: Waiting) -> bytes:
        """What came next; nothing at the end."""
        try:
            return await waiting.wait(response.content.readany())
        except (aiohttp.ClientError, OSError) as error:
            # The library's words may hold the address with its credentials: only its kind is told.
            raise ModelUnavailable(
                f"{self.model} broke off in the middle of its answer ({type(error).__name__})",
                fault="broken_off",
            ) from None

    def _events(self, reader: EventReader, data: bytes) -> list[bytes]:
        try:
            return reader.read(data) if data else reader.end()
        except LimitExceeded as error:
            raise self._no_completion() from error

    def _said(self, events: Iterable[bytes], heard: Heard, waiting: Waiting) -> "_Said":
        """What came in one go is one piece: all that stands above pays for a piece, not a token."""
        texts: list[str] = []
        try:
            for event in events:
                if event == _DONE:
                    return _Said("".join(texts), is_whole=True)
                text = heard.take(event)
                if text is not None:
                    waiting.piece_came()
                if text:
                    texts.append(text)
        except ValueError:
            return _Said("".join(texts), failure=self._no_completion())
        except FailedMidway:
            failure = ModelUnavailable(f"{self.model} failed while it answered")
            return _Said("".join(texts), failure=failure)
        return _Said("".join(texts))

    def _no_completion(self) -> ModelUnavailable:
        return ModelUnavailable(f"{self.model} sent what is no completion", fault="bad_response")

    def _unreachable(self, error: Exception) -> ModelUnavailable:
        return ModelUnavailable(
            f"{self.model} could not be reached ({type(error).__name__})", fault="unreachable"
        )

    def _refused(self, response: aiohttp.ClientResponse) -> ModelUnavailable | ModelRejects:
        """The body stays unread: endpoints repeat keys and prompts in it."""
        status = response.status
        message = f"{self.model} answered with status {status}"
        if status in _TRY_AGAIN or status == _TOO_MANY or status >= _SERVER_ERRORS:
            return ModelUnavailable(
                message,
                retry_after_s=retry_after_s(response.headers.get("retry-after")),
                fault="rate_limited" if status == _TOO_MANY else "server_error",
            )
        return ModelRejects(message, status=status)


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    is_whole: bool = False
    failure: ModelUnavailable | None = None
    """What came after the text."""


async def _drain(response: aiohttp.ClientResponse) -> None:
    content = response.content
    try:
        async with asyncio.timeout(_DRAIN_S):
            while not content.at_eof():
                await content.readany()
    except (aiohttp.ClientError, OSError, TimeoutError):
        # The answer is whole; only the connection is of no further use.
        return


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
