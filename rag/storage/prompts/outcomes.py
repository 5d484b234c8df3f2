"""How questions went, added up by minute, version and arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select

from rag.access import TenantId
from rag.gateway.money import Micro
from rag.prompts.counting import NO_ROLLOUT, Counted
from rag.prompts.experiments import Block
from rag.prompts.rollouts import ARMS, Arm, RolloutId
from rag.prompts.tallies import Tally
from rag.prompts.versions import EVERY_TENANT, VersionKey
from rag.storage.database import Database, insert_into
from rag.storage.tables import PromptOutcomeRow

_COUNTED = ("asked", "failed", "judged", "grounded", "slow", "latency_ms", "cost")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Errors: `StorageUnavailable`."""

    database: Database

    async def add(self, tallies: Mapping[Counted, Tally]) -> None:
        """All of them, or none where it raises."""
        if not tallies:
            return
        rows = [
            {
                "minute": by.minute,
                "tenant": by.tenant,
                "name": by.name,
                "version": by.version,
                "rollout": by.rollout,
                "arm": by.arm,
                **{column: getattr(tally, column) for column in _COUNTED},
            }
            # In one order everywhere, so that two writers do not wait for each other for ever.
            for by, tally in sorted(tallies.items(), key=lambda each: _ordered(each[0]))
        ]
        inserting = insert_into(self.database, PromptOutcomeRow)
        statement = inserting.on_conflict_do_update(
            index_elements=["name", "minute", "tenant", "version", "rollout", "arm"],
            set_={
                column: getattr(PromptOutcomeRow, column) + getattr(inserting.excluded, column)
                for column in _COUNTED
            },
        )

        def work(connection: Connection) -> None:
            for row in rows:
                connection.execute(statement, row)

        await self.database.write(work)

    async def of_version(
        self,
        tenant: TenantId,
        name: str,
        version: VersionKey,
        *,
        since: datetime,
        until: datetime,
    ) -> Tally:
        """Of whoever got it outside any trial; for `EVERY_TENANT`, of all tenants together."""
        where = [
            PromptOutcomeRow.name == name,
            PromptOutcomeRow.version == version,
            PromptOutcomeRow.rollout == NO_ROLLOUT,
            PromptOutcomeRow.minute >= since,
            PromptOutcomeRow.minute < until,
        ]
        if tenant != EVERY_TENANT:
            where.append(PromptOutcomeRow.tenant == tenant)
        [row] = await self.database.rows(select(*_sums()).where(*where))
        return _tally_of(row)

    async def of_arms(
        self, rollout: RolloutId, *, since: datetime | None = None
    ) -> dict[Arm, Tally]:
        where = [PromptOutcomeRow.rollout == rollout]
        if since is not None:
            where.append(PromptOutcomeRow.minute >= since)
        rows = await self.database.rows(
            select(PromptOutcomeRow.arm, *_sums()).where(*where).group_by(PromptOutcomeRow.arm)
        )
        found = {row.arm: _tally_of(row) for row in rows}
        return {arm: found.get(arm, Tally()) for arm in ARMS}

    async def blocks(self, rollout: RolloutId, *, until: datetime) -> list[Block]:
        """The minutes before `until` in their order, each as a block of both arms."""
        rows = await self.database.rows(
            select(PromptOutcomeRow.minute, PromptOutcomeRow.arm, *_sums())
            .where(PromptOutcomeRow.rollout == rollout, PromptOutcomeRow.minute < until)
            .group_by(PromptOutcomeRow.minute, PromptOutcomeRow.arm)
            .order_by(PromptOutcomeRow.minute)
        )
        blocks: dict[datetime, Block] = {}
        for row in rows:
            tally = _tally_of(row)
            block = (
                Block(candidate_good=tally.good, candidate=tally.asked)
                if row.arm == "candidate"
                else Block(control_good=tally.good, control=tally.asked)
            )
            blocks[row.minute] = blocks.get(row.minute, Block()) + block
        return list(blocks.values())

    async def forget(self, *, before: datetime) -> int:
        """How many rows that were."""
        statement = delete(PromptOutcomeRow).where(PromptOutcomeRow.minute < before)
        return await self.database.write(lambda connection: connection.execute(statement).rowcount)


def _ordered(by: Counted) -> tuple[Any, ...]:
    return (by.name, by.minute, by.tenant, by.version, by.rollout, by.arm)


def _sums() -> list[ColumnElement[int]]:
    return [
        func.coalesce(func.sum(getattr(PromptOutcomeRow, column)), 0).label(column)
        for column in _COUNTED
    ]


def _tally_of(row: Any) -> Tally:
    # PostgreSQL adds up whole numbers to decimals.
    return Tally(
        asked=int(row.asked),
        failed=int(row.failed),
        judged=int(row.judged),
        grounded=int(row.grounded),
        slow=int(row.slow),
        latency_ms=int(row.latency_ms),
        cost=Micro(int(row.cost)),
    )
