"""The gateway whose money is counted, around one that is told what its calls cost."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from rag.access import PrincipalId, TenantId
from rag.errors import InvalidRequest, ModelUnavailable, OverBudget, StorageUnavailable
from rag.gateway.accounting import AccountedGateway
from rag.gateway.batched_usage import BatchedUsage
from rag.gateway.budgets import (
    NOTHING,
    Amount,
    Budget,
    Budgets,
    Level,
    Limit,
    Reservation,
    Standing,
    Swept,
    Window,
    limits_of,
)
from rag.gateway.calls import ModelCall, Restarted
from rag.gateway.caps import Caps
from rag.gateway.catalogue import Catalogue, Deployment, ModelSpec, Price, Provider, Tier
from rag.gateway.known_budgets import KnownBudgets
from rag.gateway.money import Micro
from rag.gateway.routing import Route
from rag.gateway.tokens import estimated_input
from rag.protocols import Completion, Message, ModelPrompt
from rag.storage.database import Database
from rag.storage.money.alerts import Alerts
from rag.storage.money.budgets import BudgetLedger
from rag.storage.money.counters import DatabaseBudgets
from rag.storage.money.usage import UsageLedger
from rag.trail import Account, Attempt, RequestId, Trail, UseCase
from rag.types import Usage
from tests.budgets import ACME, ANNA, amount
from tests.clock import Clock

CHEAP = Price(input=Micro(1_000_000), output=Micro(2_000_000))
DEAR = Price(input=Micro(10_000_000), output=Micro(20_000_000))
WIRE = Provider(name="p", kind="openai")


def model(name: str, price: Price | None) -> ModelSpec:
    return ModelSpec(
        name=name,
        tier=Tier.CHEAP,
        context_tokens=8_000,
        max_output_tokens=1_000,
        price=price,
        deployments=(Deployment(name=f"{name}-1", provider=WIRE, model=name),),
    )


CATALOGUE = Catalogue(
    models=(model("cheap", CHEAP), model("dear", DEAR), model("unknown", None)), ceiling=DEAR
)
ACCOUNT = Account(tenant=ACME, user=ANNA, team=PrincipalId("group:a"), application="k1")
CALL = ModelCall(
    prompt=ModelPrompt(
        messages=(Message("user", "What is new?"),), prompt="answer v1", max_output_tokens=100
    ),
    account=ACCOUNT,
    request=RequestId("request-1"),
    use_case=UseCase.ASK,
)
DEAREST = Amount(DEAR.cost(Usage(10, 100)), 110)
"""What is held for `CALL`: 7 tokens as guessed, a third more, and the output."""


def attempt(cost: int, *, tokens: tuple[int, int] = (7, 3), model: str = "cheap") -> Attempt:
    return Attempt(
        model=model,
        deployment=f"{model}-1",
        step="answer",
        outcome="ok",
        usage=Usage(*tokens),
        estimated=False,
        cost=Micro(cost),
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        first_token_ms=1.0,
        total_ms=2.0,
    )


@dataclass
class Paid:
    """A gateway whose calls end as the test says."""

    attempts: Sequence[Attempt] = (attempt(50),)
    error: Exception | None = None
    calls: list[ModelCall] = field(default_factory=list[ModelCall])

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        self.calls.append(call)
        try:
            yield "It is "
            yield "so."
            if self.error is not None:
                raise self.error
            yield Completion(model="cheap", usage=Usage(7, 3), finish_reason="stop")
        finally:
            trail.attempts += self.attempts


@dataclass(frozen=True)
class AllOf:
    models: tuple[ModelSpec, ...]

    def route(self, call: ModelCall) -> Route:
        _ = call
        return Route(models=self.models, tier="cheap", reasons=())


@dataclass
class Shaky:
    """Counts in the database, unless it is away."""

    inner: Budgets
    away: bool = False
    asked: int = 0

    async def reserve(self, reservation: Reservation) -> None:
        self._ask()
        await self.inner.reserve(reservation)

    async def settle(self, reservation: Reservation, actual: Amount) -> Sequence[Standing]:
        self._ask()
        return await self.inner.settle(reservation, actual)

    async def sweep(self, tenant: TenantId) -> Swept:
        self._ask()
        return await self.inner.sweep(tenant)

    async def standing(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        self._ask()
        return await self.inner.standing(limits)

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise StorageUnavailable("it is away")


@dataclass
class Bench:
    """A gateway whose money is counted, and all around it."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    inner: Paid = field(default_factory=Paid)
    caps: Caps = field(default_factory=Caps)
    models: tuple[ModelSpec, ...] = CATALOGUE.models[:2]

    def __post_init__(self) -> None:
        self.rules = BudgetLedger(self.database)
        self.ledger = UsageLedger(self.database)
        self.usage = BatchedUsage(self.ledger)
        self.alerts = Alerts(self.database, self.clock)
        self.known = KnownBudgets(self.rules.of)
        self.budgets = Shaky(DatabaseBudgets(self.database, self.clock))
        self.gateway = AccountedGateway(
            self.inner,
            routes=AllOf(self.models),
            catalogue=CATALOGUE,
            known=self.known,
            budgets=self.budgets,
            usage=self.usage,
            alerts=self.alerts,
            clock=self.clock,
            caps=self.caps,
        )

    async def allow(self, money: int | None = None, tokens: int | None = None) -> Limit:
        """Sets the tenant's budget of the day."""
        budget = Budget(
            tenant=ACME,
            level=Level.TENANT,
            subject="",
            window=Window.DAY,
            money=None if money is None else Micro(money),
            tokens=tokens,
        )
        await self.rules.put(budget)
        self.known.forget(ACME)
        [limit] = limits_of(
            [budget],
            ACCOUNT,
            use_case=UseCase.ASK,
            request=CALL.request,
            moment=self.clock(),
        )
        return limit

    async def standing(self, limit: Limit) -> tuple[Amount, Amount]:
        [standing] = await self.budgets.standing([limit])
        return standing.spent, standing.reserved

    def trail(self) -> Trail:
        return Trail(
            request=CALL.request,
            account=ACCOUNT,
            use_case=UseCase.ASK,
            endpoint="/v1/ask",
            started_at=self.clock(),
        )

    async def ask(self, call: ModelCall = CALL, trail: Trail | None = None) -> str:
        stream = self.gateway.stream(call, self.trail() if trail is None else trail)
        return "".join([piece async for piece in stream if isinstance(piece, str)])

    async def used(self) -> list[tuple[tuple[str, ...], int, int]]:
        """By team, application, user, use case, endpoint, model and prompt: calls and cost."""
        by = ("team", "application", "user", "use_case", "endpoint", "model", "prompt")
        day = self.clock().date()
        groups = await self.ledger.grouped(ACME, by=by, begins=day, ends=day + timedelta(days=1))
        return [(group.by, group.count.calls, group.count.cost) for group in groups]


