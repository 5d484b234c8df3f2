"""Server-sent events that stop the work behind them when nobody listens any more."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

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
    """Sends `events` as they come, and a comment before nothing came for `keep_alive_s`.

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
        self._is_quiet = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _ = scope
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        pumping = asyncio.create_task(self._pump(send))
        going = asyncio.create_task(Client(receive).gone())
        try:
            while not pumping.done() and not going.done():
                self._is_quiet = True
                await asyncio.wait(
                    (pumping, going),
                    timeout=self._keep_alive_s / 2,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                # Nothing came for half the time: at the next look it may be all of it.
                if self._is_quiet and not pumping.done() and not going.done():
                    await _body(send, KEEP_ALIVE, more=True)
        finally:
            going.cancel()
            pumping.cancel()
            # What the events hold open is closed even when the client has gone.
            await asyncio.wait((going, pumping), timeout=CLOSE_S)
        if not pumping.cancelled():
            pumping.result()
            await _body(send, b"", more=False)

    async def _pump(self, send: Send) -> None:
        try:
            async for chunk in self._events:
                self._is_quiet = False
                await _body(send, chunk, more=True)
        finally:
            await self._events.aclose()


async def _body(send: Send, chunk: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": more})
