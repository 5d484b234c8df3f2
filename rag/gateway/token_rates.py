"""Tokens a minute: what a call may need is taken before it, and put right after it.

Any stretch of time as long as a rate's window holds at most so many tokens, counted when their
calls began: a log of calls, not an average.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from rag.access import TenantId
from rag.errors import RateLimited
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.gateway.tokens import estimated_input
from rag.protocols import Completion
from rag.trail import Account, Trail


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRate:
    """How many tokens one subject may have called for in any stretch of `window`."""

    tenant: TenantId
    whose: str
    """`key`, `user` or `tenant`, for the words of the error."""
    subject: str
    tokens: int
    window: timedelta

    @property
    def name(self) -> str:
        return f"{self.whose}/{self.window.total_seconds():g}/{self.subject}"


class TokenRates(Protocol):
    """Counts tokens in sliding windows, whoever asks from however many processes."""

    async def take(self, call: str, rates: Sequence[TokenRate], tokens: int) -> None:
        """Count `tokens` in all of `rates`, or in none. `rates` are of one tenant.

        Raises `RateLimited` with the seconds until there is room.
        """
        ...

    async def correct(self, call: str, rates: Sequence[TokenRate], tokens: int) -> None:
        """The call took so many: count these in place of what was taken, as long ago as that."""
        ...


def too_many(rate: TokenRate, wait_s: float | None) -> RateLimited:
    return RateLimited(
        f"more than {rate.tokens} tokens in {rate.window.total_seconds():g} seconds"
        f" for this {rate.whose}",
        retry_after_s=wait_s,
    )


@dataclass(slots=True)
class _Log:
    """The calls of one window, the oldest first."""

    calls: deque[tuple[datetime, str]] = field(default_factory=deque[tuple[datetime, str]])
    tokens: dict[str, int] = field(default_factory=dict[str, int])
    total: int = 0

    def forget_until(self, moment: datetime) -> None:
        while self.calls and self.calls[0][0] <= moment:
            self.total -= self.tokens.pop(self.calls.popleft()[1])

    def room_at(self, tokens: int, rate: TokenRate) -> datetime:
        """When so many have left that `tokens` fit."""
        total = self.total
        for began, call in self.calls:
            total -= self.tokens[call]
            if total + tokens <= rate.tokens:
                return began + rate.window
        raise AssertionError("an empty window has room for what is no more than its rate")


class LocalTokenRates:
    """Satisfies `TokenRates`, for one process."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._logs: dict[tuple[TenantId, str], _Log] = {}

    async def take(self, call: str, rates: Sequence[TokenRate], tokens: int) -> None:
        moment = self._clock()
        for rate in rates:
            if tokens > rate.tokens:
                raise too_many(rate, None)
            log = self._logs.setdefault((rate.tenant, rate.name), _Log())
            log.forget_until(moment - rate.window)
            if log.total + tokens > rate.tokens:
                wait = log.room_at(tokens, rate) - moment
                raise too_many(rate, max(1.0, wait.total_seconds()))
        for rate in rates:
            log = self._logs[rate.tenant, rate.name]
            log.calls.append((moment, call))
            log.tokens[call] = tokens
            log.total += tokens
        self._forget_idle(moment)

    async def correct(self, call: str, rates: Sequence[TokenRate], tokens: int) -> None:
        for rate in rates:
            log = self._logs.get((rate.tenant, rate.name))
            if log is not None and call in log.tokens:
                log.total += tokens - log.tokens[call]
                log.tokens[call] = tokens

    def _forget_idle(self, moment: datetime) -> None:
        """Two logs a call, all in turn: so nobody waits for it."""
        for key in list(islice(self._logs, 2)):
            log = self._logs.pop(key)
            log.forget_until(moment - timedelta(days=1))
            if log.calls:
                self._logs[key] = log


class RateLimitedGateway:
    """Satisfies `Gateway`: refuses calls of those who have called for too many tokens."""

    def __init__(
        self,
        inner: Gateway,
        *,
        rates: TokenRates,
        rates_of: Callable[[Account], Sequence[TokenRate]],
    ) -> None:
        self._inner = inner
        self._rates = rates
        self._rates_of = rates_of

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        rates = self._rates_of(call.account)
        name = uuid.uuid4().hex
        if rates:
            most = estimated_input(call.prompt.messages) + call.prompt.max_output_tokens
            await self._rates.take(name, rates, most)
        # Other steps of the request may write to the trail meanwhile: these are this call's.
        own = replace(trail, attempts=[])
        try:
            async with aclosing(self._inner.stream(call, own)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            trail.attempts += own.attempts
            if rates:
                used = own.usage.input_tokens + own.usage.output_tokens
                correcting = asyncio.ensure_future(self._rates.correct(name, rates, used))
                await asyncio.shield(correcting)
