"""Every state that is not over has an age, a reason in words, and something that ends it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rag.access import TenantId
from rag.errors import InvalidRequest
from rag.storage.database import Database
from rag.storage.jobs.depth import queue_depth
from rag.storage.jobs.failures import Failures
from rag.storage.jobs.leases import Failure, Leases
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import Job, JobId, JobKind, JobState, NewJob, Urgency
from rag.storage.jobs.situations import Cause, Situation, Situations
from rag.storage.jobs.workers import WorkDone, Worker, Workers
from rag.storage.sources.ledger import Sources
from rag.storage.sources.records import SourceState
from rag.types import SourceId
from tests.clock import Clock

TENANT, SOURCE = TenantId("acme"), SourceId("files")
LEASE = timedelta(seconds=60)
BUSY = Failure("SourceUnavailable", "it does not answer")


class Ledger:
    """Jobs of one source, and what an administrator is told of them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self.jobs = Jobs(database, clock=clock)
        self.leases = Leases(database, clock=clock)
        self.sources = Sources(database, clock=clock)
        self.workers = Workers(database, clock=clock)
        self.failures = Failures(database)
        self.situations = Situations(database, clock=clock)

    async def enqueue(self, uri: str = "a", *, priority: int = 50) -> JobId:
        job = NewJob(tenant=TENANT, source=SOURCE, kind=JobKind.UPSERT, uri=uri, priority=priority)
        self.clock.advance(seconds=1)
        return (await self.jobs.enqueue([job]))[0]

    async def claim(self) -> Job:
        job = await self.leases.claim("worker", lease=LEASE)
        assert job is not None
        return job

    async def situation(self, job: JobId) -> Situation:
        found = await self.jobs.get(TENANT, job)
        return (await self.situations.of([found], count_ahead=True))[job]

    async def worker(self, *, paused: str | None = None) -> None:
        await self.workers.report(
            Worker(
                owner="worker", started_at=self.clock(), slots=8, running=0,
                resident_bytes=10**9, paused=paused, did=WorkDone(done=3),
            )
        )  # fmt: skip


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    ledger = Ledger(database, Clock())
    await ledger.sources.add_tenant(TENANT)
    await ledger.sources.register(TENANT, kind="m", name="Files", settings={}, source=SOURCE)
    await ledger.worker()
    return ledger


async def test_a_queued_job_tells_who_is_before_it_and_for_how_long_it_waits(
    ledger: Ledger,
) -> None:
    for uri in ("a", "b"):
        await ledger.enqueue(uri)
    last = await ledger.enqueue("c")
    ledger.clock.advance(seconds=30)
    situation = await ledger.situation(last)
    assert (situation.cause, situation.age) == (Cause.TURN, timedelta(seconds=30))
    assert situation.words == "waits for its turn: 2 jobs of its connector go first"
    first = await ledger.enqueue("urgent", priority=10)
    assert "it is the next" in (await ledger.situation(first)).words


async def test_a_job_of_a_paused_source_says_so_queued_or_waiting(ledger: Ledger) -> None:
    job = await ledger.enqueue()
    await ledger.sources.set_state(TENANT, SOURCE, SourceState.PAUSED)
    situation = await ledger.situation(job)
    assert (situation.cause, situation.words) == (Cause.PAUSED, "the connector Files is paused")
    await ledger.sources.set_state(TENANT, SOURCE, SourceState.ENABLED)
    await ledger.leases.wait(await ledger.claim(), BUSY, delay=timedelta(minutes=1))
    await ledger.sources.set_state(TENANT, SOURCE, SourceState.PAUSED)
    assert (await ledger.situation(job)).cause is Cause.PAUSED


async def test_a_job_behind_another_for_the_same_document_names_it(ledger: Ledger) -> None:
    running = await ledger.enqueue()
    await ledger.claim()
    waiting = (
        await ledger.jobs.enqueue(
            [NewJob(tenant=TENANT, source=SOURCE, kind=JobKind.DELETE, uri="a")]
        )
    )[0]
    situation = await ledger.situation(waiting)
    assert situation.cause is Cause.SAME_DOCUMENT
    assert running in situation.words


async def test_a_source_that_is_at_its_limit_says_so(ledger: Ledger) -> None:
    await ledger.enqueue("a")
    waiting = await ledger.enqueue("b")
    await ledger.sources.set_share(TENANT, SOURCE, weight=1, max_running=1)
    await ledger.claim()
    situation = await ledger.situation(waiting)
    assert (situation.cause, situation.words) == (
        Cause.SOURCE_FULL,
        "Files runs as many jobs as it may (1)",
    )


async def test_nobody_to_run_it_and_no_memory_to_begin_it_are_told(ledger: Ledger) -> None:
    job = await ledger.enqueue()
    await ledger.worker(paused="memory: 9 MiB in use, the bound is 8 MiB")
    situation = await ledger.situation(job)
    assert situation.cause is Cause.MEMORY and "the bound is 8 MiB" in situation.words
    ledger.clock.advance(minutes=5)
    assert (await ledger.situation(job)).cause is Cause.NO_WORKER


async def test_a_waiting_job_tells_when_it_is_tried_again_and_what_failed(ledger: Ledger) -> None:
    job = await ledger.enqueue()
    await ledger.leases.wait(await ledger.claim(), BUSY, delay=timedelta(minutes=1))
    situation = await ledger.situation(job)
    assert (situation.cause, situation.until) == (
        Cause.RETRY,
        ledger.clock() + timedelta(minutes=1),
    )
    assert "attempt 1 of 5: it does not answer (SourceUnavailable)" in situation.words


