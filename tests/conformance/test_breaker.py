"""What every circuit breaker promises, in one process or shared over Redis."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from rag.adapters.redis_breaker import RedisBreaker, open_redis_breaker
from rag.gateway.breaker import Breaker, BreakerPolicy, Circuit, LocalBreaker, NotNow, Permit
from tests.ports import free_port

POLICY = BreakerPolicy(
    window_s=10,
    slices=10,
    failure_share=0.5,
    minimum_calls=4,
    open_s=5,
    probes=2,
    probe_lease_s=20,
)


@dataclass
class Seconds:
    """A clock that a test sets."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture(name="redis_breakers")
async def breakers_over_redis(
    redis_url: str, clock: Seconds
) -> AsyncGenerator[Callable[[], RedisBreaker]]:
    """Makes breakers of as many processes as a test likes, which share their circuits."""
    made: list[RedisBreaker] = []
    prefix = f"test:{random.randbytes(8).hex()}:"

    def make() -> RedisBreaker:
        redis = Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]
        made.append(RedisBreaker(redis, POLICY, prefix=prefix, now=clock))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


@pytest.fixture(name="breaker", params=["local", "redis"])
def any_breaker(request: pytest.FixtureRequest, clock: Seconds) -> Breaker:
    if request.param == "local":
        return LocalBreaker(POLICY, now=clock)
    make: Callable[[], Breaker] = request.getfixturevalue("redis_breakers")
    return make()


async def permit(breaker: Breaker, deployment: str = "one") -> Permit:
    given = await breaker.admit(deployment)
    assert isinstance(given, Permit)
    return given


async def call(breaker: Breaker, *, ok: bool, times: int = 1, deployment: str = "one") -> None:
    for _ in range(times):
        await breaker.report(await permit(breaker, deployment), ok=ok)


async def opened(breaker: Breaker) -> None:
    await call(breaker, ok=False, times=POLICY.minimum_calls)
    assert await breaker.circuit("one") is Circuit.OPEN


async def test_a_deployment_that_nobody_knows_may_be_called(breaker: Breaker) -> None:
    assert isinstance(await breaker.admit("never seen"), Permit)
    assert await breaker.circuit("never seen") is Circuit.CLOSED


async def test_too_few_failures_prove_nothing(breaker: Breaker) -> None:
    await call(breaker, ok=False, times=POLICY.minimum_calls - 1)

    assert await breaker.circuit("one") is Circuit.CLOSED


async def test_enough_failures_open_the_circuit_of_that_deployment_alone(breaker: Breaker) -> None:
    await opened(breaker)

    assert await breaker.admit("one") == NotNow(POLICY.open_s)
    assert isinstance(await breaker.admit("two"), Permit)


async def test_failures_below_their_share_are_borne(breaker: Breaker) -> None:
    await call(breaker, ok=True, times=5)
    await call(breaker, ok=False, times=4)

    assert await breaker.circuit("one") is Circuit.CLOSED
    await call(breaker, ok=False)
    assert await breaker.circuit("one") is Circuit.OPEN


async def test_failures_that_the_window_has_left_behind_are_forgotten(
    breaker: Breaker, clock: Seconds
) -> None:
    await call(breaker, ok=False, times=POLICY.minimum_calls - 1)
    clock.now += POLICY.window_s + 1
    await call(breaker, ok=False, times=POLICY.minimum_calls - 1)
    assert await breaker.circuit("one") is Circuit.CLOSED

    clock.now += POLICY.window_s / 2
    await call(breaker, ok=False)
    assert await breaker.circuit("one") is Circuit.OPEN


async def test_a_circuit_that_was_open_long_enough_admits_exactly_its_probes(
    breaker: Breaker, clock: Seconds
) -> None:
    await opened(breaker)
    clock.now += POLICY.open_s
    assert await breaker.circuit("one") is Circuit.HALF_OPEN

    given = await asyncio.gather(*(breaker.admit("one") for _ in range(20)))

    assert sum(isinstance(each, Permit) for each in given) == POLICY.probes


async def test_as_many_good_probes_close_the_circuit(breaker: Breaker, clock: Seconds) -> None:
    await opened(breaker)
    clock.now += POLICY.open_s
    probes = [await permit(breaker) for _ in range(POLICY.probes)]

    await breaker.report(probes[0], ok=True)
    assert await breaker.circuit("one") is Circuit.HALF_OPEN
    await breaker.report(probes[1], ok=True)

    assert await breaker.circuit("one") is Circuit.CLOSED
    await call(breaker, ok=False, times=POLICY.minimum_calls - 1)
    assert await breaker.circuit("one") is Circuit.CLOSED, "what was before is forgotten"