@pytest.fixture
def bench(sqlite_database: Database) -> Bench:
    return Bench(sqlite_database)


DIMENSIONS = ("group:a", "k1", ANNA, "ask", "/v1/ask", "cheap", "answer v1")


async def test_what_a_call_may_cost_is_held_and_what_it_cost_is_spent(bench: Bench) -> None:
    limit = await bench.allow(money=1_000_000)
    trail = bench.trail()
    async with aclosing(bench.gateway.stream(CALL, trail)) as pieces:
        assert await anext(pieces) == "It is "
        assert await bench.standing(limit) == (NOTHING, DEAREST)
        assert await anext(pieces) == "so."
    assert await bench.standing(limit) == (amount(50, 10), NOTHING)
    assert trail.attempts == list(bench.inner.attempts)
    assert await bench.used() == [(DIMENSIONS, 1, 50)]


async def test_without_a_budget_nothing_is_asked_and_usage_is_written_soon(bench: Bench) -> None:
    await bench.ask()
    await bench.ask()
    assert bench.budgets.asked == 0
    await bench.usage.aclose()
    assert await bench.used() == [(DIMENSIONS, 2, 100)]


async def test_a_budget_of_somebody_else_is_not_asked(bench: Bench) -> None:
    await bench.rules.put(
        Budget(
            tenant=ACME, level=Level.USER, subject="user:bert", window=Window.DAY, money=Micro(1)
        )
    )
    await bench.ask()
    assert bench.budgets.asked == 0


