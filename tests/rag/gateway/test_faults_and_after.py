"""What faults leave behind, at every place of a chain: in circuits, in budgets, in an answer of JSON."""

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from rag.errors import ModelUnavailable, PermanentError
from rag.gateway.accounting import AccountedGateway
from rag.gateway.batched_usage import BatchedUsage
from rag.gateway.breaker import Circuit, Permit
from rag.gateway.budgets import NOTHING, Budget, Level, Window, limits_of
from rag.gateway.catalogue import Catalogue
from rag.gateway.known_budgets import KnownBudgets
from rag.gateway.money import MICROS, Micro
from rag.storage.database import Database
from rag.storage.money.alerts import Alerts
from rag.storage.money.budgets import BudgetLedger
from rag.storage.money.counters import DatabaseBudgets
from rag.storage.money.usage import UsageLedger
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
    a_model,
    a_trail,
    gateway_over,
    receive,
    received,
    wires,
)
from tests.rag.gateway.test_fault_matrix import (
    COUNTS,
    FAULTS,
    GOOD,
    HURRIED,
    QUICK,
    SCHEMA,
    Fault,
)
from tests.scripted_upstream import (
    Reply,
    Says,
    ScriptedUpstream,
    Status,
    refused_address,
    scripted_upstream,
)

DEEP = Says("Very deep.", COUNTS)


def _id(fault: Fault) -> str:
    return fault.name


class Chain:
    """A chain over scripts, of which None is an address where nothing listens."""

    def __init__(self, *scripts: Reply | None, slow: bool = False) -> None:
        self._scripts = scripts
        self._policy = HURRIED if slow else QUICK
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> tuple[Chained, list[ScriptedUpstream | None]]:
        peers = [
            None
            if reply is None
            else await self._stack.enter_async_context(scripted_upstream(reply))
            for reply in self._scripts
        ]
        names = "abc"[: len(peers)]
        addresses = {
            f"{name}_1": refused_address() if peer is None else peer.base_url
            for name, peer in zip(names, peers, strict=True)
        }
        opened = await self._stack.enter_async_context(wires(**addresses))
        return gateway_over([a_model(name) for name in names], opened, policy=self._policy), peers

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()


# --- circuits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_a_deployment_whose_circuit_is_open_is_not_called_wherever_it_stands(
    position: int,
) -> None:
    scripts = (*[Status(500)] * position, *[DEEP] * (3 - position))
    trail = a_trail()
    async with Chain(*scripts) as (chained, peers):
        name = f"{'abc'[position]}-1"
        for _ in range(5):
            permit = await chained.breaker.breaker.admit(name)
            assert isinstance(permit, Permit)
            await chained.breaker.breaker.report(permit, ok=False)
        assert await chained.breaker.circuit(name) is Circuit.OPEN
        if position < 2:
            answer = await received(chained.gateway, trail=trail)
            assert answer.completion.deployment == f"{'abc'[position + 1]}-1"
        else:
            with pytest.raises(ModelUnavailable) as caught:
                await received(chained.gateway, trail=trail)
            assert caught.value.fault == "server_error"
            assert caught.value.retry_after_s is not None
        peer = peers[position]
        assert peer is not None and peer.calls == 0

    assert chained.breaker.refused == [name]
    assert name not in {attempt.deployment for attempt in trail.attempts}
    assert trail.usage == (Usage(20, 5) if position < 2 else Usage())


@pytest.mark.parametrize("fault", [each for each in FAULTS if not each.slow], ids=_id)
async def test_a_fault_that_goes_on_opens_the_circuit_unless_it_is_none_of_the_deployments(
    fault: Fault,
) -> None:
    """To be busy is none, and neither is an answer in another form."""
    good = Says(GOOD if fault.schema else "Very deep.", COUNTS)
    prompt = replace(PROMPT, response_schema=SCHEMA if fault.schema else None)
    async with Chain(fault.reply, good) as (chained, [first, _]):
        for _ in range(5):
            await received(chained.gateway, a_call(prompt))
        opens = fault.news == "failed"
        expected = Circuit.OPEN if opens else Circuit.CLOSED
        assert await chained.breaker.circuit("a-1") is expected
        before = len(chained.breaker.admitted)
        called = 0 if first is None else first.calls
        answer = await received(chained.gateway, a_call(prompt))
        assert answer.text == good.text
        if opens:
            assert chained.breaker.admitted[before:] == ["b-1"]
            assert first is None or first.calls == called


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("status", [400, 413, 422, 401, 403, 404])
async def test_a_refusal_at_any_place_of_the_chain_is_asked_once_and_costs_nothing(
    status: int, position: int
) -> None:
    scripts = (*[Status(500)] * position, Status(status), *[DEEP] * (2 - position))
    of_the_request = status in {400, 413, 422}
    trail, name = a_trail(), f"{'abc'[position]}-1"
    async with Chain(*scripts) as (chained, peers):
        if position < 2:
            assert (await received(chained.gateway, trail=trail)).text == "Very deep."
        else:
            # Those before it failed: they may take the same request later.
            with pytest.raises(ModelUnavailable):
                await received(chained.gateway, trail=trail)
        peer = peers[position]
        assert peer is not None and peer.calls == 1

    refused = [each for each in trail.attempts if each.deployment == name]
    assert [(each.outcome, each.usage, each.cost) for each in refused] == [("rejected", Usage(), 0)]
    told = [news for deployment, news in chained.breaker.news if deployment == name]
    assert told == ["ok" if of_the_request else "failed"]
    assert trail.cost == (PRICE.cost(Usage(20, 5)) if position < 2 else 0)


