"""A call whose whole text is wanted; and work with many calls that can wait, such as an evaluation."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from rag.errors import ModelUnavailable, RateLimited
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.protocols import Completion
from rag.trail import Trail

T = TypeVar("T")

_WAIT_S = 1.0
"""Before work is done again that failed for a time nobody named; doubled with each try."""


@dataclass(frozen=True, slots=True)
class Completed:
    text: str
    completion: Completion


async def complete(gateway: Gateway, call: ModelCall, trail: Trail) -> Completed:
    """The whole text of one call; what a restart made void is not in it. Errors: the gateway's."""
    said: list[str] = []
    async with aclosing(gateway.stream(call, trail)) as pieces:
        async for piece in pieces:
            match piece:
                case str():
                    said.append(piece)
                case Restarted():
                    said.clear()
                case Completion():
                    return Completed("".join(said), piece)
    raise AssertionError("a stream ends with its completion")


async def all_of(
    work: Sequence[Callable[[], Awaitable[T]]],
    *,
    at_once: int = 8,
    tries: int = 4,
    longest_wait_s: float = 60.0,
) -> list[T]:
    """What came of each piece of work, in their order; its calls are to be of the batch lane.

    What fails for now is done again when the models say that it may be, `tries` times in all. Errors:
    the first that is left; like a cancellation, it ends all that is under way.
    """
    results: dict[int, T] = {}
    places = iter(range(len(work)))

    async def keep_working() -> None:
        for place in places:
            results[place] = await _patiently(work[place], tries, longest_wait_s)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(at_once, len(work))):
                tasks.create_task(keep_working())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [results[place] for place in range(len(work))]


async def _patiently(work: Callable[[], Awaitable[T]], tries: int, longest_wait_s: float) -> T:
    wait_s = _WAIT_S
    for left in reversed(range(tries)):
        try:
            return await work()
        except (ModelUnavailable, RateLimited) as error:
            if not left:
                raise
            named = error.retry_after_s
            await asyncio.sleep(min(wait_s if named is None else named, longest_wait_s))
            wait_s *= 2
    raise AssertionError("there is at least one try")