async def test_a_call_for_which_there_is_no_room_is_not_made(bench: Bench) -> None:
    await bench.allow(money=DEAREST.money - 1)
    with pytest.raises(OverBudget) as caught:
        await bench.ask()
    assert caught.value.retry_after_s == 24 * 3_600
    assert bench.inner.calls == []
    assert bench.gateway.figures.refused == 1


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_whoever_goes_away_pays_for_what_was_spent_until_then(
    bench: Bench, after: int
) -> None:
    limit = await bench.allow(money=1_000_000)
    stream = bench.gateway.stream(CALL, bench.trail())
    for _ in range(after):
        await anext(stream)
    await stream.aclose()
    spent = amount(50, 10) if after else NOTHING
    assert await bench.standing(limit) == (spent, NOTHING)


async def test_a_call_that_fails_pays_for_its_attempts(bench: Bench) -> None:
    limit = await bench.allow(money=1_000_000)
    bench.inner.attempts = (attempt(20), attempt(30, model="dear"))
    bench.inner.error = ModelUnavailable("cut")
    trail = bench.trail()
    with pytest.raises(ModelUnavailable):
        await bench.ask(trail=trail)
    assert await bench.standing(limit) == (amount(50, 20), NOTHING)
    assert trail.cost == 50
    assert {by[5]: cost for by, _, cost in await bench.used()} == {"cheap": 20, "dear": 30}


async def test_a_cancelled_call_is_settled_all_the_same(bench: Bench) -> None:
    limit = await bench.allow(money=1_000_000)
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(bench.gateway.stream(CALL, bench.trail())) as pieces:
            async for _ in pieces:
                begun.set()
                await asyncio.sleep(3_600)

    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    await asyncio.wait({reading})
    await bench.gateway.aclose()
    assert await bench.standing(limit) == (amount(50, 10), NOTHING)


async def test_who_is_cancelled_while_room_is_held_gives_it_back(bench: Bench) -> None:
    limit = await bench.allow(money=1_000_000)
    for rounds in range(12):
        asking = asyncio.create_task(bench.ask())
        for _ in range(rounds):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
    await bench.gateway.aclose()
    _, reserved = await bench.standing(limit)
    assert reserved == NOTHING


async def test_steps_that_run_at_once_each_pay_for_their_own_attempts(bench: Bench) -> None:
    limit = await bench.allow(money=10_000_000)
    trail = bench.trail()
    steps = [bench.ask(replace(CALL, step=step), trail) for step in ("answer", "rewrite", "judge")]
    await asyncio.gather(*steps)
    assert await bench.standing(limit) == (amount(150, 30), NOTHING)
    assert trail.cost == 150


async def test_a_store_that_is_away_refuses_where_a_budget_exists(bench: Bench) -> None:
    bench.budgets.away = True
    await bench.ask()
    await bench.allow(money=1_000_000)
    with pytest.raises(StorageUnavailable):
        await bench.ask()
    assert len(bench.inner.calls) == 1


async def test_what_cannot_be_settled_is_settled_later(bench: Bench) -> None:
    limit = await bench.allow(money=1_000_000)
    async with aclosing(bench.gateway.stream(CALL, bench.trail())) as pieces:
        await anext(pieces)
        bench.budgets.away = True
    assert bench.gateway.figures.unsettled == 1
    bench.budgets.away = False
    bench.clock.advance(minutes=11)
    await bench.budgets.sweep(ACME)
    await bench.gateway.settle_late()
    assert await bench.standing(limit) == (amount(50, 10), NOTHING)
    assert bench.gateway.figures.unsettled == 0


async def test_what_a_dead_process_held_makes_room_when_it_is_needed(bench: Bench) -> None:
    limit = await bench.allow(money=DEAREST.money)
    dead = Reservation(
        id=CALL.request,  # pyright: ignore[reportArgumentType]
        tenant=ACME,
        limits=(limit,),
        amount=DEAREST,
        expires_at=bench.clock() + timedelta(minutes=10),
    )
    await bench.budgets.reserve(dead)
    with pytest.raises(OverBudget):
        await bench.ask()
    bench.clock.advance(minutes=10)
    await bench.ask()
    assert bench.gateway.figures.expired == 1