async def test_only_where_all_refuse_it_is_the_request_at_fault() -> None:
    async with Chain(Status(400), Status(413), Status(422)) as (chained, _):
        with pytest.raises(PermanentError):
            await received(chained.gateway)


@pytest.mark.parametrize("status", [408, 409, 425, 502, 503, 504])
async def test_statuses_that_pass_are_server_errors(status: int) -> None:
    trail = a_trail()
    async with Chain(Status(status, retry_after="3"), DEEP) as (chained, _):
        assert (await received(chained.gateway, trail=trail)).text == "Very deep."
    assert [each.outcome for each in trail.attempts] == ["server_error", "ok"]
    assert chained.breaker.news[:2] == [("a-1", "failed"), ("a-1", "cool down 3 s")]


# --- JSON --------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("fault", [each for each in FAULTS if not each.schema], ids=_id)
async def test_of_an_answer_in_json_nothing_is_released_before_it_is_whole(
    fault: Fault, position: int
) -> None:
    good = Says(GOOD, COUNTS)
    scripts: list[Reply | None] = [Status(500)] * position + [fault.reply] + [good] * (2 - position)
    call, trail, heard = a_call(replace(PROMPT, response_schema=SCHEMA)), a_trail(), Received()
    async with Chain(*scripts, slow=fault.slow) as (chained, _):
        if position < 2:
            await receive(chained.gateway, heard, call, trail)
            assert heard.text == GOOD
        else:
            with pytest.raises(ModelUnavailable) as caught:
                await receive(chained.gateway, heard, call, trail)
            assert caught.value.fault == fault.outcome
            assert heard.pieces == []
    assert heard.restarts == []
    outcomes = [each.outcome for each in trail.attempts if each.model == "abc"[position]]
    assert outcomes == [fault.outcome] * fault.attempts


# --- budgets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("fault", FAULTS, ids=_id)
async def test_what_a_budget_counts_is_what_the_attempts_cost_and_nothing_stays_held(
    sqlite_database: Database, fault: Fault, position: int
) -> None:
    good = Says(GOOD if fault.schema else "Very deep.", COUNTS)
    scripts = [fault.reply, good] if position == 0 else [Status(500), fault.reply]
    call = a_call(replace(PROMPT, response_schema=SCHEMA if fault.schema else None))
    clock = Clock()
    budget = Budget(
        tenant=ACCOUNT.tenant,
        level=Level.TENANT,
        subject="",
        window=Window.DAY,
        money=Micro(100 * MICROS),
    )
    rules, usage = BudgetLedger(sqlite_database), UsageLedger(sqlite_database)
    await rules.put(budget)
    budgets = DatabaseBudgets(sqlite_database, clock)
    trail = replace(a_trail(), started_at=clock())
    async with Chain(*scripts, slow=fault.slow) as (chained, _):
        gateway = AccountedGateway(
            chained.gateway,
            routes=FixedRoutes(chained.models),
            catalogue=Catalogue(models=chained.models, ceiling=CEILING),
            known=KnownBudgets(rules.of),
            budgets=budgets,
            usage=BatchedUsage(usage),
            alerts=Alerts(sqlite_database, clock),
            clock=clock,
        )
        try:
            await received(gateway, call, trail)
        except ModelUnavailable:
            assert position == 1

    limits = limits_of(
        [budget], ACCOUNT, use_case=call.use_case, request=call.request, moment=clock()
    )
    [standing] = await budgets.standing(limits)
    assert standing.reserved == NOTHING
    assert standing.spent.money == trail.cost == sum(each.cost for each in trail.attempts)
    day = clock().date()
    [line] = await usage.grouped(
        ACCOUNT.tenant, by=("user",), begins=day, ends=day + timedelta(days=1)
    )
    assert (line.count.cost, line.count.calls) == (trail.cost, len(trail.attempts))
