"""The budgets that administrators set."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, select

from rag.access import TenantId
from rag.errors import InvalidRequest, NotFound
from rag.gateway.budgets import Budget, Level, Window
from rag.gateway.money import Micro
from rag.storage.database import Database, insert_into
from rag.storage.moments import now
from rag.storage.tables import BudgetRow
from rag.trail import UseCase

MOST = 5_000
"""Budgets of one tenant: all are looked through for each call."""


@dataclass(frozen=True, slots=True)
class BudgetLedger:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def of(self, tenant: TenantId) -> list[Budget]:
        """All of the tenant's."""
        query = (
            select(BudgetRow.__table__)
            .where(BudgetRow.tenant == tenant)
            .order_by(BudgetRow.level, BudgetRow.subject, BudgetRow.window, BudgetRow.use_case)
        )
        return [_budget_of(row) for row in await self.database.rows(query)]

    async def tenants(self) -> list[TenantId]:
        """Those that have budgets."""
        rows = await self.database.rows(select(BudgetRow.tenant).distinct())
        return sorted(TenantId(row.tenant) for row in rows)

    async def put(self, budget: Budget) -> None:
        """Set it, in place of an earlier one of the same level, subject, window and use case.

        Raises `InvalidRequest` where the tenant has too many.
        """
        row = {
            "tenant": budget.tenant,
            "level": budget.level.value,
            "subject": budget.subject,
            "window": budget.window.value,
            "use_case": "" if budget.use_case is None else budget.use_case.value,
            "money": budget.money,
            "tokens": budget.tokens,
            "updated_at": self.clock(),
        }

        def work(connection: Connection) -> None:
            others = select(BudgetRow.subject).where(BudgetRow.tenant == budget.tenant)
            if len(connection.execute(others.limit(MOST)).all()) >= MOST:
                raise InvalidRequest(f"a tenant has at most {MOST} budgets")
            statement = insert_into(self.database, BudgetRow).values(row)
            changed = {name: row[name] for name in ("money", "tokens", "updated_at")}
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["tenant", "level", "subject", "window", "use_case"],
                    set_=changed,
                )
            )

        await self.database.write(work)

    async def remove(
        self,
        tenant: TenantId,
        level: Level,
        subject: str,
        window: Window,
        use_case: UseCase | None,
    ) -> None:
        """What it counted goes on being counted by the others. Raises `NotFound`."""

        def work(connection: Connection) -> None:
            gone = connection.execute(
                delete(BudgetRow)
                .where(_is(tenant, level, subject, window, use_case))
                .returning(BudgetRow.subject)
            )
            if gone.first() is None:
                raise NotFound("there is no such budget")

        await self.database.write(work)


def _is(
    tenant: TenantId, level: Level, subject: str, window: Window, use_case: UseCase | None
) -> ColumnElement[bool]:
    return and_(
        BudgetRow.tenant == tenant,
        BudgetRow.level == level.value,
        BudgetRow.subject == subject,
        BudgetRow.window == window.value,
        BudgetRow.use_case == ("" if use_case is None else use_case.value),
    )


def _budget_of(row: Any) -> Budget:
    return Budget(
        tenant=TenantId(row.tenant),
        level=Level(row.level),
        subject=row.subject,
        window=Window(row.window),
        use_case=UseCase(row.use_case) if row.use_case else None,
        money=None if row.money is None else Micro(row.money),
        tokens=row.tokens,
    )