async def test_alerts_come_once_at_a_half_at_four_fifths_and_at_the_end(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.allow(tokens=1_100)
    bench.inner.attempts = (attempt(1, tokens=(60, 50)),)
    raised: list[list[int]] = []
    for _ in range(10):
        await bench.ask()
        raised.append(sorted(alert.percent for alert in await bench.alerts.listed(ACME)))
    assert raised == [[]] * 4 + [[50]] * 3 + [[50, 80]] * 2 + [[50, 80, 100]]
    assert bench.gateway.figures.alerts == 3
    told = [record for record in caplog.records if "budget" in record.message]
    assert [getattr(record, "percent", 0) for record in told] == [50, 80, 100]


async def test_a_budget_is_at_its_end_when_what_is_left_takes_no_call(bench: Bench) -> None:
    await bench.allow(tokens=1_000)
    bench.inner.attempts = (attempt(1, tokens=(60, 50)),)
    huge = replace(CALL, prompt=replace(CALL.prompt, max_output_tokens=5_000))
    with pytest.raises(OverBudget):
        await bench.ask(huge)
    assert await bench.alerts.listed(ACME) == [], "one call that is too large says nothing of it"
    for _ in range(9):
        await bench.ask()
    for _ in range(3):
        with pytest.raises(OverBudget):
            await bench.ask()
    alerts = await bench.alerts.listed(ACME)
    assert sorted((alert.percent, alert.spent.tokens) for alert in alerts) == [
        (50, 550),
        (80, 880),
        (100, 990),
    ]


async def test_another_process_raises_no_alert_again(bench: Bench) -> None:
    await bench.allow(money=5_000)
    bench.inner.attempts = (attempt(2_600),)
    await bench.ask()
    other = Bench(bench.database, clock=bench.clock, inner=Paid(attempts=(attempt(10),)))
    await other.ask()
    assert (bench.gateway.figures.alerts, other.gateway.figures.alerts) == (1, 0)


async def test_a_model_without_a_price_counts_as_the_dearest(
    sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(sqlite_database, models=CATALOGUE.models[2:])
    limit = await bench.allow(money=1_000_000)
    async with aclosing(bench.gateway.stream(CALL, bench.trail())) as pieces:
        await anext(pieces)
        assert await bench.standing(limit) == (NOTHING, DEAREST)
    await bench.ask()
    assert bench.gateway.figures.unpriced == 2
    assert sum("price" in record.message for record in caplog.records) == 1


async def test_what_only_quotes_costs_nothing_and_needs_no_room(sqlite_database: Database) -> None:
    quoting = replace(
        CATALOGUE.models[0],
        deployments=(
            Deployment(name="e", provider=Provider(name="e", kind="extractive"), model="e"),
        ),
    )
    bench = Bench(sqlite_database, inner=Paid(attempts=(attempt(0),)), models=(quoting,))
    await bench.allow(money=0, tokens=0)
    assert await bench.ask() == "It is so."
    assert bench.budgets.asked == 0


async def test_output_is_capped_and_input_refused_by_what_the_call_is_for(
    sqlite_database: Database,
) -> None:
    said = estimated_input(CALL.prompt.messages)
    caps = Caps(
        input_tokens={"ask": said, "ask/judge": said - 1}, output_tokens={"*": 40, "chat": 60}
    )
    bench = Bench(sqlite_database, caps=caps)
    await bench.ask()
    await bench.ask(replace(CALL, use_case=UseCase.CHAT))
    assert [call.prompt.max_output_tokens for call in bench.inner.calls] == [40, 60]
    with pytest.raises(InvalidRequest, match="tokens"):
        await bench.ask(replace(CALL, step="judge"))


async def test_one_request_may_not_spend_more_than_its_own_budget_over_its_steps(
    bench: Bench,
) -> None:
    await bench.rules.put(
        Budget(
            tenant=ACME,
            level=Level.REQUEST,
            subject="*",
            window=Window.DAY,
            money=Micro(DEAREST.money + 99),
        )
    )
    for step in ("rewrite", "answer"):
        await bench.ask(replace(CALL, step=step))
    with pytest.raises(OverBudget) as caught:
        await bench.ask(replace(CALL, step="judge"))
    assert caught.value.retry_after_s is None
    await bench.ask(replace(CALL, request=RequestId("request-2")))
