"""The outcomes of routes, as routing is judged by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, delete, select

from rag.access import TenantId
from rag.gateway.money import Micro
from rag.gateway.route_log import Outcome, RouteOutcome
from rag.storage.database import Database, insert_into
from rag.storage.parts import in_parts
from rag.storage.tables import NAME_LENGTH, RouteOutcomeRow
from rag.trail import RequestId, UseCase
from rag.types import Quality, Usage


@dataclass(frozen=True, slots=True)
class RouteLedger:
    """Satisfies `rag.gateway.route_log.RouteStore`. Errors: `StorageUnavailable`."""

    database: Database

    async def add(self, outcomes: Sequence[RouteOutcome]) -> None:
        """Keep them; one that is there already stays as it is."""
        rows = [_row_of(outcome) for outcome in outcomes]

        def work(connection: Connection) -> None:
            statement = insert_into(self.database, RouteOutcomeRow).on_conflict_do_nothing()
            for some in in_parts(rows):
                connection.execute(statement, list(some))

        if rows:
            await self.database.write(work)

    async def since(
        self, tenant: TenantId, moment: datetime | None, *, limit: int
    ) -> list[RouteOutcome]:
        """The latest `limit` outcomes from `moment` on, newest first."""
        query = select(RouteOutcomeRow).where(RouteOutcomeRow.tenant == tenant)
        if moment is not None:
            query = query.where(RouteOutcomeRow.at >= moment)
        newest = query.order_by(
            RouteOutcomeRow.at.desc(), RouteOutcomeRow.request, RouteOutcomeRow.ordinal
        )
        return [_outcome_of(row) for row in await self.database.rows(newest.limit(limit))]

    async def forget_before(self, moment: datetime) -> int:
        """How many were older, of any tenant, and are gone."""
        old = delete(RouteOutcomeRow).where(RouteOutcomeRow.at < moment)
        return await self.database.write(lambda connection: connection.execute(old).rowcount)


def _row_of(outcome: RouteOutcome) -> dict[str, Any]:
    return {
        "tenant": outcome.tenant,
        "request": outcome.request[:NAME_LENGTH],
        "ordinal": outcome.ordinal,
        "at": outcome.at,
        "use_case": outcome.use_case.value,
        "step": outcome.step,
        "quality": outcome.quality,
        "first": outcome.first,
        "answered_by": outcome.answered_by,
        "tier": outcome.tier,
        "reasons": list(outcome.reasons),
        "complexity": outcome.complexity,
        "outcome": outcome.outcome,
        "confidence": outcome.confidence,
        "input_tokens": outcome.usage.input_tokens,
        "output_tokens": outcome.usage.output_tokens,
        "cached_tokens": outcome.usage.cached_tokens,
        "cost": outcome.cost,
        "total_ms": outcome.total_ms,
    }


def _outcome_of(row: Any) -> RouteOutcome:
    return RouteOutcome(
        tenant=TenantId(row.tenant),
        request=RequestId(row.request),
        ordinal=row.ordinal,
        at=row.at,
        use_case=UseCase(row.use_case),
        step=row.step,
        quality=cast("Quality", row.quality),
        first=row.first,
        answered_by=row.answered_by,
        tier=row.tier,
        reasons=tuple(row.reasons),
        complexity=row.complexity,
        outcome=cast("Outcome", row.outcome),
        confidence=row.confidence,
        usage=Usage(row.input_tokens, row.output_tokens, row.cached_tokens),
        cost=Micro(row.cost),
        total_ms=row.total_ms,
    )
