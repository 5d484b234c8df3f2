"""The gateway with its money counted: what a call may cost is held before, what it cost is settled
after, whichever way it ends."""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from rag.access import TenantId
from rag.errors import OverBudget, StorageUnavailable
from rag.gateway.alerts import NEARLY, PERCENTS, AlertStore, reached
from rag.gateway.allowance import at_most
from rag.gateway.batched_usage import BatchedUsage
from rag.gateway.budgets import (
    NOTHING,
    Amount,
    Budgets,
    Limit,
    Reservation,
    ReservationId,
    Standing,
    limits_of,
)
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.gateway.caps import Caps
from rag.gateway.catalogue import Catalogue
from rag.gateway.known_budgets import KnownBudgets
from rag.gateway.money import Micro
from rag.gateway.routing import Routes
from rag.gateway.usage import Used, used_of_attempts
from rag.protocols import Completion
from rag.trail import Attempt, Trail

LEASE = timedelta(minutes=10)
"""Longer than any call: after it, what a dead process held is given back."""
SWEEP_PAUSE = timedelta(seconds=1)
MOST_UNSETTLED = 10_000
MOST_REMEMBERED = 50_000

log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(slots=True)
class AccountingFigures:
    """Counted since the process began, for whoever watches it."""

    refused: int = 0
    """Calls for which a budget had no room."""
    alerts: int = 0
    unpriced: int = 0
    """Calls that may go to a model whose price nobody knows."""
    expired: int = 0
    """Reservations that were given back because nobody settled them."""
    unsettled: int = 0
    """Calls whose cost waits to be counted."""


@dataclass(slots=True)
class _Held:
    """What is held for one call, until it is settled."""

    reservations: list[Reservation]
    over: bool = False
    """Whether the call is: nobody would settle what is held after that."""


