"""Alerts: told once, in time, and once for all processes."""

from dataclasses import replace

import pytest

from rag.errors import OverBudget
from rag.storage.database import Database
from tests.accounting import CALL, Bench, Paid, attempt
from tests.budgets import ACME


@pytest.fixture
def bench(sqlite_database: Database) -> Bench:
    return Bench(sqlite_database)


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
