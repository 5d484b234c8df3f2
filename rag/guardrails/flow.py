"""Guarding a request: the input beside the work it asks for, the evidence, and the output as it comes.

    async with guardrails.watching(scanned, trail) as watch:
        found = await watch.unless_stopped(retrieve())     # given up when a check fires
        outcome = await watch.verdict()                    # before anything is released
    async with guardrails.output(scanned, trail) as output:
        ...                                                # see `rag/guardrails/streaming.py`

Every verdict is written to the trail, also of checks that did not get to look.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rag.guardrails.checks import Check, Scanned
from rag.guardrails.judging import Judged, Outcome, Stopped, begin, judge_all, outcome_of
from rag.guardrails.passages import Isolated, isolate
from rag.guardrails.policy import Policies, Policy
from rag.guardrails.streaming import OutputStream
from rag.streams import begun
from rag.trail import Trail
from rag.types import Evidence

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watch:
    """The checks of an input: over already, or on their way while other work goes on."""

    blocked: "asyncio.Future[Stopped]"
    """Done as soon as one check blocks, whatever the others still do; never done otherwise."""
    outcome: "Outcome | asyncio.Task[Outcome]"

    async def verdict(self) -> Outcome:
        """What all checks together say. Nothing may be released to anybody before this."""
        if isinstance(self.outcome, asyncio.Task):
            return await asyncio.shield(self.outcome)
        return self.outcome

    async def unless_stopped(self, work: Coroutine[None, None, T]) -> T | Stopped:
        """What `work` gives, or what stopped it: then it is cancelled, and over."""
        if isinstance(self.outcome, Stopped):
            work.close()
            return self.outcome
        if not self._still_looks():
            return await work
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self.blocked}, return_when=asyncio.FIRST_COMPLETED)
            return self.blocked.result() if self.blocked.done() else task.result()
        finally:
            await _over(task)

    @asynccontextmanager
    async def begun(self, pieces: AsyncGenerator[T]) -> AsyncGenerator[AsyncIterator[T | Stopped]]:
        """`pieces` as they come, the first of which is asked for at once, unless a check has fired;
        where one fires later they are closed, and `Stopped` is the last."""
        if isinstance(self.outcome, Stopped):
            await pieces.aclose()
            yield _only(self.outcome)
        elif not self._still_looks():
            async with aclosing(pieces):
                yield pieces
        else:
            async with begun(self._pieces_unless_stopped(pieces)) as watched:
                yield watched

    async def _pieces_unless_stopped(
        self, pieces: AsyncGenerator[T]
    ) -> AsyncGenerator[T | Stopped]:
        try:
            # Once all checks have said their word, nothing can stop the rest any more.
            while self.blocked.done() or self._still_looks():
                piece = await self.unless_stopped(_next_of(pieces))
                if isinstance(piece, _End):
                    return
                yield piece
                if isinstance(piece, Stopped):
                    return
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()

    def _still_looks(self) -> bool:
        return isinstance(self.outcome, asyncio.Task) and (
            self.blocked.done() or not self.outcome.done()
        )


async def _only(piece: T) -> AsyncGenerator[T]:
    yield piece


class _End:
    pass


async def _next_of(pieces: AsyncIterator[T]) -> T | _End:
    try:
        return await anext(pieces)
    except StopAsyncIteration:
        return _End()


async def _over(task: "asyncio.Future[T]") -> None:
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    elif not task.cancelled():
        task.exception()  # asked for, so that nobody warns of an error that a stop overtook


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrails:
    """All checks, by what policies call them, and the policies. Raises `ConfigurationError` where
    a policy names a check that is not there."""

    checks: Sequence[Check]
    policies: Policies
    _by_name: Mapping[str, Check] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_name = {check.name: check for check in self.checks}
        self.policies.require(set(by_name))
        object.__setattr__(self, "_by_name", by_name)

    def policy_for(self, trail: Trail) -> Policy:
        return self.policies.of(trail.account.tenant, trail.use_case)

    async def check(self, scanned: Scanned, trail: Trail) -> Outcome:
        """All checks of `scanned.direction` on a whole text, at the same time."""
        policy = self.policies.of(scanned.tenant, scanned.use_case)
        judged = await judge_all(
            self._by_name,
            replace(scanned, trail=trail),
            policy=policy,
            rules=policy.rules(scanned.direction),
        )
        trail.verdicts.extend(each.verdict for each in judged)
        return outcome_of(scanned.text, judged)

    @asynccontextmanager
    async def watching(self, scanned: Scanned, trail: Trail) -> AsyncGenerator[Watch]:
        """Check an input while other work goes on. Checks still looking at the end are called off
        and recorded as `not_run`."""
        policy = self.policies.of(scanned.tenant, scanned.use_case)
        rules = policy.rules(scanned.direction)
        asked = replace(scanned, trail=trail)
        judging = begin(self._by_name, asked, policy=policy, rules=rules)
        blocked: asyncio.Future[Stopped] = asyncio.get_running_loop().create_future()
        stopped = judging.stopped
        if stopped is not None or not judging.asked:
            judging.leave()
            if stopped is not None:
                blocked.set_result(stopped)
            try:
                yield Watch(blocked, stopped or outcome_of(scanned.text, judging.in_order()))
            finally:
                trail.verdicts.extend(each.verdict for each in judging.in_order())
            return
        rest = asyncio.create_task(judging.rest(blocked.set_result))
        outcome = asyncio.create_task(_outcome(scanned.text, rest))
        try:
            yield Watch(blocked, outcome)
        finally:
            await _over(rest)
            await _over(outcome)
            judging.leave()
            if rest.cancelled():
                judging.why_left = "the request ended before"
            blocked.cancel()
            trail.verdicts.extend(each.verdict for each in judging.in_order())

    async def isolate(
        self, evidence: Sequence[Evidence], scanned: Scanned, trail: Trail
    ) -> Isolated:
        """The passages that may be sent to a model, numbered anew. `scanned` says who asks."""
        policy = self.policies.of(scanned.tenant, scanned.use_case)
        isolated, verdicts = await isolate(
            evidence, replace(scanned, trail=trail), checks=self._by_name, policy=policy
        )
        trail.verdicts.extend(verdicts)
        return isolated

    @asynccontextmanager
    async def output(
        self, scanned: Scanned, trail: Trail, *, in_pieces: bool = True
    ) -> AsyncGenerator[OutputStream]:
        """Guard an output as it comes, or where nobody sees it before its end, as a whole.
        `scanned` says what it is about; its text is not read."""
        policy = self.policies.of(scanned.tenant, scanned.use_case)
        waits = policy.strict or not in_pieces
        asked = replace(scanned, trail=trail)
        stream = OutputStream(self._by_name, scanned=asked, policy=policy, waits=waits)
        try:
            yield stream
        finally:
            trail.verdicts.extend(stream.verdicts())


async def _outcome(text: str, judging: "asyncio.Task[tuple[Judged, ...]]") -> Outcome:
    return outcome_of(text, await judging)