class AccountedGateway:
    """Satisfies `Gateway`. Stands right around the gateway that makes the attempts.

    Where no budget of the tenant concerns a call, nothing is asked and its usage is written soon;
    where one does, nothing is spent unless the store of budgets says that there is room.
    """

    def __init__(
        self,
        inner: Gateway,
        *,
        routes: Routes,
        catalogue: Catalogue,
        known: KnownBudgets,
        budgets: Budgets,
        usage: BatchedUsage,
        alerts: AlertStore,
        clock: Callable[[], datetime],
        caps: Caps | None = None,
        lease: timedelta = LEASE,
        figures: AccountingFigures | None = None,
    ) -> None:
        self._inner = inner
        self._routes = routes
        self._catalogue = catalogue
        self._known = known
        self._budgets = budgets
        self._usage = usage
        self._alerts = alerts
        self._clock = clock
        self._caps = caps or Caps()
        self._lease = lease
        self._running: set[asyncio.Task[Any]] = set()
        self._unsettled: dict[ReservationId, tuple[Reservation, Amount]] = {}
        self._raised: set[tuple[str, str, int]] = set()
        self._unpriced: set[str] = set()
        self._swept_at: dict[TenantId, datetime] = {}
        self.figures = figures or AccountingFigures()

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        call = self._caps.applied(call)
        limits = await self._limits(call, trail)
        at_most = self._at_most(call) if limits else NOTHING
        reservation = None if at_most == NOTHING else await self._reserved(call, limits, at_most)
        held = _Held([] if reservation is None else [reservation])
        if reservation is not None:
            # What is held covers one attempt: for each that follows a billed one, more is held.
            call = replace(call, hold_more=partial(self._hold_more, call, limits, held))
        # Other steps of the request may write to the trail meanwhile: these are this call's.
        own = replace(trail, attempts=[])
        try:
            async with aclosing(self._inner.stream(call, own)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            held.over = True
            trail.attempts += own.attempts
            used = used_of_attempts(trail, own.attempts, prompt=call.prompt.prompt)
            if reservation is None:
                self._usage.note(used)
            else:
                settling = self._begin(
                    self._settle_all(held.reservations, _spent(own.attempts), used)
                )
                await asyncio.shield(settling)

    async def settle_late(self) -> None:
        """Settle what could not be settled when it was due. Errors: `StorageUnavailable`."""
        for reservation, spent in list(self._unsettled.values()):
            await self._count(reservation, spent)
            self._unsettled.pop(reservation.id, None)  # two may settle the same, which counts once
            self.figures.unsettled = len(self._unsettled)

    async def aclose(self) -> None:
        """Let every call that is over be settled. Calls that run are for others to end."""
        while self._running:
            await asyncio.wait(self._running)
        try:
            await self.settle_late()
        except StorageUnavailable:
            log.exception(
                "calls were not settled at the end", extra={"calls": len(self._unsettled)}
            )

    # --- before -----------------------------------------------------------------------------------

    async def _limits(self, call: ModelCall, trail: Trail) -> tuple[Limit, ...]:
        budgets = await self._known.of(call.account.tenant)
        if not budgets:
            return ()
        return limits_of(
            budgets,
            call.account,
            use_case=call.use_case,
            request=call.request,
            moment=trail.started_at,
        )

    async def _reserved(
        self, call: ModelCall, limits: tuple[Limit, ...], at_most: Amount
    ) -> Reservation:
        reservation = Reservation(
            id=ReservationId(f"{call.request}/{call.step}/{uuid.uuid4().hex}"[-255:]),
            tenant=call.account.tenant,
            limits=limits,
            amount=at_most,
            expires_at=self._clock() + self._lease,
        )
        reserving = self._begin(self._reserve(reservation))
        try:
            await asyncio.shield(reserving)
        except asyncio.CancelledError:
            # Whether room was held is not known yet: whoever asked is gone, so it is given back.
            self._begin(self._give_back(reservation, reserving))
            raise
        return reservation

    async def _hold_more(
        self, call: ModelCall, limits: tuple[Limit, ...], held: "_Held", amount: Amount
    ) -> bool:
        """Whether there is room for one more attempt; it is held then. For a call that is over
        nothing is held: one that is shared goes on without those who left it."""
        if held.over:
            return False
        try:
            reservation = await self._reserved(call, limits, amount)
        except OverBudget:
            return False
        if held.over:
            await asyncio.shield(self._begin(self._settle(reservation, NOTHING, {})))
            return False
        held.reservations.append(reservation)
        return True

    async def _reserve(self, reservation: Reservation) -> None:
        try:
            await self._budgets.reserve(reservation)
        except OverBudget:
            try:
                if not await self._made_room(reservation.tenant):
                    raise
                await self._budgets.reserve(reservation)
            except OverBudget:
                self.figures.refused += 1
                await self._alert_of_the_end(reservation)
                raise

    async def _made_room(self, tenant: TenantId) -> bool:
        """Whether something had expired. Asked once a second at most: refusals may be many."""
        moment = self._clock()
        last = self._swept_at.get(tenant)
        if last is not None and moment - last < SWEEP_PAUSE:
            return False
        self._swept_at[tenant] = moment
        swept = await self._budgets.sweep(tenant)
        self.figures.expired += swept.reservations
        return swept.reservations > 0

    async def _alert_of_the_end(self, reservation: Reservation) -> None:
        """Nobody may ever spend the last micro: a cap is at its end when nothing fits any more."""
        for standing in await self._budgets.standing(reservation.limits):
            has_room = standing.limit.has_room(standing.spent + reservation.amount)
            if not has_room and NEARLY in reached(standing):
                await self._alert(standing, PERCENTS)

    async def _give_back(self, reservation: Reservation, reserving: asyncio.Task[None]) -> None:
        await asyncio.wait({reserving})
        if not reserving.cancelled() and reserving.exception() is None:
            await self._settle(reservation, NOTHING, {})

    def _at_most(self, call: ModelCall) -> Amount:
        """What the dearest model that the call may go to takes for it."""
        models = self._routes.route(call).models
        for model in models:
            if model.price is None and not model.extractive:
                self._say_unpriced(model.name)
        if all(model.extractive for model in models):
            return NOTHING
        each = [at_most(call.prompt, self._catalogue.price_of(model.name)) for model in models]
        return max(each, key=lambda amount: amount.money)

    def _say_unpriced(self, model: str) -> None:
        self.figures.unpriced += 1
        if model not in self._unpriced:
            self._unpriced.add(model)
            log.warning(
                "the price of a model is unknown: the dearest counts", extra={"model": model}
            )

    # --- after ------------------------------------------------------------------------------------

    async def _settle_all(self, held: list[Reservation], spent: Amount, used: Used) -> None:
        """What was spent goes where it was held; the last takes what is more than that."""
        *others, last = held
        for reservation in others:
            part = Amount(
                min(spent.money, reservation.amount.money),
                min(spent.tokens, reservation.amount.tokens),
            )
            await self._settle(reservation, part, used)
            spent, used = spent - part, {}
        await self._settle(last, spent, used)

    async def _settle(self, reservation: Reservation, spent: Amount, used: Used) -> None:
        # The ledger first: a counter that is lost meanwhile begins with what it says.
        await self._usage.written(used)
        try:
            await self._count(reservation, spent)
        except StorageUnavailable as error:
            # What it holds stays held until then, or until it expires.
            log.warning("a call waits to be settled", extra={"cause": str(error)})
            if len(self._unsettled) < MOST_UNSETTLED:
                self._unsettled[reservation.id] = (reservation, spent)
            self.figures.unsettled = len(self._unsettled)

    async def _count(self, reservation: Reservation, spent: Amount) -> None:
        for standing in await self._budgets.settle(reservation, spent):
            await self._alert(standing, reached(standing))

    async def _alert(self, standing: Standing, percents: Collection[int]) -> None:
        limit = standing.limit
        names = [(limit.tenant, limit.counter, percent) for percent in percents]
        if len(self._raised) > MOST_REMEMBERED:
            self._raised.clear()
        new = [name for name in names if name not in self._raised]
        if not new:
            return
        for alert in await self._alerts.raise_once(standing, [percent for *_, percent in new]):
            self.figures.alerts += 1
            log.warning(
                "a budget is nearly or wholly spent",
                extra={
                    "tenant": alert.tenant,
                    "level": limit.level.value,
                    "window": limit.window.value,
                    "percent": alert.percent,
                },
            )
        self._raised.update(new)

    # --- tasks that outlive whoever asked ---------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


def _spent(attempts: list[Attempt]) -> Amount:
    tokens = sum(each.usage.input_tokens + each.usage.output_tokens for each in attempts)
    return Amount(Micro(sum(each.cost for each in attempts)), tokens)