async def test_a_running_job_tells_its_worker_its_heartbeat_and_when_it_counts_as_lost(
    ledger: Ledger,
) -> None:
    job = await ledger.enqueue()
    claimed = await ledger.claim()
    ledger.clock.advance(seconds=30)
    await ledger.leases.extend(claimed, lease=LEASE)
    situation = await ledger.situation(job)
    assert (situation.cause, situation.age) == (Cause.WORK, timedelta(seconds=30))
    assert "at worker, last heard of at 2026-11-21 00:00:31 UTC" in situation.words
    assert situation.until == ledger.clock() + LEASE
    ledger.clock.advance(seconds=61)
    assert (await ledger.situation(job)).cause is Cause.LOST_WORKER


async def test_no_age_is_negative_even_where_the_clock_was_set_back(ledger: Ledger) -> None:
    job = await ledger.enqueue()
    ledger.clock.advance(days=-1)
    assert (await ledger.situation(job)).age == timedelta(0)


async def test_what_is_over_tells_how_it_ended_and_waits_for_nothing(ledger: Ledger) -> None:
    job = await ledger.enqueue()
    await ledger.leases.died(await ledger.claim(), BUSY)
    situation = await ledger.situation(job)
    assert situation.cause is None
    assert situation.words.startswith("gave up after attempt 1 of 5: it does not answer")


# --- dead letters ------------------------------------------------------------------------------


async def fail(ledger: Ledger, uri: str, error_class: str, *, dead: bool = False) -> JobId:
    job = await ledger.enqueue(uri)
    claimed = await ledger.claim()
    failure = Failure(error_class, f"{uri} is wrong")
    await (ledger.leases.died if dead else ledger.leases.failed)(claimed, failure)
    return job


async def test_failures_are_grouped_by_kind_with_an_example_each(ledger: Ledger) -> None:
    for uri in "abc":
        await fail(ledger, uri, "ParseError")
    await fail(ledger, "d", "SourceUnavailable", dead=True)
    groups = await ledger.failures.groups(TENANT)
    assert [(each.error_class, each.jobs, each.state) for each in groups] == [
        ("ParseError", 3, JobState.FAILED),
        ("SourceUnavailable", 1, JobState.DEAD),
    ]
    assert groups[1].example.error == "d is wrong"
    assert groups[0].first < groups[0].last
    assert await ledger.failures.groups(TenantId("other")) == []


async def test_all_of_a_kind_are_retried_at_once_and_only_once(ledger: Ledger) -> None:
    for uri in "abc":
        await fail(ledger, uri, "ParseError")
    await fail(ledger, "d", "SourceUnavailable", dead=True)
    retry = ledger.failures.retry_all
    assert await retry(ledger.jobs, TenantId("other")) == 0
    assert await retry(ledger.jobs, TENANT, error_class="ParseError") == 3
    assert await retry(ledger.jobs, TENANT, error_class="ParseError") == 0
    assert await retry(ledger.jobs, TENANT, states=[JobState.FAILED]) == 0
    assert await retry(ledger.jobs, TENANT, source=SOURCE) == 1
    queued = await ledger.jobs.listed(TENANT, state=JobState.QUEUED)
    assert sorted(str(job.uri) for job in queued) == ["a", "b", "c", "d"]
    assert await ledger.failures.groups(TENANT) == []


async def test_an_old_deletion_that_failed_does_not_remove_what_came_back(ledger: Ledger) -> None:
    ledger.clock.advance(seconds=1)
    gone = NewJob(tenant=TENANT, source=SOURCE, kind=JobKind.DELETE, uri="a")
    [deletion] = await ledger.jobs.enqueue([gone])
    await ledger.leases.died(await ledger.claim(), BUSY)
    await ledger.enqueue("a")
    assert await ledger.failures.retry_all(ledger.jobs, TENANT) == 0, "it is being taken in"
    await ledger.leases.done(await ledger.claim(), "indexed")
    assert await ledger.failures.retry_all(ledger.jobs, TENANT) == 0
    assert await ledger.failures.groups(TENANT) == []
    with pytest.raises(InvalidRequest):
        await ledger.jobs.retry(TENANT, deletion)


# --- what is measured --------------------------------------------------------------------------


async def test_the_depth_of_the_queue_is_counted_by_urgency_and_paused_jobs_apart(
    ledger: Ledger, database: Database
) -> None:
    await ledger.enqueue("a", priority=10)
    await ledger.enqueue("b")
    await ledger.enqueue("c")
    depths = {(each.state, each.urgency): each for each in await queue_depth(database)}
    assert depths[JobState.QUEUED, Urgency.ROUTINE].jobs == 2
    assert depths[JobState.QUEUED, Urgency.AT_ONCE].jobs == 1
    await ledger.sources.set_state(TENANT, SOURCE, SourceState.PAUSED)
    assert all(each.paused for each in await queue_depth(database))


async def test_what_workers_did_stays_counted_when_they_are_gone(ledger: Ledger) -> None:
    await ledger.worker()
    gone = replace((await ledger.workers.listed())[0], owner="another", did=WorkDone(done=2))
    await ledger.workers.report(gone)
    assert (await ledger.workers.total()).done == 5
    await ledger.workers.leave("another")
    assert [worker.owner for worker in await ledger.workers.listed()] == ["worker"]
    ledger.clock.advance(hours=1)
    await ledger.workers.forget_the_lost()
    assert await ledger.workers.listed() == []
    assert (await ledger.workers.total()).done == 5
