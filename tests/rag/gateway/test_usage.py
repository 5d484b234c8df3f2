"""Usage on its way to the ledger, budgets as they are remembered, and what is read off the costs."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from rag.access import PrincipalId, TenantId
from rag.errors import StorageUnavailable
from rag.gateway.batched_usage import MOST_KEYS, BatchedUsage
from rag.gateway.budgets import Budget, Level, Window
from rag.gateway.known_budgets import KnownBudgets
from rag.gateway.money import Micro
from rag.gateway.usage import NO_USAGE, UsageCount, UsageKey, Used, used_of_request
from rag.gateway.usage_report import projection, unusual_days
from rag.storage.database import Database
from rag.storage.money.usage import UsageLedger
from rag.trail import Account, Attempt, RequestId, Trail, UseCase
from rag.types import Usage
from tests.budgets import ACME, ANNA, OTHER, TODAY


def key(user: str = ANNA, *, tenant: TenantId = ACME, model: str = "m") -> UsageKey:
    return UsageKey(
        tenant=tenant,
        day=TODAY,
        team="",
        application="",
        user=PrincipalId(user),
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
        model=model,
        prompt="",
    )


class Ledger:
    """In memory; it can be away."""

    def __init__(self) -> None:
        self.away = False
        self.never_takes: UsageKey | None = None
        self.held: dict[UsageKey, UsageCount] = {}
        self.writes = 0
        self.written = asyncio.Event()

    async def add(self, used: Used) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise StorageUnavailable("away")
        if self.never_takes in used:
            raise ValueError("no column takes this")
        self.writes += 1
        for one, count in used.items():
            self.held[one] = self.held.get(one, NO_USAGE) + count
        self.written.set()


ONE = UsageCount(calls=1, cost=Micro(7))


async def test_what_is_noted_is_written_together_when_it_is_closed() -> None:
    ledger = Ledger()
    usage = BatchedUsage(ledger, every_s=3_600)
    for _ in range(100):
        usage.note({key(): ONE, key(model="other"): ONE})
    await usage.aclose()
    assert ledger.writes == 1
    assert ledger.held[key()] == UsageCount(calls=100, cost=Micro(700))


async def test_what_is_noted_is_written_soon_without_being_asked() -> None:
    ledger = Ledger()
    usage = BatchedUsage(ledger, every_s=0.001)
    for _ in range(2):
        ledger.written.clear()
        usage.note({key(): ONE})
        await ledger.written.wait()
    assert ledger.held == {key(): ONE + ONE}
    await usage.aclose()


async def test_what_cannot_be_written_waits_and_is_written_once() -> None:
    ledger = Ledger()
    ledger.away = True
    usage = BatchedUsage(ledger, every_s=0.001)
    usage.note({key(): ONE})
    await usage.written({key(): ONE})
    with pytest.raises(StorageUnavailable):
        await usage.flush()
    await asyncio.sleep(0.01)
    ledger.away = False
    await usage.aclose()
    assert ledger.held == {key(): ONE + ONE}
    assert usage.lost == 0


async def test_what_the_ledger_never_takes_is_lost_and_holds_up_nothing_behind_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = Ledger()
    ledger.never_takes = key("user:bert")
    usage = BatchedUsage(ledger, every_s=3_600)
    usage.note({key("user:bert"): UsageCount(calls=1)})
    await usage.flush()
    assert usage.lost == 1
    assert "refused" in caplog.text
    usage.note({key(): UsageCount(calls=2)})
    await usage.aclose()
    assert ledger.held == {key(): UsageCount(calls=2)}


async def test_what_waits_is_bounded_and_what_is_lost_is_counted() -> None:
    ledger = Ledger()
    ledger.away = True
    usage = BatchedUsage(ledger, every_s=3_600)
    for number in range(MOST_KEYS + 3):
        usage.note({key(f"user:{number}"): ONE})
    usage.note({key("user:1"): ONE})
    assert usage.lost == 3
    await usage.aclose()
    assert usage.lost == 3 + MOST_KEYS


async def test_the_ledger_adds_up_what_many_write_at_once(database: Database) -> None:
    ledger = UsageLedger(database)
    users = [key(f"user:{number}") for number in range(20)]
    await asyncio.gather(*(ledger.add(dict.fromkeys(users, ONE)) for _ in range(10)))
    await ledger.add({key(tenant=OTHER): ONE})
    tomorrow = TODAY + timedelta(days=1)
    groups = await ledger.grouped(ACME, by=["user"], begins=TODAY, ends=tomorrow)
    assert len(groups) == 20
    assert {group.count for group in groups} == {UsageCount(calls=10, cost=Micro(70))}
    [total] = await ledger.grouped(ACME, by=["day"], begins=TODAY, ends=tomorrow)
    assert (total.by, total.count.cost) == ((TODAY.isoformat(),), 1_400)
    assert await ledger.grouped(ACME, by=["day"], begins=tomorrow, ends=tomorrow) == []


def test_an_answer_from_the_cache_is_told_with_what_it_saved() -> None:
    trail = Trail(
        request=RequestId("r"),
        account=Account(tenant=ACME, user=ANNA),
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
        started_at=datetime(2026, 11, 21, 23, tzinfo=UTC),
        cache="semantic",
        saved=Micro(400),
    )
    [(told, count)] = used_of_request(trail, answered=True).items()
    assert (told.day, told.model, told.user) == (TODAY, "", ANNA)
    assert count == UsageCount(requests=1, answers=1, cache_hits=1, saved=Micro(400))
    trail.cache = "miss"
    [count] = used_of_request(trail, answered=False).values()
    assert count == UsageCount(requests=1)


def test_a_request_counts_for_the_model_that_answered_it_not_for_one_that_judged() -> None:
    def attempt(model: str, step: str) -> Attempt:
        return Attempt(
            model=model,
            deployment=f"{model}/1",
            step=step,
            outcome="ok",
            usage=Usage(),
            estimated=False,
            cost=Micro(1),
            started_at=datetime(2026, 11, 21, tzinfo=UTC),
            first_token_ms=None,
            total_ms=1.0,
        )

    trail = Trail(
        request=RequestId("r"),
        account=Account(tenant=ACME, user=ANNA),
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
        attempts=[
            attempt("small", "rewrite"),
            attempt("large", "answer"),
            attempt("small", "judge"),
        ],
    )
    assert [told.model for told in used_of_request(trail, answered=True)] == ["large"]


# --- budgets as they are remembered --------------------------------------------------------------


def budget(tokens: int) -> Budget:
    return Budget(tenant=ACME, level=Level.TENANT, subject="", window=Window.DAY, tokens=tokens)


class Rules:
    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.budgets = [budget(1)]
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def of(self, tenant: TenantId) -> list[Budget]:
        assert tenant == ACME
        self.asked += 1
        found = list(self.budgets)
        await self.goes_on.wait()
        return found


async def test_budgets_are_remembered_for_two_seconds_and_no_longer() -> None:
    rules = Rules()
    known = KnownBudgets(rules.of, seconds=lambda: rules.now)
    await asyncio.gather(*(known.of(ACME) for _ in range(50)))
    assert rules.asked == 1
    rules.budgets = [budget(2)]
    rules.now = 1.9
    assert await known.of(ACME) == (budget(1),)
    rules.now = 2.0
    assert await known.of(ACME) == (budget(2),)


async def test_what_was_asked_for_before_a_change_is_not_remembered_after_it() -> None:
    rules = Rules()
    known = KnownBudgets(rules.of, seconds=lambda: rules.now)
    rules.goes_on.clear()
    asking = asyncio.create_task(known.of(ACME))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rules.budgets = [budget(2)]
    known.forget(ACME)
    rules.goes_on.set()
    await asking
    assert await known.of(ACME) == (budget(2),)


# --- what is read off the costs ------------------------------------------------------------------


def daily(*costs: int, last: date = TODAY) -> dict[date, Micro]:
    """Of days in a row, the last one `last`."""
    return {
        last - timedelta(days=len(costs) - 1 - place): Micro(cost)
        for place, cost in enumerate(costs)
    }


def test_a_month_goes_on_as_the_last_seven_whole_days_went() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    told = projection(daily(9_999, 10, 20, 10, 20, 10, 20, 15, 3), noon)
    assert told.spent == 9_999 + 105 + 3
    assert told.mean_of_days == 7
    assert told.projected == told.spent + 143


def test_a_month_that_has_just_begun_is_told_from_what_there_is() -> None:
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert projection({}, noon).projected == 0
    first = projection(daily(8, last=date(2026, 11, 1)), noon)
    assert (first.projected, first.mean_of_days) == (8, 0)
    second = projection(daily(100, 8, last=date(2026, 11, 1)), noon)
    assert (second.spent, second.projected) == (8, 8 + round(100 * 29.5))


def test_days_far_from_the_usual_stand_out_and_others_do_not() -> None:
    steady = [1_000, 1_020, 990, 1_010, 1_000, 1_030, 980, 1_000]
    costs = daily(*steady, 1_040, 5_000, 1_000, 0)
    begins, ends = TODAY - timedelta(days=3), TODAY + timedelta(days=1)
    told = unusual_days(costs, begins=begins, ends=ends)
    assert [(day.day, day.cost) for day in told] == [
        (TODAY - timedelta(days=2), 5_000),
        (TODAY, 0),
    ]
    assert told[0].z > 0 > told[1].z


def test_a_day_without_a_week_before_it_never_stands_out() -> None:
    costs = daily(10, 10, 10, 10, 10, 10, 99_999)
    ends = TODAY + timedelta(days=1)
    assert unusual_days(costs, begins=TODAY - timedelta(days=6), ends=ends) == []
