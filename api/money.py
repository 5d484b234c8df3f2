"""Budgets and usage as a process holds them: what counts, what is known, what waits to be written."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api.settings import Settings
from rag.errors import StorageUnavailable
from rag.gateway.accounting import AccountedGateway, AccountingFigures
from rag.gateway.batched_usage import BatchedUsage
from rag.gateway.budgets import Budgets
from rag.gateway.calls import Gateway
from rag.gateway.caps import Caps
from rag.gateway.catalogue import Catalogue
from rag.gateway.known_budgets import KnownBudgets
from rag.gateway.routing import Routes
from rag.storage.database import Database
from rag.storage.moments import now
from rag.storage.money.alerts import Alerts
from rag.storage.money.budgets import BudgetLedger
from rag.storage.money.counters import DatabaseBudgets
from rag.storage.money.usage import UsageLedger

SWEEP_EVERY_S = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Made by `open_money`."""

    set_budgets: BudgetLedger
    """What administrators set."""
    known: KnownBudgets
    """The same, remembered for a moment."""
    budgets: Budgets
    """What counts against them."""
    usage: UsageLedger
    batched: BatchedUsage
    """Usage on its way to the ledger."""
    alerts: Alerts
    clock: Callable[[], datetime] = now
    figures: AccountingFigures = field(default_factory=AccountingFigures)


def build_money(
    database: Database, *, budgets: Budgets | None = None, clock: Callable[[], datetime] = now
) -> Money:
    """Counting in the database, where no `budgets` say otherwise. Its `batched` is to be closed."""
    set_budgets, usage = BudgetLedger(database, clock), UsageLedger(database)
    return Money(
        set_budgets=set_budgets,
        known=KnownBudgets(set_budgets.of),
        budgets=DatabaseBudgets(database, clock) if budgets is None else budgets,
        usage=usage,
        batched=BatchedUsage(usage),
        alerts=Alerts(database, clock),
        clock=clock,
    )


@asynccontextmanager
async def open_money(settings: Settings, database: Database) -> AsyncGenerator[Money]:
    """Counting in Redis where there is one and the settings do not forbid it. When the block ends,
    all usage is written."""
    if settings.redis_url is None or not settings.budgets.in_redis:
        money = build_money(database)
        try:
            yield money
        finally:
            await money.batched.aclose()
        return
    from rag.adapters.redis_budgets import open_redis_budgets  # noqa: PLC0415 - redis

    url = settings.redis_url.get_secret_value()
    async with open_redis_budgets(url, UsageLedger(database).spent) as budgets:
        money = build_money(database, budgets=budgets)
        try:
            yield money
        finally:
            await money.batched.aclose()


@asynccontextmanager
async def open_accounted(
    inner: Gateway, *, money: Money, routes: Routes, catalogue: Catalogue, settings: Settings
) -> AsyncGenerator[AccountedGateway]:
    """`inner` with its money counted. It stands right around the gateway that makes the attempts.

    While the block lasts, what dead processes held is given back.
    """
    chosen = settings.budgets
    gateway = AccountedGateway(
        inner,
        routes=routes,
        catalogue=catalogue,
        known=money.known,
        budgets=money.budgets,
        usage=money.batched,
        alerts=money.alerts,
        clock=money.clock,
        caps=Caps(chosen.max_input_tokens, chosen.max_output_tokens),
        lease=timedelta(seconds=chosen.lease_s),
        figures=money.figures,
    )
    keeping = asyncio.create_task(_keep(gateway, money))
    try:
        yield gateway
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await gateway.aclose()


async def sweep_all(money: Money) -> None:
    """Give back what expired in every tenant that has budgets. Errors: `StorageUnavailable`."""
    for tenant in await money.set_budgets.tenants():
        swept = await money.budgets.sweep(tenant)
        money.figures.expired += swept.reservations
        if swept.reservations:
            log.warning(
                "calls were never settled: what they held is given back",
                extra={"tenant": tenant, "reservations": swept.reservations},
            )


async def _keep(gateway: AccountedGateway, money: Money) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        try:
            await sweep_all(money)
            await gateway.settle_late()
        except StorageUnavailable as error:
            log.warning("budgets were not swept", extra={"cause": str(error)})
        except Exception:
            # Whatever it is, the next round must come: what dead processes hold stays held else.
            log.exception("budgets were not swept")
