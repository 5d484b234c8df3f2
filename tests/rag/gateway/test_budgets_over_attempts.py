"""A budget holds whatever a call's fallback does: real attempts, real counters."""

from dataclasses import dataclass, replace

import pytest

from rag.errors import ModelUnavailable
from rag.gateway.accounting import AccountedGateway
from rag.gateway.allowance import at_most
from rag.gateway.batched_usage import BatchedUsage
from rag.gateway.budgets import NOTHING, Amount, Budget, Level, Limit, Window, limits_of
from rag.gateway.catalogue import Catalogue
from rag.gateway.known_budgets import KnownBudgets
from rag.gateway.money import Micro
from rag.gateway.patience import FallbackPolicy, Patience
from rag.protocols import Message
from rag.storage.database import Database
from rag.storage.money.alerts import Alerts
from rag.storage.money.budgets import BudgetLedger
from rag.storage.money.counters import DatabaseBudgets
from rag.storage.money.usage import UsageLedger
from tests.clock import Clock
from tests.gateways import (
    ACCOUNT,
    CEILING,
    PRICE,
    PROMPT,
    Chained,
    FixedRoutes,
    a_call,
    a_trail,
    received,
    scripted_chain,
)
from tests.scripted_upstream import Says, Silent

PROMPT_OF_SOME_LENGTH = replace(PROMPT, messages=(Message("user", "How deep is the sea? " * 20),))
CALL = a_call(PROMPT_OF_SOME_LENGTH)
ONE = at_most(PROMPT_OF_SOME_LENGTH, PRICE).money
"""What is held for one attempt."""
POLICY = FallbackPolicy(patience=Patience(first_token_s=0.3), backoff_s=0.0)


@dataclass(frozen=True, slots=True)
class Counted:
    gateway: AccountedGateway
    budgets: DatabaseBudgets
    limit: Limit

    async def standing(self) -> tuple[Amount, Amount]:
        [standing] = await self.budgets.standing([self.limit])
        return standing.spent, standing.reserved


async def counted(chained: Chained, database: Database, *, cap: int) -> Counted:
    clock = Clock()
    budget = Budget(
        tenant=ACCOUNT.tenant,
        level=Level.TENANT,
        subject="",
        window=Window.DAY,
        money=Micro(cap),
        tokens=None,
    )
    rules = BudgetLedger(database)
    await rules.put(budget)
    budgets = DatabaseBudgets(database, clock)
    gateway = AccountedGateway(
        chained.gateway,
        routes=FixedRoutes(chained.models),
        catalogue=Catalogue(models=chained.models, ceiling=CEILING),
        known=KnownBudgets(rules.of),
        budgets=budgets,
        usage=BatchedUsage(UsageLedger(database)),
        alerts=Alerts(database, clock),
        clock=clock,
    )
    [limit] = limits_of(
        [budget], ACCOUNT, use_case=CALL.use_case, request=CALL.request, moment=clock()
    )
    return Counted(gateway, budgets, limit)


async def test_a_second_attempt_for_which_there_is_no_room_is_not_made(
    sqlite_database: Database,
) -> None:
    trail = replace(a_trail(), started_at=Clock()())
    async with scripted_chain([Silent()], [Says("Deep.")], policy=POLICY) as (chained, [_, second]):
        bench = await counted(chained, sqlite_database, cap=ONE)
        with pytest.raises(ModelUnavailable):
            await received(bench.gateway, CALL, trail)
        spent, reserved = await bench.standing()

        assert second.calls == 0

    assert spent.money == trail.cost > 0
    assert spent.money <= ONE
    assert reserved == NOTHING


async def test_a_second_attempt_for_which_there_is_room_is_made_and_both_are_settled(
    sqlite_database: Database,
) -> None:
    trail = replace(a_trail(), started_at=Clock()())
    async with scripted_chain([Silent()], [Says("Deep.")], policy=POLICY) as (chained, _):
        bench = await counted(chained, sqlite_database, cap=2 * ONE)
        answer = await received(bench.gateway, CALL, trail)
        spent, reserved = await bench.standing()

    assert answer.text == "Deep."
    assert [attempt.outcome for attempt in trail.attempts] == ["no_first_token", "ok"]
    assert spent.money == trail.cost
    assert spent.money <= 2 * ONE
    assert reserved == NOTHING
