"""The gateway whose money is counted, around one that is told what its calls cost."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

from rag.errors import InvalidRequest, ModelUnavailable, OverBudget, StorageUnavailable
from rag.gateway.budgets import NOTHING, Budget, Level, Reservation, Window
from rag.gateway.caps import Caps
from rag.gateway.catalogue import Deployment, Provider
from rag.gateway.money import Micro
from rag.gateway.tokens import estimated_input
from rag.storage.database import Database
from rag.trail import RequestId, UseCase
from tests.accounting import CALL, CATALOGUE, DEAREST, Bench, Paid, attempt
from tests.budgets import ACME, ANNA, amount

DIMENSIONS = ("group:a", "k1", ANNA, "ask", "/v1/ask", "cheap", "answer v1")


@pytest.fixture
def bench(sqlite_database: Database) -> Bench:
    return Bench(sqlite_database)


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
