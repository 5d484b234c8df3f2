"""A language model endpoint that plays a script: real HTTP on a free port, every fault on demand.

    async with scripted_upstream(Status(429, retry_after="7"), Says("Deep.")) as upstream:
        wire = OpenAIWire(base_url=upstream.base_url, model="served", ...)

The first call gets the first reply, the second the second, and all further ones the last. A model
may have a script of its own (`upstream.plays(Says("Cheap."), model="small")`). `upstream.calls`,
`.hung_up`, `.tokens`, `.asked` and `.headers` tell what was asked of it. From the shell, for
benchmarks: `python -m tests.scripted_upstream --port 8123 --words 24 --first-token-ms 0`.
"""

import argparse
import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, assert_never
from weakref import WeakSet

from aiohttp import web

DONE = "data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the endpoint says the call has used."""

    prompt: int = 20
    completion: int = 5
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Says:
    """An answer, a word a frame, with usage at its end. Its text may be JSON, right or wrong."""

    text: str
    counts: Counts | None = Counts()
    """None: the endpoint does not count."""
    finish_reason: str = "stop"
    first_token_s: float = 0.0
    gap_s: float = 0.0
    released: asyncio.Event | None = None
    """Waited for before the first word: a test that decides when the model begins."""


@dataclass(frozen=True, slots=True)
class Silent:
    """The request is taken, and nothing is ever said."""


@dataclass(frozen=True, slots=True)
class Stalls:
    """It begins to answer, and then no more comes."""

    after: str = "Very"


@dataclass(frozen=True, slots=True)
class CutOff:
    """The connection breaks in the middle of the answer."""

    after: str = "Very"
    released: asyncio.Event | None = None
    """Waited for after the words: a test that decides when it breaks."""


@dataclass(frozen=True, slots=True)
class HangsUp:
    """The connection is taken and dropped before any answer: as good as refused."""


@dataclass(frozen=True, slots=True)
class Status:
    """No answer but a status: 429, 500, 401, …"""

    code: int
    retry_after: str | None = None
    body: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """A stream of exactly these bytes: frames that are no JSON, or no completion."""

    frames: Sequence[str] = ("data: {not json\n\n",)
    after: str = ""
    """Said properly before."""


@dataclass(frozen=True, slots=True)
class Endless:
    """It says this again and again until the client hangs up."""

    word: str = "and so on "


Reply = Says | Silent | Stalls | CutOff | HangsUp | Status | Raw | Endless


def piece(text: str) -> str:
    return _event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


def _event(value: object) -> str:
    return f"data: {json.dumps(value)}\n\n"


