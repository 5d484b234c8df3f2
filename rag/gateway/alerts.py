"""Alerts: that half, four fifths or all of a budget is spent, told once a window."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rag.access import TenantId
from rag.gateway.budgets import Amount, Standing

PERCENTS = (50, 80, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    tenant: TenantId
    counter: str
    """Level, window, its first day, use case and subject of the budget."""
    percent: int
    spent: Amount
    """When it was raised."""
    raised_at: datetime


class AlertStore(Protocol):
    async def raise_once(self, standing: Standing, percents: Collection[int]) -> Sequence[Alert]:
        """Those of `percents` that nobody had raised for this limit. Errors: `StorageUnavailable`."""
        ...


NEARLY = 80
"""From this percent on, a budget that has no room for a call counts as wholly spent."""


def reached(standing: Standing) -> tuple[int, ...]:
    """Which of `PERCENTS` of either cap is spent. A cap of nothing is reached by spending only."""
    limit, spent = standing.limit, standing.spent
    pairs = ((limit.money, spent.money), (limit.tokens, spent.tokens))
    return tuple(
        percent
        for percent in PERCENTS
        if any(cap is not None and used > 0 and used * 100 >= cap * percent for cap, used in pairs)
    )