async def test_one_bad_probe_opens_it_again(breaker: Breaker, clock: Seconds) -> None:
    await opened(breaker)
    clock.now += POLICY.open_s
    first, second = await permit(breaker), await permit(breaker)

    await breaker.report(first, ok=False)
    await breaker.report(second, ok=True)

    assert await breaker.circuit("one") is Circuit.OPEN
    clock.now += POLICY.open_s
    await call(breaker, ok=True)
    assert await breaker.circuit("one") is Circuit.HALF_OPEN, "the old probe's success is no news"


async def test_a_probe_reported_twice_counts_once(breaker: Breaker, clock: Seconds) -> None:
    await opened(breaker)
    clock.now += POLICY.open_s
    probe = await permit(breaker)

    await breaker.report(probe, ok=True)
    await breaker.report(probe, ok=True)

    assert await breaker.circuit("one") is Circuit.HALF_OPEN


async def test_a_released_probe_makes_room_and_proves_nothing(
    breaker: Breaker, clock: Seconds
) -> None:
    await opened(breaker)
    clock.now += POLICY.open_s
    probes = [await permit(breaker) for _ in range(POLICY.probes)]
    assert isinstance(await breaker.admit("one"), NotNow)

    await breaker.release(probes[0])

    assert await breaker.circuit("one") is Circuit.HALF_OPEN
    assert isinstance(await breaker.admit("one"), Permit)
    assert isinstance(await breaker.admit("one"), NotNow)


async def test_a_probe_that_never_comes_back_makes_room_when_its_lease_ends(
    breaker: Breaker, clock: Seconds
) -> None:
    await opened(breaker)
    clock.now += POLICY.open_s
    lost = [await permit(breaker) for _ in range(POLICY.probes)]
    assert await breaker.admit("one") == NotNow(POLICY.open_s), "they may be back long before"
    clock.now += POLICY.probe_lease_s - 1
    assert await breaker.admit("one") == NotNow(1)

    clock.now += 1
    await call(breaker, ok=True, times=1)

    await breaker.report(lost[0], ok=True)
    assert await breaker.circuit("one") is Circuit.HALF_OPEN


async def test_calls_that_were_under_way_when_it_opened_change_nothing(
    breaker: Breaker, clock: Seconds
) -> None:
    late = [await permit(breaker) for _ in range(8)]
    await opened(breaker)

    for each in late[:4]:
        await breaker.report(each, ok=True)
    for each in late[4:]:
        await breaker.report(each, ok=False)

    clock.now += POLICY.open_s
    assert await breaker.circuit("one") is Circuit.HALF_OPEN


async def test_calls_from_before_it_opened_prove_nothing_once_it_has_closed_again(
    breaker: Breaker, clock: Seconds
) -> None:
    late = [await permit(breaker) for _ in range(POLICY.minimum_calls)]
    await opened(breaker)
    clock.now += POLICY.open_s
    await call(breaker, ok=True, times=POLICY.probes)
    assert await breaker.circuit("one") is Circuit.CLOSED

    for each in late:
        await breaker.report(each, ok=False)
    assert await breaker.circuit("one") is Circuit.CLOSED


async def test_a_cooldown_is_kept_to_its_end_and_is_no_failure(
    breaker: Breaker, clock: Seconds
) -> None:
    await breaker.cool_down("one", seconds=7)
    await breaker.cool_down("one", seconds=3)

    assert await breaker.admit("one") == NotNow(7)
    assert await breaker.circuit("one") is Circuit.CLOSED
    assert isinstance(await breaker.admit("two"), Permit)
    clock.now += 7
    assert isinstance(await breaker.admit("one"), Permit)


# --- whoever is cancelled gives back what it had ---------------------------------------------------


async def test_who_is_cancelled_while_it_asks_keeps_no_probe(
    breaker: Breaker, clock: Seconds
) -> None:
    await opened(breaker)
    clock.now += POLICY.open_s
    for steps in range(60):
        asking = asyncio.create_task(breaker.admit("one"))
        for _ in range(steps):
            await asyncio.sleep(0)
        if not asking.cancel():
            given = await asking
            if isinstance(given, Permit):
                await breaker.release(given)
        await asyncio.gather(asking, return_exceptions=True)
    await all_probes_are_there(breaker)