@dataclass(slots=True)
class ScriptedUpstream:
    base_url: str = ""
    """With the version: `http://127.0.0.1:…/v1`."""
    calls: int = 0
    """Completions asked for, whatever became of them."""
    health_checks: int = 0
    """How often `GET /v1/models` was asked."""
    healthy: bool = True
    """Whether `GET /v1/models` answers 200 or 503."""
    hung_up: int = 0
    """Calls that the client closed before their end."""
    tokens: int = 0
    """Pieces of text that were sent, over all calls."""
    open_now: int = 0
    """Calls that are being answered."""
    most_at_once: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The bodies of the calls, in order."""
    connections: int = 0
    """How many were opened for the calls; a client that keeps them opens few."""
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """Of each call, names in lower case."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _seen: WeakSet[asyncio.BaseTransport] = field(default_factory=WeakSet[asyncio.BaseTransport])
    _scripts: dict[str, list[Reply]] = field(default_factory=dict[str, list[Reply]])

    def plays(self, *replies: Reply, model: str = "") -> None:
        """What is answered from now on; to calls of `model` alone where it is named."""
        self._scripts[model] = list(replies)

    async def until_called(self, times: int = 1) -> None:
        await self._until(lambda: self.calls >= times)

    async def until_hung_up(self, times: int = 1) -> None:
        """The client has closed so many calls before their end."""
        await self._until(lambda: self.hung_up >= times)

    async def until_idle(self) -> None:
        await self._until(lambda: self.open_now == 0)

    async def _until(self, holds: Any) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(holds)

    # --- serving -------------------------------------------------------------------------------

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if request.transport is not None and request.transport not in self._seen:
            self._seen.add(request.transport)
            self.connections += 1
        self.calls += 1
        self.open_now += 1
        self.most_at_once = max(self.most_at_once, self.open_now)
        await self._tell()
        try:
            return await self._play(request, self._next(body.get("model", "")))
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up += 1
            raise
        finally:
            self.open_now -= 1
            await asyncio.shield(self._tell())

    async def models(self, request: web.Request) -> web.Response:
        del request
        self.health_checks += 1
        await self._tell()
        if not self.healthy:
            return web.Response(status=503)
        return web.json_response({"object": "list", "data": [{"id": "served"}]})

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def _next(self, model: str) -> Reply:
        script = self._scripts.get(model) or self._scripts[""]
        return script.pop(0) if len(script) > 1 else script[0]

    async def _play(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        match reply:
            case Status():
                headers = {} if reply.retry_after is None else {"Retry-After": reply.retry_after}
                return web.Response(status=reply.code, text=reply.body, headers=headers)
            case HangsUp():
                return _drop(request)
            case Silent():
                await _for_ever()
            case Says():
                if reply.released is not None:
                    await reply.released.wait()
                await asyncio.sleep(reply.first_token_s)
            case Stalls() | CutOff() | Raw() | Endless():
                pass
            case _:
                assert_never(reply)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self._stream(response, reply)
        return _drop(request) if isinstance(reply, CutOff) else response

    async def _stream(
        self, response: web.StreamResponse, reply: Says | Stalls | CutOff | Raw | Endless
    ) -> None:
        match reply:
            case Says():
                await self._answer(response, reply)
            case CutOff():
                await self._say(response, reply.after)
                if reply.released is not None:
                    await reply.released.wait()
            case Raw():
                if reply.after:
                    await self._say(response, reply.after)
                for frame in reply.frames:
                    await response.write(frame.encode())
            case Endless():
                while True:
                    await self._say(response, reply.word)
                    await asyncio.sleep(0)
            case Stalls():
                await self._say(response, reply.after)
                await _for_ever()
            case _:
                assert_never(reply)

    async def _answer(self, response: web.StreamResponse, reply: Says) -> None:
        for at, word in enumerate(re.findall(r"\s*\S+|\s+$", reply.text)):
            if at and reply.gap_s:
                await asyncio.sleep(reply.gap_s)
            await self._say(response, word)
        end: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": reply.finish_reason}
        await response.write(_event({"choices": [end]}).encode())
        if reply.counts is not None:
            usage = {
                "prompt_tokens": reply.counts.prompt,
                "completion_tokens": reply.counts.completion,
                "prompt_tokens_details": {"cached_tokens": reply.counts.cached},
            }
            await response.write(_event({"choices": [], "usage": usage}).encode())
        await response.write(DONE.encode())

    async def _say(self, response: web.StreamResponse, text: str) -> None:
        await response.write(piece(text).encode())
        self.tokens += 1


async def _for_ever() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def _drop(request: web.Request) -> web.Response:
    """Close the connection as a crash does, in the middle of whatever was being said."""
    transport = request.transport
    if transport is not None:
        transport.abort()
    return web.Response()


@asynccontextmanager
async def scripted_upstream(*replies: Reply, port: int = 0) -> AsyncGenerator[ScriptedUpstream]:
    """The endpoint, serving until the block ends; without replies it says `Deep.` for ever."""
    upstream = ScriptedUpstream()
    upstream.plays(*(replies or (Says("Deep."),)))
    app = web.Application()
    app.router.add_post("/v1/chat/completions", upstream.complete)
    app.router.add_get("/v1/models", upstream.models)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        bound: int = runner.addresses[0][1]
        upstream.base_url = f"http://127.0.0.1:{bound}/v1"
        yield upstream
    finally:
        await runner.cleanup()


def refused_address() -> str:
    """The address of an endpoint that is not there: every connection to it is refused."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/v1"


async def _serve(port: int, reply: Says) -> None:
    async with scripted_upstream(reply, port=port):
        await _for_ever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--words", type=int, default=24)
    parser.add_argument("--first-token-ms", type=float, default=0.0)
    parser.add_argument("--gap-ms", type=float, default=0.0)
    given = parser.parse_args()
    text = " ".join(f"word{number}" for number in range(given.words))
    said = Says(
        text,
        Counts(completion=given.words),
        first_token_s=given.first_token_ms / 1000,
        gap_s=given.gap_ms / 1000,
    )
    asyncio.run(_serve(given.port, said))
