"""What whoever counts budgets promises: one transaction on SQLite and PostgreSQL, one script on
Redis."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import date, timedelta

import pytest

from rag.errors import OverBudget, StorageUnavailable
from rag.gateway.budgets import (
    NOTHING,
    Amount,
    Budgets,
    Level,
    Limit,
    Reservation,
    ReservationId,
    Standing,
    Swept,
    Window,
)
from rag.gateway.money import Micro
from rag.gateway.usage import UsageCount, UsageKey
from rag.trail import UseCase
from tests.budgets import ACME, ANNA, OTHER, STORES, Counted, amount, limit, open_budgets
from tests.clock import Clock
from tests.ports import free_port
from tests.services import redis_server

LEASE = timedelta(minutes=10)


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(hours=12)
    return clock


@pytest.fixture(params=STORES)
async def counted(request: pytest.FixtureRequest, clock: Clock) -> AsyncGenerator[Counted]:
    engine = "postgres" if request.param == "postgresql" else "sqlite"
    database_url = str(request.getfixturevalue(f"{engine}_database_url"))
    if request.param != "redis":
        async with open_budgets(database_url, None, clock) as counted:
            yield counted
        return
    port = free_port()
    with redis_server(port):
        async with open_budgets(database_url, f"redis://127.0.0.1:{port}/0", clock) as counted:
            yield counted


@pytest.fixture
def budgets(counted: Counted) -> Budgets:
    return counted.budgets


def reservation(
    *limits: Limit, held: Amount, clock: Clock, name: str = "r1", lease: timedelta = LEASE
) -> Reservation:
    return Reservation(
        id=ReservationId(name),
        tenant=limits[0].tenant,
        limits=limits,
        amount=held,
        expires_at=clock() + lease,
    )


async def test_what_is_reserved_and_spent_is_told(budgets: Budgets, clock: Clock) -> None:
    day = limit(money=1_000, tokens=500)
    held = reservation(day, held=amount(300, 200), clock=clock)
    assert list(await budgets.standing([day])) == [Standing(day, NOTHING)]
    await budgets.reserve(held)
    assert list(await budgets.standing([day])) == [Standing(day, NOTHING, amount(300, 200))]
    settled = await budgets.settle(held, amount(120, 90))
    assert list(settled) == [Standing(day, amount(120, 90))]
    assert list(await budgets.standing([day])) == [Standing(day, amount(120, 90))]


async def test_a_call_is_made_only_where_every_limit_has_room(
    budgets: Budgets, clock: Clock
) -> None:
    user = limit(Level.USER, ANNA, money=100)
    team, tenant = limit(Level.TEAM, "group:a", tokens=50), limit(money=1_000)
    limits = (tenant, team, user)
    await budgets.reserve(reservation(*limits, held=amount(60, 10), clock=clock))
    with pytest.raises(OverBudget) as caught:
        await budgets.reserve(reservation(*limits, held=amount(41, 1), clock=clock, name="r2"))
    assert caught.value.retry_after_s == 12 * 3_600, "until the day ends"
    with pytest.raises(OverBudget, match="team"):
        await budgets.reserve(reservation(*limits, held=amount(1, 41), clock=clock, name="r3"))
    # Nothing of what was refused is held, in any of the limits.
    assert [each.reserved for each in await budgets.standing(limits)] == [amount(60, 10)] * 3
    await budgets.reserve(reservation(*limits, held=amount(40, 40), clock=clock, name="r4"))


async def test_a_cap_may_be_spent_to_the_last_micro(budgets: Budgets, clock: Clock) -> None:
    large = 2**53
    tight = limit(money=large)
    await budgets.reserve(reservation(tight, held=amount(large - 1), clock=clock))
    await budgets.reserve(reservation(tight, held=amount(1), clock=clock, name="r2"))
    with pytest.raises(OverBudget):
        await budgets.reserve(reservation(tight, held=amount(2), clock=clock, name="r3"))
    [standing] = await budgets.standing([tight])
    assert standing.reserved.money == large


async def test_a_call_that_costs_nothing_passes_a_budget_that_is_spent(
    budgets: Budgets, clock: Clock
) -> None:
    spent = limit(money=10)
    first = reservation(spent, held=amount(10), clock=clock)
    await budgets.reserve(first)
    await budgets.settle(first, amount(10))
    await budgets.reserve(reservation(spent, held=NOTHING, clock=clock, name="r2"))


async def test_the_same_reservation_is_held_once_and_settled_once(
    budgets: Budgets, clock: Clock
) -> None:
    day = limit(money=1_000)
    held = reservation(day, held=amount(300), clock=clock)
    await budgets.reserve(held)
    await budgets.reserve(held)
    assert [each.reserved for each in await budgets.standing([day])] == [amount(300)]
    assert len(await budgets.settle(held, amount(200))) == 1
    assert list(await budgets.settle(held, amount(200))) == []
    await budgets.reserve(held)
    assert list(await budgets.standing([day])) == [Standing(day, amount(200))]


async def test_what_is_given_back_can_be_held_again(budgets: Budgets, clock: Clock) -> None:
    day = limit(money=100)
    held = reservation(day, held=amount(100), clock=clock)
    await budgets.reserve(held)
    await budgets.settle(held, NOTHING)
    await budgets.reserve(reservation(day, held=amount(100), clock=clock, name="r2"))


async def test_more_than_was_held_is_counted_too(budgets: Budgets, clock: Clock) -> None:
    day = limit(money=100)
    held = reservation(day, held=amount(50), clock=clock)
    await budgets.reserve(held)
    await budgets.settle(held, amount(130))
    assert list(await budgets.standing([day])) == [Standing(day, amount(130))]
    with pytest.raises(OverBudget):
        await budgets.reserve(reservation(day, held=amount(1), clock=clock, name="r2"))


async def test_what_nobody_settles_in_time_is_given_back(budgets: Budgets, clock: Clock) -> None:
    day, month = limit(money=100), limit(money=1_000, window=Window.MONTH, begins=date(2026, 11, 1))
    await budgets.reserve(reservation(day, month, held=amount(70, 7), clock=clock))
    later = reservation(
        day, month, held=amount(20, 2), clock=clock, name="r2", lease=timedelta(hours=2)
    )
    await budgets.reserve(later)
    assert await budgets.sweep(ACME) == Swept()
    clock.advance(minutes=11)
    assert await budgets.sweep(OTHER) == Swept()
    assert await budgets.sweep(ACME) == Swept(1, amount(70, 7))
    assert await budgets.sweep(ACME) == Swept()
    assert [each.reserved for each in await budgets.standing([day, month])] == [amount(20, 2)] * 2


async def test_what_is_settled_after_it_expired_counts_all_the_same(
    budgets: Budgets, clock: Clock
) -> None:
    day = limit(money=100)
    held = reservation(day, held=amount(70), clock=clock)
    await budgets.reserve(held)
    clock.advance(minutes=11)
    await budgets.sweep(ACME)
    assert list(await budgets.settle(held, amount(60))) == [Standing(day, amount(60))]
    assert list(await budgets.settle(held, amount(60))) == []
    assert list(await budgets.standing([day])) == [Standing(day, amount(60))]


async def test_a_call_counts_in_the_window_it_began_in(budgets: Budgets, clock: Clock) -> None:
    today, tomorrow = limit(money=100), limit(money=100, begins=date(2026, 11, 22))
    held = reservation(today, held=amount(70), clock=clock, lease=timedelta(days=1))
    await budgets.reserve(held)
    clock.advance(hours=13)
    await budgets.settle(held, amount(60))
    told = [each.spent for each in await budgets.standing([today, tomorrow])]
    assert told == [amount(60), NOTHING]


async def test_use_cases_tenants_and_subjects_are_counted_apart(
    budgets: Budgets, clock: Clock
) -> None:
    counted_apart = [
        limit(money=100),
        limit(money=100, tenant=OTHER),
        limit(money=100, use_case=UseCase.CHAT),
        limit(Level.USER, ANNA, money=100),
        limit(Level.USER, "user:bert", money=100),
        limit(Level.APPLICATION, ANNA, money=100),
    ]
    for number, each in enumerate(counted_apart):
        name = f"r{number}"
        await budgets.reserve(reservation(each, held=amount(100), clock=clock, name=name))
    assert [each.reserved for each in await budgets.standing(counted_apart)] == [amount(100)] * 6


async def test_a_new_counter_begins_with_what_the_ledger_says(
    counted: Counted, clock: Clock
) -> None:
    key = UsageKey(
        tenant=ACME,
        day=clock().date(),
        team="group:a",
        application="",
        user=ANNA,
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
        model="m",
        prompt="",
    )
    used = UsageCount(calls=1, input_tokens=30, output_tokens=10, cost=Micro(90))
    await counted.ledger.add({key: used})
    spent = [
        limit(money=100),
        limit(Level.USER, ANNA, money=100),
        limit(Level.TEAM, "group:a", money=100, use_case=UseCase.ASK),
    ]
    unspent = [
        limit(money=100, begins=date(2026, 11, 20)),
        limit(money=100, tenant=OTHER),
        limit(money=100, use_case=UseCase.CHAT),
        limit(Level.USER, "user:bert", money=100),
        limit(Level.REQUEST, "r", money=100),
    ]
    told = await counted.budgets.standing(spent + unspent)
    assert [each.spent for each in told] == [amount(90, 40)] * 3 + [NOTHING] * 5
    for number, each in enumerate(spent):
        with pytest.raises(OverBudget):
            await counted.budgets.reserve(
                reservation(each, held=amount(11), clock=clock, name=f"s{number}")
            )
    for number, each in enumerate(unspent):
        await counted.budgets.reserve(
            reservation(each, held=amount(11), clock=clock, name=f"u{number}")
        )
    held = [each.used.money for each in await counted.budgets.standing(spent + unspent)]
    assert held == [90] * 3 + [11] * 5


async def test_many_at_once_never_hold_more_than_there_is(budgets: Budgets, clock: Clock) -> None:
    day, user = limit(money=1_000), limit(Level.USER, ANNA, tokens=2_000)

    async def spend(number: int) -> bool:
        held = reservation(day, user, held=amount(10, 10), clock=clock, name=f"r{number}")
        try:
            await budgets.reserve(held)
        except OverBudget:
            return False
        await budgets.settle(held, amount(10, 5))
        return True

    made = await asyncio.gather(*map(spend, range(150)))
    assert sum(made) == 100
    told = await budgets.standing([day, user])
    assert [each.used for each in told] == [amount(1_000, 500)] * 2


async def test_redis_that_is_gone_is_said_to_be(sqlite_database_url: str, clock: Clock) -> None:
    port = free_port()
    address = f"redis://127.0.0.1:{port}/0"
    async with open_budgets(sqlite_database_url, address, clock) as counted:
        with pytest.raises(StorageUnavailable) as caught:
            await counted.budgets.reserve(reservation(limit(), held=amount(1), clock=clock))
        assert str(port) not in str(caught.value)


async def test_redis_that_forgot_everything_goes_on_with_what_the_ledger_says(
    sqlite_database_url: str, clock: Clock
) -> None:
    port, day = free_port(), limit(money=100)
    key = UsageKey(
        tenant=ACME, day=clock().date(), team="", application="", user=ANNA,
        use_case=UseCase.ASK, endpoint="/v1/ask", model="m", prompt="",
    )  # fmt: skip
    address = f"redis://127.0.0.1:{port}/0"
    async with open_budgets(sqlite_database_url, address, clock) as counted:
        first = reservation(day, held=amount(60), clock=clock)
        running = reservation(day, held=amount(20), clock=clock, name="r2")
        with redis_server(port):
            for each in (first, running):
                await counted.budgets.reserve(each)
            await counted.ledger.add({key: UsageCount(cost=Micro(60))})
            await counted.budgets.settle(first, amount(60))
        with redis_server(port):
            assert list(await counted.budgets.standing([day])) == [Standing(day, amount(60))]
            with pytest.raises(OverBudget):
                await counted.budgets.reserve(
                    reservation(day, held=amount(41), clock=clock, name="r3")
                )
            # It was written down before it is settled, as everything is.
            await counted.budgets.settle(running, amount(15))
            assert list(await counted.budgets.settle(running, amount(15))) == []
