"""Whatever counts budgets, open on stores of its own."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from rag.access import PrincipalId, TenantId
from rag.adapters.redis_budgets import open_redis_budgets
from rag.gateway.budgets import Amount, Budgets, Level, Limit, Window
from rag.gateway.money import Micro
from rag.storage.database import Database, open_database
from rag.storage.money.counters import DatabaseBudgets
from rag.storage.money.usage import UsageLedger
from rag.trail import UseCase

Store = Literal["sqlite", "postgresql", "redis"]
STORES: tuple[Store, ...] = ("sqlite", "postgresql", "redis")
ACME, OTHER = TenantId("acme"), TenantId("other")
ANNA = PrincipalId("user:anna")
TODAY = date(2026, 11, 21)


@dataclass(frozen=True, slots=True)
class Counted:
    """What counts, and the ledger that it begins with."""

    budgets: Budgets
    ledger: UsageLedger
    database: Database


@asynccontextmanager
async def open_budgets(
    database_url: str,
    redis_url: str | None,
    clock: Callable[[], datetime],
    *,
    pool_size: int = 8,
) -> AsyncGenerator[Counted]:
    """In Redis where there is a `redis_url`, else in the database."""
    async with open_database(database_url, pool_size=pool_size) as database:
        ledger = UsageLedger(database)
        if redis_url is None:
            yield Counted(DatabaseBudgets(database, clock), ledger, database)
        else:
            async with open_redis_budgets(redis_url, ledger.spent, clock=clock) as budgets:
                yield Counted(budgets, ledger, database)


def amount(money: int = 0, tokens: int = 0) -> Amount:
    return Amount(Micro(money), tokens)


def limit(
    level: Level = Level.TENANT,
    subject: str = "",
    *,
    money: int | None = None,
    tokens: int | None = None,
    use_case: UseCase | None = None,
    window: Window = Window.DAY,
    begins: date = TODAY,
    tenant: TenantId = ACME,
) -> Limit:
    return Limit(
        tenant=tenant,
        level=level,
        subject=subject,
        use_case=use_case,
        window=window,
        begins=begins,
        money=None if money is None else Micro(money),
        tokens=tokens,
    )
