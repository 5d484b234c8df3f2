"""Singleflight: identical calls at the same time are one call, whose stream all of them read.

Whoever has waited longest pays for each attempt, and it is free for the others: who leaves pays for
those that were over by then. A reader that leaves stops nobody else; the last one to leave stops
the model.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace

from rag.gateway.budgets import Amount
from rag.gateway.calls import Gateway, HoldMore, ModelCall, Restarted
from rag.gateway.money import FREE
from rag.protocols import Completion
from rag.trail import Attempt, Trail
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
            else self._flight_of(call, trail).read(_Reader(trail, call.hold_more))
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
            flight.start(self._inner.stream(replace(call, hold_more=flight.hold_more), spent))
        return flight


def _identity(call: ModelCall) -> Hashable:
    prompt = call.prompt
    return (
        *(call.account.tenant, call.use_case, call.step, call.quality, call.lane, call.model),
        *(call.tried, call.personal_data, call.unpaid, call.signals, call.deadline_s),
        *(prompt.messages, prompt.question, prompt.prompt, prompt.max_output_tokens),
        tuple((each.number, each.hit.chunk.id, each.text) for each in prompt.evidence),
        json.dumps(prompt.response_schema, sort_keys=True) if prompt.response_schema else "",
    )


@dataclass(slots=True, eq=False)
class _Reader:
    """Somebody who waits for the call, and has room for one attempt held in their budgets."""

    trail: Trail
    hold_more: HoldMore | None
    """Asked before an attempt that the room held does not cover; None: no budget holds them."""
    owes: bool = False
    """Whether that room is used up, by an attempt that was billed to them."""


class _Flight:
    """One call under way, and its readers: the first of them pays."""

    def __init__(self, spent: Trail, landed: Callable[[], None]) -> None:
        self._spent = spent
        self._landed = landed
        self._readers: list[_Reader] = []
        self._billed = 0
        """Attempts of `spent` that somebody has paid."""
        self._pieces: list[Piece] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._over = False
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, stream: AsyncGenerator[Piece]) -> None:
        self._task = asyncio.create_task(self._fly(stream), name="shared model call")

    async def read(self, reader: _Reader) -> AsyncGenerator[Piece]:
        # What was over before they came is paid, or the first one's to pay.
        reader.trail.attempts += _for_nothing(self._spent.attempts[: self._billed])
        self._readers.append(reader)
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
            await self._leave(reader)
        if self._error is not None:
            raise self._error

    async def hold_more(self, amount: Amount) -> bool:
        """Whether somebody pays for one more attempt. Who has no room for it hands the paying on,
        after those that were billed so far."""
        self._bill()
        without_room: list[_Reader] = []
        while payer := next((each for each in self._readers if each not in without_room), None):
            if payer.owes and payer.hold_more is not None:
                has_room = await payer.hold_more(amount)
                if payer not in self._readers:
                    continue  # they left meanwhile, and what was held for them is given back
                if not has_room:
                    without_room.append(payer)
                    continue
            payer.owes = False
            self._readers.remove(payer)
            self._readers.insert(0, payer)
            return True
        return False

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
            self._bill()
            for reader in self._readers:
                self._tell(reader)
            if end is not None:
                self._pieces.append(end)
            self._over = True
            self._wake()

    def _bill(self) -> None:
        """What was spent since the last time goes to the first reader; the others have it for
        nothing."""
        new = self._spent.attempts[self._billed :]
        self._billed += len(new)
        for place, reader in enumerate(self._readers):
            reader.trail.attempts += _for_nothing(new) if place else new
            reader.owes = reader.owes or (not place and any(each.usage != Usage() for each in new))

    def _tell(self, reader: _Reader) -> None:
        reader.trail.routes += self._spent.routes
        reader.trail.verdicts += self._spent.verdicts

    async def _leave(self, reader: _Reader) -> None:
        if not self._over:
            if len(self._readers) == 1 and self._task is not None:
                # Nobody may join a call that is being stopped.
                self._landed()
                self._task.cancel()
                await _ended(self._task)
            else:
                self._bill()
                self._tell(reader)
        self._readers = [each for each in self._readers if each is not reader]

    async def _next_piece(self) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()


async def _ended(task: asyncio.Task[None]) -> None:
    """Waits for its end, however often whoever waits is cancelled: what it spent is told then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _for_nothing(attempts: Iterable[Attempt]) -> list[Attempt]:
    return [replace(each, usage=Usage(), cost=FREE) for each in attempts]
