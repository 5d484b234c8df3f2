"""Server-sent events that stop the work behind them when nobody listens any more."""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.client import Client

KEEP_ALIVE_S = 15.0
KEEP_ALIVE = b": still here\n\n"
CLOSE_S = 5.0


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """One event. JSON has no raw line break, so the data is always one line."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class EventStream(Response):
    """Sends `events` as they come, and a comment whenever nothing came for a while.

    `events` runs inside this response: a client that goes away cancels it, even between two
    events, which closes the language model's stream.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[bytes], *, keep_alive_s: float = KEEP_ALIVE_S
    ) -> None:
        super().__init__(headers={"x-accel-buffering": "no"})
        self._keep_alive_s = keep_alive_s
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _ = scope
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        put, take = anyio.create_memory_object_stream[bytes](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when_gone, Client(receive), tasks.cancel_scope)
            tasks.start_soon(_pump, self._events, put)
            await self._deliver(take, send)
            tasks.cancel_scope.cancel()

    async def _deliver(self, take: MemoryObjectReceiveStream[bytes], send: Send) -> None:
        async with take:
            while True:
                chunk = KEEP_ALIVE
                with anyio.move_on_after(self._keep_alive_s):
                    try:
                        chunk = await take.receive()
                    except anyio.EndOfStream:
                        break
                await _body(send, chunk, more=True)
        await _body(send, b"", more=False)


async def _cancel_when_gone(client: Client, scope: anyio.CancelScope) -> None:
    await client.gone()
    scope.cancel()


async def _pump(events: AsyncGenerator[bytes], put: MemoryObjectSendStream[bytes]) -> None:
    try:
        async with put:
            async for chunk in events:
                await put.send(chunk)
    finally:
        # What the events hold open is closed even when the client has gone.
        with anyio.move_on_after(CLOSE_S, shield=True):
            await events.aclose()


async def _body(send: Send, chunk: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": more})
