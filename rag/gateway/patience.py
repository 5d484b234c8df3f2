"""How long a language model may take, how often a call is tried, and holding each wait to it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from rag.errors import ModelUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds to wait for a language model."""

    connect_s: float = 5.0
    first_token_s: float = 60.0
    """From the request to the first piece: the model reads the whole prompt meanwhile."""
    gap_s: float = 20.0
    """Between two pieces."""
    total_s: float = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackPolicy:
    """How long, how often and how far a call is tried."""

    patience: Patience = field(default_factory=Patience)
    """With one attempt."""
    deadline_s: float = 120.0
    """With all attempts of a call together, where the call does not say."""
    batch_deadline_s: float = 1_800.0
    """The same for work of the batch lane, its wait for room included."""
    retries: int = 1
    """Further rounds over those deployments of a model whose fault may pass quickly."""
    backoff_s: float = 0.2
    """Before the first such round at most; twice as long before each further one."""
    restarts: bool = True
    """Whether another deployment may begin again when one fails after its first words."""
    cooldown_s: float = 5.0
    """For a deployment that asks us to slow down and does not say for how long."""
    longest_cooldown_s: float = 600.0
    output_margin: float = 3.0
    """An answer this many times as long as it may be is endless. Lengths are estimates: too small
    a margin would cut answers in languages of long tokens."""
    last_resort_s: float = 15.0
    """For what only quotes, when the deadline is over."""


@dataclass(slots=True)
class Waiting:
    """Holds the waits for one answer to a patience. The clock stands still while the reader works:
    only what is awaited here is timed."""

    patience: Patience
    model: str
    _began: bool = False
    _for_piece: float = 0.0
    """Seconds waited since the last piece."""
    _in_all: float = 0.0
    _time: "asyncio.AbstractEventLoop" = field(default_factory=asyncio.get_running_loop)

    async def wait(self, awaited: Awaitable[T]) -> T:
        """What `awaited` gives. Errors: `ModelUnavailable` when patience is at its end."""
        clock = self._time.time
        start = clock()
        patience = self.patience
        allowed = (patience.gap_s if self._began else patience.first_token_s) - self._for_piece
        left = patience.total_s - self._in_all
        timer = asyncio.timeout(min(allowed, left))
        try:
            async with timer:
                return await awaited
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise self._too_slow(in_all=left <= allowed) from error
        finally:
            waited = clock() - start
            self._for_piece += waited
            self._in_all += waited

    def piece_came(self) -> None:
        self._began = True
        self._for_piece = 0.0

    def _too_slow(self, *, in_all: bool) -> ModelUnavailable:
        message = f"{self.model} did not go on in time"
        if in_all:
            return ModelUnavailable(message, fault="out_of_time")
        return ModelUnavailable(message, fault="gap" if self._began else "no_first_token")


async def paced(pieces: AsyncIterator[T], patience: Patience, *, model: str) -> AsyncGenerator[T]:
    """`pieces`, for as long as they come in time. Raises `ModelUnavailable` when they do not.

    The clock starts when the first piece is asked for.
    """
    waiting = Waiting(patience, model)
    while True:
        try:
            piece = await waiting.wait(anext(pieces))
        except StopAsyncIteration:
            return
        waiting.piece_came()
        yield piece
