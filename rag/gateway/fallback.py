"""THE CALL FLOW: a call goes down its chain of models until one of them has answered.

Before the first released piece a fault costs time alone. After it, what was released is void and
another deployment begins from the start. The last resort quotes from the evidence.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import NoReturn

from rag.errors import ModelUnavailable, PermanentError
from rag.gateway.attempts import Attempts, Failed, Rejected, Turn
from rag.gateway.breaker import Breaker, NotNow
from rag.gateway.calls import Lane, ModelCall, Restarted
from rag.gateway.catalogue import Deployment, ModelSpec
from rag.gateway.chain import Chain
from rag.gateway.health import Health
from rag.gateway.lanes import Rooms
from rag.gateway.patience import FallbackPolicy
from rag.gateway.routing import Routes
from rag.protocols import Completion
from rag.trail import Trail
from rag.types import Usage

NO_MODEL = "No language model can answer at the moment. Please try again in a little while."
NO_FORM = "No language model kept to the form that was asked for."
AT_FAULT = "The language models do not take this request as it stands."


class RoutedGateway:
    """Routes, balances, retries and falls back. It satisfies `Gateway`."""

    def __init__(
        self,
        *,
        routes: Routes,
        attempts: Attempts,
        breaker: Breaker,
        rooms: Rooms,
        health: Health,
        policy: FallbackPolicy,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes = routes
        self._attempts = attempts
        self._breaker = breaker
        self._rooms = rooms
        self._health = health
        self._policy = policy
        self._clock = clock

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        route = self._routes.route(call)
        trail.routes.append(route.decision(call.step))
        deadline = self._clock() + self._seconds_for(call)
        chain = Chain(route.models, retries=self._policy.retries)
        released = False
        while (turn := await self._next_turn(chain, call, deadline)) is not None:
            failed: Failed | Rejected | None = None
            async with aclosing(self._attempts.attempt(turn, call, trail)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Completion):
                        yield piece
                        return
                    if isinstance(piece, str):
                        released = True
                        yield piece
                    else:
                        failed = piece
            if failed is None:
                raise AssertionError("an attempt says how it ended")
            chain.failed(turn.deployment, failed)
            chain.owes = chain.owes or trail.attempts[-1].usage != Usage()
            if released and not self._policy.restarts:
                break
            if released and chain.model is not None:
                released = False
                yield Restarted(failed.outcome if isinstance(failed, Failed) else "rejected")
        _give_up(chain)

    async def _next_turn(self, chain: Chain, call: ModelCall, deadline: float) -> Turn | None:
        """The next deployment that is free and may be called, as soon as there is one."""
        while (model := chain.model) is not None:
            seconds = deadline - self._clock()
            if model.extractive:
                seconds = max(seconds, self._policy.last_resort_s)
            elif seconds <= 0 or not await self._can_pay(model, chain, call):
                chain.skip_model()
                continue
            if chain.pause_before:
                pause, chain.pause_before = self._backoff(chain.pause_before), 0
                await asyncio.sleep(min(pause, seconds))
                continue
            if (turn := await self._turn_of(model, chain, call, seconds)) is not None:
                return turn
        return None

    async def _can_pay(self, model: ModelSpec, chain: Chain, call: ModelCall) -> bool:
        """Whether the budgets have room for one more attempt. For the first, and after those that
        were not billed, it is held already."""
        if call.hold_more is None or not chain.owes:
            return True
        chain.owes = not await call.hold_more(self._attempts.at_most(model, call))
        return not chain.owes

    async def _turn_of(
        self, model: ModelSpec, chain: Chain, call: ModelCall, seconds: float
    ) -> Turn | None:
        """A turn at one of the model's deployments; None where the chain has to be looked at again,
        because none may be called or time has passed."""
        full: Deployment | None = None
        for deployment in self._in_order(chain.deployments):
            permit = await self._breaker.admit(deployment.name)
            if isinstance(permit, NotNow):
                chain.skip(deployment, retry_after_s=permit.retry_after_s)
                continue
            room = self._rooms.of(deployment)
            if room.try_enter(call.lane):
                return Turn(
                    model=model,
                    deployment=deployment,
                    permit=permit,
                    room=room,
                    seconds=seconds,
                    stricter=chain.stricter,
                )
            await self._breaker.release(permit)
            full = full or deployment
        return None if full is None else await self._queued(model, full, chain, call, seconds)

    async def _queued(
        self, model: ModelSpec, full: Deployment, chain: Chain, call: ModelCall, seconds: float
    ) -> Turn | None:
        """A turn at a deployment that has no room at the moment."""
        room = self._rooms.of(full)
        began = self._clock()
        try:
            async with asyncio.timeout(seconds):
                await room.enter(call.lane)
        except TimeoutError:
            chain.skip_model()
            return None
        try:
            # Much may have happened in the meantime.
            permit = await self._breaker.admit(full.name)
        except BaseException:
            room.leave()
            raise
        if isinstance(permit, NotNow):
            room.leave()
            chain.skip(full, retry_after_s=permit.retry_after_s)
            return None
        return Turn(
            model=model,
            deployment=full,
            permit=permit,
            room=room,
            seconds=max(0.0, seconds - (self._clock() - began)),
            stricter=chain.stricter,
        )

    def _seconds_for(self, call: ModelCall) -> float:
        if call.deadline_s is not None:
            return call.deadline_s
        batch = call.lane is Lane.BATCH
        return self._policy.batch_deadline_s if batch else self._policy.deadline_s

    def _in_order(self, deployments: Sequence[Deployment]) -> list[Deployment]:
        """The least loaded first, and last those that do not answer health checks."""
        if len(deployments) == 1:
            return list(deployments)
        down = [each for each in deployments if self._health.is_down(each.name)]
        if not down:
            return self._rooms.least_loaded(deployments)
        up = [each for each in deployments if each not in down]
        return [*self._rooms.least_loaded(up), *down]

    def _backoff(self, round_: int) -> float:
        """Exponential, with full jitter (M. Brooker, "Exponential Backoff And Jitter")."""
        return random.uniform(0, self._policy.backoff_s * 2 ** (round_ - 1))  # noqa: S311


def _give_up(chain: Chain) -> NoReturn:
    if chain.rejected:
        raise PermanentError(AT_FAULT)
    if chain.last is None:
        raise ModelUnavailable(NO_MODEL, retry_after_s=chain.retry_after_s)
    fault = chain.last.outcome
    raise ModelUnavailable(
        NO_FORM if fault == "wrong_schema" else NO_MODEL,
        retry_after_s=chain.retry_after_s,
        fault=fault,
    )
