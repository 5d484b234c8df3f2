"""Claiming from the ledger: fair between sources and tenants, inside limits, on both databases."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from rag.access import TenantId
from rag.storage.database import Database
from rag.storage.jobs.leases import LONGEST_WAIT, Failure, Leases
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import Job, JobKind, JobState, NewJob
from rag.storage.sources.ledger import Sources
from rag.storage.sources.records import SourceState
from rag.types import SourceId
from tests.clock import Clock

LEASE = timedelta(seconds=60)
BUSY = Failure("SourceUnavailable", "it does not answer")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sources(database: Database) -> Sources:
    sources = Sources(database)
    for tenant, names in (("acme", ("big", "small")), ("beta", ("other",))):
        await sources.add_tenant(TenantId(tenant))
        for name in names:
            await sources.register(
                TenantId(tenant), kind="memory", name=name, settings={}, source=SourceId(name)
            )
    return sources


@pytest.fixture
def jobs(database: Database, clock: Clock, sources: Sources) -> Jobs:
    del sources  # they are registered first
    return Jobs(database, clock=clock)


@pytest.fixture
def leases(database: Database, clock: Clock) -> Leases:
    return Leases(database, clock=clock)


def upserts(source: str, number: int, *, tenant: str = "acme", priority: int = 50) -> list[NewJob]:
    return [
        NewJob(
            tenant=TenantId(tenant),
            source=SourceId(source),
            kind=JobKind.UPSERT,
            uri=f"{priority} {each}",
            priority=priority,
        )
        for each in range(number)
    ]


async def claimed(leases: Leases, number: int) -> list[Job]:
    return await leases.claim_some("worker", lease=LEASE, number=number)


async def done_one_by_one(leases: Leases, number: int) -> Counter[str]:
    served: Counter[str] = Counter()
    for _ in range(number):
        [job] = await claimed(leases, 1)
        served[job.source] += 1
        await leases.done(job, "done")
    return served


async def test_many_jobs_of_one_source_starve_no_other(jobs: Jobs, leases: Leases) -> None:
    await jobs.enqueue(upserts("big", 400))
    await done_one_by_one(leases, 5)
    await jobs.enqueue(upserts("small", 3))
    assert (await done_one_by_one(leases, 6))["small"] >= 2


async def test_shares_follow_the_weights_that_were_set(
    jobs: Jobs, leases: Leases, sources: Sources
) -> None:
    await sources.set_share(TenantId("acme"), SourceId("small"), weight=3, max_running=None)
    await jobs.enqueue(upserts("big", 60) + upserts("small", 60))
    served = await done_one_by_one(leases, 40)
    assert abs(served["small"] - 30) <= 2


async def test_tenants_share_alike_unless_the_operator_says_otherwise(
    jobs: Jobs, leases: Leases
) -> None:
    await jobs.enqueue(upserts("big", 60) + upserts("small", 60))
    await jobs.enqueue(upserts("other", 60, tenant="beta"))
    served = await done_one_by_one(leases, 20)
    assert abs(served["other"] - 10) <= 1
    weighed = replace(leases, tenant_weights={TenantId("beta"): 4.0})
    assert abs((await done_one_by_one(weighed, 40))["other"] - 32) <= 3


async def test_several_are_claimed_in_one_go_in_the_order_of_their_turns(
    jobs: Jobs, leases: Leases
) -> None:
    await jobs.enqueue(upserts("big", 5) + upserts("small", 5, priority=20))
    together = await claimed(leases, 8)
    assert [job.source for job in together] == ["small"] * 5 + ["big"] * 3
    assert len({job.id for job in together}) == 8
    assert len(await claimed(leases, 8)) == 2
    assert await claimed(leases, 8) == []


async def test_a_source_runs_no_more_jobs_at_a_time_than_it_may(
    jobs: Jobs, leases: Leases, sources: Sources
) -> None:
    await sources.set_share(TenantId("acme"), SourceId("big"), weight=1, max_running=2)
    await jobs.enqueue(upserts("big", 10) + upserts("small", 3))
    running = await claimed(leases, 8)
    assert Counter(job.source for job in running) == {"big": 2, "small": 3}
    assert await claimed(leases, 8) == []
    await leases.done(next(job for job in running if job.source == "big"), "done")
    assert [job.source for job in await claimed(leases, 8)] == ["big"]


async def test_what_waits_or_is_paused_stands_in_nobodys_way(
    jobs: Jobs, leases: Leases, sources: Sources, clock: Clock
) -> None:
    await jobs.enqueue(upserts("big", 20))
    for job in await claimed(leases, 20):
        await leases.wait(job, BUSY, delay=timedelta(minutes=5))
    await jobs.enqueue(upserts("other", 2, tenant="beta") + upserts("small", 2))
    await sources.set_state(TenantId("acme"), SourceId("small"), SourceState.PAUSED)
    assert {job.source for job in await claimed(leases, 8)} == {"other"}
    clock.now += timedelta(minutes=5)
    assert {job.source for job in await claimed(leases, 30)} == {"big"}


async def test_a_job_that_is_replaced_keeps_its_place_in_line(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    await jobs.enqueue(upserts("big", 2))
    clock.now += timedelta(seconds=1)
    await jobs.enqueue([replace(upserts("big", 1)[0], payload={"revision": "2"})])
    clock.now += timedelta(seconds=1)
    first, second = await claimed(leases, 2)
    assert {first.uri, second.uri} == {"50 0", "50 1"}
    assert first.created_at == second.created_at


# --- clocks that jump --------------------------------------------------------------------------


async def test_a_lease_from_before_the_clock_was_set_back_does_not_hold_for_a_year(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    await jobs.enqueue(upserts("big", 1))
    [lost] = await claimed(leases, 1)
    clock.now -= timedelta(days=365)
    assert await leases.sweep(lease=LEASE) == 0, "whoever is still alive may go on"
    clock.now += LEASE * 1.1
    assert await leases.sweep(lease=LEASE) == 1
    [again] = await claimed(leases, 1)
    assert (again.id, again.attempts) == (lost.id, 2)


async def test_a_wait_from_before_the_clock_was_set_back_ends_within_a_day(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    await jobs.enqueue(upserts("big", 1))
    [job] = await claimed(leases, 1)
    await leases.wait(job, BUSY, delay=timedelta(days=400))
    assert (await jobs.get(TenantId("acme"), job.id)).not_before == clock.now + LONGEST_WAIT
    clock.now -= timedelta(days=365)
    await leases.sweep(lease=LEASE)
    clock.now += LONGEST_WAIT
    assert [each.id for each in await claimed(leases, 1)] == [job.id]


async def test_a_clock_that_leaps_ahead_takes_the_job_from_its_worker_which_then_writes_nothing(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    await jobs.enqueue(upserts("big", 1))
    [slow] = await claimed(leases, 1)
    clock.now += timedelta(days=1)
    await leases.sweep(lease=LEASE)
    [fresh] = await claimed(leases, 1)
    assert not await leases.done(slow, "late")
    assert await leases.done(fresh, "done")
    assert (await jobs.counts())[JobState.DONE] == 1
