"""Which budgets a tenant has, remembered for a moment: where there is none, nobody is asked."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rag.access import PrincipalId, TenantId
from rag.gateway.budgets import EACH, Budget, Level

FRESH_S = 2.0
"""After so long, another process's change is seen here."""
MOST_TENANTS = 10_000

LoadBudgets = Callable[[TenantId], Awaitable[Sequence[Budget]]]


@dataclass(frozen=True, slots=True)
class _Known:
    budgets: tuple[Budget, ...]
    asked_at: float


class KnownBudgets:
    """Used from one event loop."""

    def __init__(
        self,
        load: LoadBudgets,
        *,
        fresh_s: float = FRESH_S,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._fresh_s = fresh_s
        self._seconds = seconds
        self._known: dict[TenantId, _Known] = {}
        self._loading: dict[TenantId, asyncio.Task[tuple[Budget, ...]]] = {}

    async def of(self, tenant: TenantId) -> tuple[Budget, ...]:
        """At most `fresh_s` old. Errors: those of `load`, for a budget that cannot be seen may
        exist."""
        known = self._known.get(tenant)
        if known is not None and self._seconds() - known.asked_at < self._fresh_s:
            return known.budgets
        loading = self._loading.get(tenant)
        if loading is None:
            loading = asyncio.create_task(self._ask(tenant))
            self._loading[tenant] = loading
        return await asyncio.shield(loading)

    async def teams(self, tenant: TenantId) -> tuple[PrincipalId, ...]:
        """The groups that have a budget as a team, in the order of their ids."""
        named = {budget.subject for budget in await self.of(tenant) if budget.level is Level.TEAM}
        return tuple(map(PrincipalId, sorted(named - {EACH})))

    def forget(self, tenant: TenantId) -> None:
        """Ask anew: the tenant's budgets were changed."""
        self._known.pop(tenant, None)
        self._loading.pop(tenant, None)

    async def _ask(self, tenant: TenantId) -> tuple[Budget, ...]:
        asked_at = self._seconds()
        this = asyncio.current_task()
        try:
            budgets = tuple(await self._load(tenant))
            # What was asked for before a change is not remembered after it.
            if self._loading.get(tenant) is this:
                if len(self._known) >= MOST_TENANTS:
                    self._known.clear()
                self._known[tenant] = _Known(budgets, asked_at)
            return budgets
        finally:
            if self._loading.get(tenant) is this:
                del self._loading[tenant]
