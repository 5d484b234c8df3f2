"""Alerts of budgets: a row for each, which is what makes them come once."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from rag.access import TenantId
from rag.gateway.alerts import Alert
from rag.gateway.budgets import Amount, Standing
from rag.gateway.money import Micro
from rag.storage.database import Database, insert_into
from rag.storage.moments import now
from rag.storage.tables import BudgetAlertRow


@dataclass(frozen=True, slots=True)
class Alerts:
    """Satisfies `AlertStore`. Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def raise_once(self, standing: Standing, percents: Collection[int]) -> Sequence[Alert]:
        moment = self.clock()
        told = {
            "tenant": standing.limit.tenant,
            "counter": standing.limit.counter,
            "money": standing.spent.money,
            "tokens": standing.spent.tokens,
            "raised_at": moment,
        }

        def work(connection: Connection) -> list[Alert]:
            statement = (
                insert_into(self.database, BudgetAlertRow)
                .on_conflict_do_nothing()
                .returning(*BudgetAlertRow.__table__.c)
            )
            rows = (
                connection.execute(statement, {**told, "percent": percent}).one_or_none()
                for percent in sorted(percents)
            )
            return [_alert_of(row) for row in rows if row is not None]

        return await self.database.write(work)

    async def listed(self, tenant: TenantId, *, limit: int = 100) -> list[Alert]:
        """The newest first."""
        query = (
            select(BudgetAlertRow.__table__)
            .where(BudgetAlertRow.tenant == tenant)
            .order_by(
                BudgetAlertRow.raised_at.desc(), BudgetAlertRow.counter, BudgetAlertRow.percent
            )
            .limit(limit)
        )
        return [_alert_of(row) for row in await self.database.rows(query)]


def _alert_of(row: Any) -> Alert:
    return Alert(
        tenant=TenantId(row.tenant),
        counter=row.counter,
        percent=row.percent,
        spent=Amount(Micro(row.money), row.tokens),
        raised_at=row.raised_at,
    )