async def test_who_is_cancelled_while_it_tells_how_a_probe_went_gives_it_back(
    breaker: Breaker, clock: Seconds
) -> None:
    await opened(breaker)
    clock.now += POLICY.open_s
    for steps in range(30):
        probe = await permit(breaker)
        telling = asyncio.create_task(breaker.release(probe))
        for _ in range(steps % 6 + 1):
            await asyncio.sleep(0)
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await breaker.release(await next_probe(breaker))
    await all_probes_are_there(breaker)


async def all_probes_are_there(breaker: Breaker) -> None:
    for _ in range(POLICY.probes):
        await next_probe(breaker)


async def next_probe(breaker: Breaker) -> Permit:
    """As soon as there is room for it."""
    async with asyncio.timeout(10):
        while isinstance(given := await breaker.admit("one"), NotNow):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
    return given


# --- shared over Redis -------------------------------------------------------------------------


async def test_what_one_process_found_out_the_others_know(
    redis_breakers: Callable[[], RedisBreaker], clock: Seconds
) -> None:
    one, two = redis_breakers(), redis_breakers()

    await opened(one)

    assert isinstance(await two.admit("one"), NotNow)
    clock.now += POLICY.open_s
    given = await asyncio.gather(*(each.admit("one") for each in (one, two) for _ in range(20)))
    assert sum(isinstance(each, Permit) for each in given) == POLICY.probes


@pytest.mark.parametrize("seed", range(8))
async def test_the_shared_breaker_decides_as_the_local_one_does(
    redis_breakers: Callable[[], RedisBreaker], clock: Seconds, seed: int
) -> None:
    """A random life of one deployment: the local breaker is the reference."""
    chance = random.Random(seed)
    shared, local = redis_breakers(), LocalBreaker(POLICY, now=clock)
    under_way: list[tuple[Permit, Permit]] = []
    for step in range(150):
        clock.now += chance.choice((0, 0, 0.25, 1, 5))
        match chance.choice(("admit", "admit", "report", "report", "release", "cool")):
            case "admit":
                theirs, ours = await shared.admit("one"), await local.admit("one")
                assert isinstance(theirs, Permit) == isinstance(ours, Permit), step
                if isinstance(theirs, Permit) and isinstance(ours, Permit):
                    assert bool(theirs.probe) == bool(ours.probe), step
                    under_way.append((theirs, ours))
            case "report" if under_way:
                theirs, ours = under_way.pop(chance.randrange(len(under_way)))
                ok = chance.random() < 0.5
                await shared.report(theirs, ok=ok)
                await local.report(ours, ok=ok)
            case "release" if under_way:
                theirs, ours = under_way.pop(chance.randrange(len(under_way)))
                await shared.release(theirs)
                await local.release(ours)
            case "cool" if chance.random() < 0.1:
                await shared.cool_down("one", seconds=2)
                await local.cool_down("one", seconds=2)
            case _:
                pass
        assert await shared.circuit("one") == await local.circuit("one"), step


async def test_without_redis_each_process_decides_for_itself_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    breaker = open_redis_breaker(f"redis://127.0.0.1:{free_port()}/0", POLICY)
    try:
        await call(breaker, ok=False, times=POLICY.minimum_calls)
        assert isinstance(await breaker.admit("one"), NotNow)
    finally:
        await breaker.aclose()

    assert "this process alone" in caplog.text


async def test_a_cooldown_outlives_what_is_counted(redis_url: str, clock: Seconds) -> None:
    redis = Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]
    prefix = f"test:{random.randbytes(8).hex()}:"
    brief = BreakerPolicy(window_s=1, open_s=1)
    breaker = RedisBreaker(redis, brief, prefix=prefix, now=clock)
    try:
        under_way = await permit(breaker)
        await breaker.cool_down("one", seconds=600)
        await breaker.report(under_way, ok=True)
        assert await redis.ttl(f"{prefix}one") > 600
    finally:
        await breaker.aclose()


async def test_redis_own_clock_serves_where_none_is_given(redis_url: str) -> None:
    breaker = open_redis_breaker(redis_url, POLICY)
    deployment = random.randbytes(8).hex()
    try:
        await call(breaker, ok=False, times=POLICY.minimum_calls, deployment=deployment)
        refused = await breaker.admit(deployment)
    finally:
        await breaker.aclose()

    assert isinstance(refused, NotNow) and 0 < refused.retry_after_s <= POLICY.open_s
