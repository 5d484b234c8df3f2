"""Whoever reserves, settles, comes twice, comes late or is killed: every limit's sums are right, on
each store."""

import asyncio
import shutil
import uuid
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rag.access import TenantId
from rag.errors import OverBudget
from rag.gateway.budgets import (
    NOTHING,
    Amount,
    Level,
    Limit,
    Reservation,
    ReservationId,
    Swept,
    Window,
)
from tests.budgets import ACME, ANNA, STORES, Store, amount, limit, open_budgets
from tests.clock import Clock

LEASE = timedelta(minutes=10)
LIMITS = (
    limit(money=1_000, tokens=900),
    limit(Level.TEAM, "group:a", money=500),
    limit(Level.USER, ANNA, tokens=300),
    limit(Level.USER, ANNA, money=400, window=Window.MONTH),
)
AMOUNTS = st.builds(amount, st.integers(0, 300), st.integers(0, 200))
_T = TypeVar("_T")


class Spending(RuleBasedStateMachine):
    """`held` is what its callers know to hold; `open` what the store has not given back."""

    store: Store
    new_database: Callable[[], str]
    redis_url: str | None

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        # One Redis serves every run: each has a tenant of its own.
        self.tenant = TenantId(f"{ACME}-{uuid.uuid4().hex}")
        self.limits = tuple(
            limit(
                each.level,
                each.subject,
                money=each.money,
                tokens=each.tokens,
                window=each.window,
                tenant=self.tenant,
            )
            for each in LIMITS
        )
        self.opened = open_budgets(self.new_database(), self.redis_url, self.clock)
        self.budgets = self.wait_for(self.opened.__aenter__()).budgets
        self.spent: dict[Limit, Amount] = dict.fromkeys(self.limits, NOTHING)
        self.open: dict[ReservationId, Reservation] = {}
        self.held: list[Reservation] = []
        self.settled: list[Reservation] = []

    def wait_for(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        self.everything_ends()
        self.wait_for(self.opened.__aexit__(None, None, None))
        self.loop.close()

    def reserved(self, of: Limit) -> Amount:
        return sum((each.amount for each in self.open.values() if of in each.limits), start=NOTHING)

    # --- what happens -----------------------------------------------------------------------------

    @rule(most=AMOUNTS, chosen=st.sets(st.integers(0, len(LIMITS) - 1), min_size=1))
    def reserve(self, most: Amount, chosen: set[int]) -> None:
        limits = tuple(self.limits[number] for number in sorted(chosen))
        wanted = Reservation(
            id=ReservationId(uuid.uuid4().hex),
            tenant=self.tenant,
            limits=limits,
            amount=most,
            expires_at=self.clock() + LEASE,
        )
        has_room = all(
            each.has_room(self.spent[each] + self.reserved(each) + most) for each in limits
        )
        try:
            self.wait_for(self.budgets.reserve(wanted))
        except OverBudget:
            assert not has_room
        else:
            assert has_room
            self.open[wanted.id] = wanted
            self.held.append(wanted)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), actual=AMOUNTS)
    def settle(self, data: st.DataObject, actual: Amount) -> None:
        """In time or late, with less or more than was held."""
        ended = data.draw(st.sampled_from(self.held))
        self.held.remove(ended)
        self.settled.append(ended)
        self.open.pop(ended.id, None)
        for each in ended.limits:
            self.spent[each] += actual
        told = self.wait_for(self.budgets.settle(ended, actual))
        assert [(each.limit, each.spent, each.reserved) for each in told] == [
            (each, self.spent[each], self.reserved(each)) for each in ended.limits
        ]

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        ended = data.draw(st.sampled_from(self.held))
        self.held.remove(ended)
        self.settled.append(ended)
        self.open.pop(ended.id, None)
        self.wait_for(self.budgets.settle(ended, NOTHING))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def is_killed(self, data: st.DataObject) -> None:
        """Nobody will settle it."""
        self.held.remove(data.draw(st.sampled_from(self.held)))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def asks_twice(self, data: st.DataObject) -> None:
        self.wait_for(self.budgets.reserve(data.draw(st.sampled_from(self.held))))

    @precondition(lambda self: self.settled)
    @rule(data=st.data(), actual=AMOUNTS)
    def comes_again(self, data: st.DataObject, actual: Amount) -> None:
        """What was settled is neither held nor counted once more."""
        ended = data.draw(st.sampled_from(self.settled))
        self.wait_for(self.budgets.reserve(ended))
        assert list(self.wait_for(self.budgets.settle(ended, actual))) == []

    @rule(minutes=st.integers(1, 15))
    def time_goes_by(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        expired = [each for each in self.open.values() if each.expires_at <= self.clock()]
        swept = self.wait_for(self.budgets.sweep(self.tenant))
        total = sum((each.amount for each in expired), start=NOTHING)
        assert swept == Swept(len(expired), total)
        for each in expired:
            del self.open[each.id]

    # --- what holds -------------------------------------------------------------------------------

    @invariant()
    def every_sum_is_right(self) -> None:
        told = self.wait_for(self.budgets.standing(self.limits))
        assert [(each.spent, each.reserved) for each in told] == [
            (self.spent[each], self.reserved(each)) for each in self.limits
        ]

    def everything_ends(self) -> None:
        """However many were killed: with time, nothing is held any more."""
        self.clock.advance(days=1)
        self.wait_for(self.budgets.sweep(self.tenant))
        told = self.wait_for(self.budgets.standing(self.limits))
        assert [each.reserved for each in told] == [NOTHING] * len(self.limits)


@pytest.mark.parametrize(("store", "examples"), list(zip(STORES, (15, 6, 20), strict=True)))
def test_every_sum_is_right_whatever_happens(
    store: Store,
    examples: int,
    sqlite_template: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    runs = iter(range(10_000))

    def new_file() -> str:
        path = tmp_path / f"{next(runs)}.db"
        shutil.copy(sqlite_template, path)
        return f"sqlite:///{path}"

    machine = type("SpendingOn" + store, (Spending,), {})
    machine.new_database = staticmethod(new_file)
    machine.redis_url = None
    if store == "postgresql":
        url = str(request.getfixturevalue("postgres_database_url"))
        machine.new_database = staticmethod(lambda: url)
    elif store == "redis":
        machine.redis_url = str(request.getfixturevalue("redis_url"))
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=30)
    )
