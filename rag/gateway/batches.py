"""Calls whose whole text is wanted: one, or many of them that can wait, in the batch lane."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from rag.errors import Error, ModelUnavailable, RateLimited
from rag.gateway.calls import Gateway, Lane, ModelCall, Restarted
from rag.protocols import Completion
from rag.trail import Trail

_WAIT_S = 1.0
"""Before a call is made again that failed for a time nobody named; doubled with each try."""


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


async def complete_all(
    gateway: Gateway,
    calls: Iterable[tuple[ModelCall, Trail]],
    *,
    at_once: int = 8,
    tries: int = 4,
    longest_wait_s: float = 60.0,
) -> Sequence[Completed | Error]:
    """What came of each call, in their order. All go through the batch lane, so many at once.

    One that fails for now is made again when the models say that it may be, `tries` times in all.
    Cancelling it stops every call that is under way.
    """
    asked = list(calls)
    results: list[Completed | Error | None] = [None] * len(asked)
    places = iter(range(len(asked)))

    async def keep_calling() -> None:
        for place in places:
            call, trail = asked[place]
            results[place] = await _patiently(
                gateway, replace(call, lane=Lane.BATCH), trail, tries, longest_wait_s
            )

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(at_once, len(asked))):
            tasks.create_task(keep_calling())
    return [result for result in results if result is not None]


async def _patiently(
    gateway: Gateway, call: ModelCall, trail: Trail, tries: int, longest_wait_s: float
) -> Completed | Error:
    wait_s = _WAIT_S
    for left in reversed(range(tries)):
        try:
            return await complete(gateway, call, trail)
        except (ModelUnavailable, RateLimited) as error:
            if not left:
                return error
            named = error.retry_after_s
            await asyncio.sleep(min(wait_s if named is None else named, longest_wait_s))
            wait_s *= 2
        except Error as error:
            return error
    raise AssertionError("there is at least one try")
