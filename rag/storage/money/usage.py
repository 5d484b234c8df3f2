"""The usage ledger: the truth about what was spent, summed by day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from rag.access import TenantId
from rag.gateway.budgets import NOTHING, Amount, Level, Limit
from rag.gateway.money import Micro
from rag.gateway.usage import COUNTS, UsageCount, UsageKey, Used
from rag.storage.database import Database, insert_into
from rag.storage.parts import in_parts
from rag.storage.tables import UsageRow

GROUPS = ("day", "team", "application", "user", "use_case", "endpoint", "model", "prompt")
"""What usage may be grouped by."""
_COLUMNS = {name: getattr(UsageRow, "user_id" if name == "user" else name) for name in GROUPS}
_SUMS = [func.coalesce(func.sum(getattr(UsageRow, name)), 0).label(name) for name in COUNTS]
_TOKENS = func.sum(UsageRow.input_tokens + UsageRow.output_tokens)
_OF_LEVEL: dict[Level, Any] = {
    Level.USER: UsageRow.user_id,
    Level.TEAM: UsageRow.team,
    Level.APPLICATION: UsageRow.application,
}


@dataclass(frozen=True, slots=True)
class UsageGroup:
    """What those rows come to that are alike in the columns asked for."""

    by: tuple[str, ...]
    """Their values, in the order in which the columns were named."""
    count: UsageCount


@dataclass(frozen=True, slots=True)
class UsageLedger:
    """Errors: `StorageUnavailable`."""

    database: Database

    async def add(self, used: Used) -> None:
        """Add to the rows of these keys, all in one transaction."""
        if used:
            await self.database.write(self.adding(used))

    def adding(self, used: Used) -> Callable[[Connection], None]:
        """The same, for a transaction of somebody else's."""
        # In one order for all, or two who add to the same rows could wait for each other.
        rows = sorted((_row_of(key, count) for key, count in used.items()), key=lambda r: r["id"])

        def work(connection: Connection) -> None:
            statement = insert_into(self.database, UsageRow)
            added = {name: getattr(UsageRow, name) + statement.excluded[name] for name in COUNTS}
            upsert = statement.on_conflict_do_update(index_elements=["id"], set_=added)
            for some in in_parts(rows):
                connection.execute(upsert, list(some))

        return work

    async def grouped(
        self, tenant: TenantId, *, by: Sequence[str], begins: date, ends: date
    ) -> list[UsageGroup]:
        """Sums of the days from `begins` up to and without `ends`, the dearest first; `by` of
        `GROUPS`."""
        columns = [_COLUMNS[name] for name in by]
        query = (
            select(*columns, *_SUMS)
            .where(UsageRow.tenant == tenant, *_between(begins, ends))
            .group_by(*columns)
            .order_by(func.sum(UsageRow.cost).desc(), *columns)
        )
        rows = await self.database.rows(query)
        return [
            UsageGroup(
                tuple(str(value) for value in row[: len(columns)]),
                _count_of(row),
            )
            for row in rows
            if row.requests or row.calls
        ]

    async def spent(self, limits: Sequence[Limit]) -> list[Amount]:
        """What the ledger holds against each of `limits`: what a lost counter begins with."""
        spent: list[Amount] = []
        for limit in limits:
            query = spent_query(limit)
            spent.append(NOTHING if query is None else _amount(await self.database.rows(query)))
        return spent


def spent_before(connection: Connection, limit: Limit) -> Amount:
    """What the ledger holds against `limit`, in the transaction of `connection`."""
    query = spent_query(limit)
    return NOTHING if query is None else _amount(connection.execute(query).all())


def spent_query(limit: Limit) -> Select[int, int] | None:
    """None for a limit of one request: the ledger knows days."""
    if limit.level is Level.REQUEST:
        return None
    conditions: list[ColumnElement[bool]] = [
        UsageRow.tenant == limit.tenant,
        *_between(limit.begins, limit.ends.date()),
    ]
    if limit.level in _OF_LEVEL:
        conditions.append(_OF_LEVEL[limit.level] == limit.subject)
    if limit.use_case is not None:
        conditions.append(UsageRow.use_case == limit.use_case.value)
    return select(
        func.coalesce(func.sum(UsageRow.cost), 0).label("money"),
        func.coalesce(_TOKENS, 0).label("tokens"),
    ).where(*conditions)


def _amount(rows: Sequence[Any]) -> Amount:
    return Amount(Micro(int(rows[0].money)), int(rows[0].tokens))


def _between(begins: date, ends: date) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return UsageRow.day >= begins, UsageRow.day < ends


def _count_of(row: Any) -> UsageCount:
    counts: dict[str, Any] = {name: int(getattr(row, name)) for name in COUNTS}
    return UsageCount(**counts)


def _row_of(key: UsageKey, count: UsageCount) -> dict[str, Any]:
    return {
        "id": key.id,
        "tenant": key.tenant,
        "day": key.day,
        "team": key.team,
        "application": key.application,
        "user_id": key.user,
        "use_case": key.use_case.value,
        "endpoint": key.endpoint,
        "model": key.model,
        "prompt": key.prompt,
        **{name: getattr(count, name) for name in COUNTS},
    }
