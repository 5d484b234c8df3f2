"""A budget holds whatever a call's fallback does: real attempts, real counters."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from rag.access import PrincipalId
from rag.errors import ModelUnavailable
from rag.gateway.accounting import AccountedGateway
from rag.gateway.allowance import at_most
from rag.gateway.batched_usage import BatchedUsage
from rag.gateway.budgets import EACH, NOTHING, Amount, Budget, Level, Limit, Window, limits_of
from rag.gateway.catalogue import Catalogue
from rag.gateway.known_budgets import KnownBudgets
from rag.gateway.money import Micro
from rag.gateway.patience import FallbackPolicy, Patience
from rag.gateway.singleflight import SharedCalls
from rag.protocols import Message
from rag.storage.database import Database
from rag.storage.money.alerts import Alerts
from rag.storage.money.budgets import BudgetLedger
from rag.storage.money.counters import DatabaseBudgets
from rag.storage.money.usage import UsageLedger
from rag.trail import Attempt, Trail
from rag.types import Usage
from tests.clock import Clock
from tests.gateways import (
    ACCOUNT,
    CEILING,
    PRICE,
    PROMPT,
    Chained,
    FixedRoutes,
    Received,
    a_call,
    a_trail,
    receive,
    received,
    scripted_chain,
)
from tests.scripted_upstream import Counts, CutOff, Says, Silent

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

    async def standing(self, user: str | None = None) -> tuple[Amount, Amount]:
        """Spent and reserved; of one user, where each has a budget."""
        limit = self.limit if user is None else replace(self.limit, subject=user)
        [standing] = await self.budgets.standing([limit])
        return standing.spent, standing.reserved


async def counted(
    chained: Chained, database: Database, *, cap: int, level: Level = Level.TENANT
) -> Counted:
    clock = Clock()
    budget = Budget(
        tenant=ACCOUNT.tenant,
        level=level,
        subject="" if level is Level.TENANT else EACH,
        window=Window.DAY,
        money=Micro(cap),
        tokens=None,
    )
    rules = BudgetLedger(database)
    await rules.put(budget)
    budgets = DatabaseBudgets(database, clock)
    gateway = AccountedGateway(
        SharedCalls(chained.gateway),
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


@dataclass(slots=True)
class Reader:
    """Somebody who asks the same as others do, out of a budget of their own."""

    bench: Counted
    user: str
    trail: Trail = field(default_factory=lambda: replace(a_trail(), started_at=Clock()()))
    received: Received = field(default_factory=Received)

    def start(self) -> "asyncio.Task[None]":
        account = replace(ACCOUNT, user=PrincipalId(self.user))
        self.trail.account = account
        call = replace(CALL, account=account)
        return asyncio.create_task(receive(self.bench.gateway, self.received, call, self.trail))

    async def until_text(self) -> None:
        while not self.received.text:  # noqa: ASYNC110 - a list tells nobody that it has grown
            await asyncio.sleep(0.001)

    async def standing(self) -> tuple[Amount, Amount]:
        return await self.bench.standing(self.user)


async def left(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("leaves", ["before the second attempt", "during the second attempt"])
async def test_who_leaves_a_shared_call_holds_nothing_any_more_and_pays_for_what_was_over(
    database: Database, leaves: str
) -> None:
    first_ends, second_ends = asyncio.Event(), asyncio.Event()
    early = leaves == "before the second attempt"
    script = [[CutOff(released=first_ends)], [Says("Deep.", Counts(), released=second_ends)]]
    async with scripted_chain(*script, policy=replace(POLICY, retries=0)) as (chained, peers):
        bench = await counted(chained, database, cap=3 * ONE, level=Level.USER)
        anna, bert = Reader(bench, "user:anna"), Reader(bench, "user:bert")
        annas = anna.start()
        await anna.until_text()
        berts = bert.start()
        await bert.until_text()
        if early:
            await left(annas)
        first_ends.set()
        await peers[1].until_called()
        if not early:
            await left(annas)
        spent, reserved = await anna.standing()
        assert reserved == NOTHING, "nothing waits for a lease to end"
        assert spent.money == anna.trail.cost
        assert (spent.money > 0) is not early
        second_ends.set()
        await berts

    assert [each.outcome for each in bert.trail.attempts] == ["broken_off", "ok"]
    spent, reserved = await bert.standing()
    assert reserved == NOTHING
    assert spent.money == bert.trail.cost > 0
    both = [each.cost for each in paid_attempts(anna, bert)]
    assert spent.money + (await anna.standing())[0].money == sum(both), "each is paid once"


async def test_who_has_room_for_another_attempt_pays_for_it_where_the_first_has_none(
    database: Database,
) -> None:
    first_ends = asyncio.Event()
    script = [[CutOff(released=first_ends)], [Says("Deep.", Counts())]]
    async with scripted_chain(*script, policy=replace(POLICY, retries=0)) as (chained, _):
        bench = await counted(chained, database, cap=ONE, level=Level.USER)
        anna, bert = Reader(bench, "user:anna"), Reader(bench, "user:bert")
        tasks = [anna.start()]
        await anna.until_text()
        tasks.append(bert.start())
        await bert.until_text()
        first_ends.set()
        await asyncio.gather(*tasks)

    assert anna.received.text == bert.received.text == "Deep."
    for reader in (anna, bert):
        spent, reserved = await reader.standing()
        assert reserved == NOTHING
        assert 0 < spent.money <= ONE
        assert spent.money == reader.trail.cost
    paid = [[each.cost > 0 for each in reader.trail.attempts] for reader in (anna, bert)]
    assert paid == [[True, False], [False, True]]


def paid_attempts(*readers: Reader) -> list[Attempt]:
    """Each attempt as whoever paid for it has it written down."""
    return [each for reader in readers for each in reader.trail.attempts if each.usage != Usage()]
