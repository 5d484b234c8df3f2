"""What whoever counts tokens in windows promises: in one process, and in Redis."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.access import TenantId
from rag.adapters.redis_token_rates import open_redis_token_rates
from rag.errors import RateLimited
from rag.gateway.token_rates import LocalTokenRates, TokenRate, TokenRates
from tests.budgets import ACME, OTHER
from tests.clock import Clock
from tests.ports import free_port

MINUTE = timedelta(minutes=1)


def rate(
    tokens: int, *, whose: str = "user", subject: str = "user:1", tenant: TenantId = ACME
) -> TokenRate:
    return TokenRate(tenant=tenant, whose=whose, subject=subject, tokens=tokens, window=MINUTE)


@pytest.fixture(params=["process", "redis"])
async def rates(request: pytest.FixtureRequest, clock: Clock) -> AsyncGenerator[TokenRates]:
    if request.param == "process":
        yield LocalTokenRates(clock)
        return
    url = str(request.getfixturevalue("redis_url")).removesuffix("0")
    async with open_redis_token_rates(f"{url}8", clock=clock) as shared:
        await shared.client.flushdb()
        yield shared


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_so_many_tokens_are_taken_and_no_more(rates: TokenRates, clock: Clock) -> None:
    mine = [rate(100)]
    await rates.take("a", mine, 60)
    clock.advance(seconds=20)
    await rates.take("b", mine, 40)
    with pytest.raises(RateLimited) as caught:
        await rates.take("c", mine, 50)
    assert caught.value.retry_after_s == 40
    with pytest.raises(RateLimited) as caught:
        await rates.take("c", mine, 61)
    assert caught.value.retry_after_s == 60
    clock.advance(seconds=40)
    await rates.take("c", mine, 60)


async def test_a_call_that_never_fits_is_not_told_to_wait(rates: TokenRates) -> None:
    with pytest.raises(RateLimited) as caught:
        await rates.take("a", [rate(100)], 101)
    assert caught.value.retry_after_s is None


async def test_a_call_counts_in_all_of_its_windows_or_in_none(rates: TokenRates) -> None:
    user, tenant = rate(100), rate(150, whose="tenant", subject="")
    other = rate(100, subject="user:2")
    await rates.take("a", [user, tenant], 90)
    with pytest.raises(RateLimited, match="tenant"):
        await rates.take("b", [other, tenant], 70)
    await rates.take("c", [other], 100)
    await rates.take("d", [rate(100, tenant=OTHER)], 100)


async def test_what_was_taken_is_put_right_afterwards(rates: TokenRates, clock: Clock) -> None:
    mine = [rate(100)]
    await rates.take("a", mine, 100)
    await rates.correct("a", mine, 30)
    await rates.take("b", mine, 70)
    await rates.correct("b", mine, 90)
    with pytest.raises(RateLimited):
        await rates.take("c", mine, 1)
    clock.advance(minutes=1)
    await rates.correct("a", mine, 500)
    await rates.take("c", mine, 100)


async def test_many_at_once_take_no_more_than_there_is(rates: TokenRates) -> None:
    async def take(number: int) -> bool:
        try:
            await rates.take(f"call {number}", [rate(1_000)], 10)
        except RateLimited:
            return False
        return True

    assert sum(await asyncio.gather(*map(take, range(150)))) == 100


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 60), st.none() | st.integers(0, 80)),
        max_size=40,
    )
)
@settings(max_examples=60)
def test_no_stretch_of_a_window_ever_holds_more_than_it_takes(
    calls: list[tuple[int, int, int | None]],
) -> None:
    """A call is made exactly when there is room, by what was put right until then."""

    async def run() -> None:
        clock = Clock()
        local, counted = LocalTokenRates(clock), deque[list[object]]()
        for seconds, tokens, actual in calls:
            clock.advance(seconds=seconds)
            within = [each for each in counted if _began(each) > clock() - MINUTE]
            room = sum(_tokens(each) for each in within) + tokens <= 100
            name = uuid.uuid4().hex
            try:
                await local.take(name, [rate(100)], tokens)
            except RateLimited:
                assert not room
                continue
            assert room
            counted.append([clock(), tokens])
            if actual is not None:
                await local.correct(name, [rate(100)], actual)
                counted[-1][1] = actual

    asyncio.run(run())


def _began(call: list[object]) -> datetime:
    assert isinstance(call[0], datetime)
    return call[0]


def _tokens(call: list[object]) -> int:
    assert isinstance(call[1], int)
    return call[1]


async def test_without_redis_each_process_counts_for_itself(clock: Clock) -> None:
    address = f"redis://127.0.0.1:{free_port()}/0"
    async with open_redis_token_rates(address, clock=clock) as rates:
        await rates.take("a", [rate(100)], 90)
        with pytest.raises(RateLimited):
            await rates.take("b", [rate(100)], 20)
        await rates.correct("a", [rate(100)], 10)
        await rates.take("b", [rate(100)], 90)
