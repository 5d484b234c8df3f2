"""Singleflight: identical calls at the same time are one call, whose stream all of them read.

Whoever has waited longest pays for it, and it is free for the others. A reader that leaves stops
nobody else; the last one to leave stops the model.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from dataclasses import replace

from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.gateway.money import FREE
from rag.protocols import Completion
from rag.trail import Trail
from rag.types import Usage

Piece = str | Restarted | Completion


class SharedCalls:
    """Wraps a gateway and satisfies `Gateway`.

    Calls are identical where tenant, prompt and all that routing and policies go by are the same
    and the temperature is 0: their answers would be, too.
    """

    def __init__(self, inner: Gateway) -> None:
        self._inner = inner
        self._flights: dict[Hashable, _Flight] = {}

    async def stream(self, call: ModelCall, trail: Trail) -> AsyncGenerator[Piece]:
        reading = (
            self._inner.stream(call, trail)
            if call.prompt.temperature != 0
            else self._flight_of(call, trail).read(trail)
        )
        async with aclosing(reading) as pieces:
            async for piece in pieces:
                yield piece

    def _flight_of(self, call: ModelCall, trail: Trail) -> "_Flight":
        key = _identity(call)
        flight = self._flights.get(key)
        if flight is None:

            def landed() -> None:
                if self._flights.get(key) is flight:
                    del self._flights[key]

            # What it spends is written down apart, until it is known who pays.
            spent = replace(trail, routes=[], attempts=[], verdicts=[], sent=[], shown=[])
            flight = self._flights[key] = _Flight(spent, landed)
            flight.start(self._inner.stream(call, spent))
        return flight


def _identity(call: ModelCall) -> Hashable:
    prompt = call.prompt
    return (
        *(call.account.tenant, call.use_case, call.step, call.quality, call.lane, call.model),
        *(call.tried, call.personal_data, call.unpaid, call.signals),
        *(prompt.messages, prompt.question, prompt.prompt, prompt.max_output_tokens),
        tuple((each.number, each.hit.chunk.id, each.text) for each in prompt.evidence),
        json.dumps(prompt.response_schema, sort_keys=True) if prompt.response_schema else "",
    )


class _Flight:
    """One call under way, and its readers in the order in which they came."""

    def __init__(self, spent: Trail, landed: Callable[[], None]) -> None:
        self._spent = spent
        self._landed = landed
        self._readers: list[Trail] = []
        self._pieces: list[Piece] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._over = False
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, stream: AsyncGenerator[Piece]) -> None:
        self._task = asyncio.create_task(self._fly(stream), name="shared model call")

    async def read(self, trail: Trail) -> AsyncGenerator[Piece]:
        self._readers.append(trail)
        try:
            at = 0
            while True:
                while at < len(self._pieces):
                    yield self._pieces[at]
                    at += 1
                if self._over:
                    break
                await self._next_piece()
        finally:
            await self._leave(trail)
        if self._error is not None:
            raise self._error

    async def _fly(self, stream: AsyncGenerator[Piece]) -> None:
        end: Completion | None = None
        try:
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Completion):
                        end = piece
                    else:
                        self._pieces.append(piece)
                        self._wake()
        except Exception as error:  # noqa: BLE001 - each reader raises it
            self._error = error
        finally:
            # Everything is settled before any reader sees the end.
            self._landed()
            self._settle()
            if end is not None:
                self._pieces.append(end)
            self._over = True
            self._wake()

    def _settle(self) -> None:
        """What was spent goes to the first reader; the others had it for nothing."""
        free = [replace(each, usage=Usage(), cost=FREE) for each in self._spent.attempts]
        for place, trail in enumerate(self._readers):
            trail.routes += self._spent.routes
            trail.verdicts += self._spent.verdicts
            trail.attempts += free if place else self._spent.attempts

    async def _leave(self, trail: Trail) -> None:
        if not self._over and len(self._readers) == 1 and self._task is not None:
            # Nobody may join a call that is being stopped.
            self._landed()
            self._task.cancel()
            await asyncio.wait([self._task])
        self._readers = [reader for reader in self._readers if reader is not trail]

    async def _next_piece(self) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()
