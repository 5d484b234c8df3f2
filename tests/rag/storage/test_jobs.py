"""The ledger of jobs: leases, turns, and nothing done twice at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rag.access import TenantId
from rag.errors import NotFound
from rag.storage.database import Database
from rag.storage.jobs import SUPERSEDED, Due, Failure, Jobs
from rag.storage.records import Job, JobId, JobKind, JobState, NewJob, SourceState
from rag.storage.sources import Sources
from rag.types import SourceId

TENANT, SOURCE = TenantId("acme"), SourceId("files")
LEASE = timedelta(seconds=60)
BROKEN = Failure("ParseError", "it makes no sense")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def jobs(database: Database, clock: Clock) -> Jobs:
    sources = Sources(database)
    await sources.add_tenant(TENANT)
    await sources.register(TENANT, kind="memory", name="Files", settings={}, source=SOURCE)
    return Jobs(database, clock=clock)


def upsert(uri: str = "a", *, revision: str = "1", priority: int = 50) -> NewJob:
    return NewJob(
        tenant=TENANT,
        source=SOURCE,
        kind=JobKind.UPSERT,
        uri=uri,
        payload={"revision": revision},
        priority=priority,
    )


def of_kind(kind: JobKind, *, priority: int = 50) -> NewJob:
    return NewJob(tenant=TENANT, source=SOURCE, kind=kind, uri="a", priority=priority)


async def claimed(jobs: Jobs, owner: str = "worker") -> Job:
    job = await jobs.claim(owner, lease=LEASE)
    assert job is not None
    return job


async def test_a_job_is_claimed_once_done_once_and_then_over(jobs: Jobs) -> None:
    [queued] = await jobs.enqueue([upsert()])
    job = await claimed(jobs)
    assert (job.id, job.state, job.attempts, job.lease_owner) == (
        queued,
        JobState.RUNNING,
        1,
        "worker",
    )
    assert await jobs.claim("another", lease=LEASE) is None
    assert await jobs.done(job, "indexed")
    assert not await jobs.done(job, "indexed again")
    assert await jobs.claim("another", lease=LEASE) is None
    over = await jobs.get(TENANT, job.id)
    assert (over.state, over.outcome, over.lease_owner) == (JobState.DONE, "indexed", None)


async def test_many_workers_at_once_share_the_jobs_without_a_clash(jobs: Jobs) -> None:
    await jobs.enqueue([upsert(str(number)) for number in range(30)])

    async def work(owner: str) -> list[JobId]:
        did: list[JobId] = []
        while (job := await jobs.claim(owner, lease=LEASE)) is not None:
            did.append(job.id)
            await jobs.done(job, "done")
        return did

    did = await asyncio.gather(*(work(f"worker {number}") for number in range(6)))
    flat = [job for each in did for job in each]
    assert len(flat) == len(set(flat))
    # A worker may have looked while another held the last rows; what is left is still there.
    flat += await work("last")
    assert len(flat) == len(set(flat)) == 30


async def test_the_most_urgent_goes_first_then_the_oldest(jobs: Jobs, clock: Clock) -> None:
    await jobs.enqueue([upsert("late", priority=50)])
    clock.advance(seconds=1)
    await jobs.enqueue([upsert("later", priority=50), upsert("urgent", priority=10)])
    assert [(await claimed(jobs)).uri for _ in range(3)] == ["urgent", "late", "later"]


async def test_a_new_job_takes_the_place_of_one_that_waits(jobs: Jobs) -> None:
    [first] = await jobs.enqueue([upsert(revision="1")])
    [second] = await jobs.enqueue([upsert(revision="2")])
    assert first == second
    assert (await claimed(jobs)).payload == {"revision": "2"}
    assert await jobs.claim("worker", lease=LEASE) is None


async def test_the_same_document_twice_in_one_go_is_one_job(jobs: Jobs) -> None:
    ids = await jobs.enqueue([upsert(revision="1"), upsert("b"), upsert(revision="2")])
    assert ids[0] == ids[2] != ids[1]
    assert (await jobs.get(TENANT, ids[0])).payload == {"revision": "2"}


async def test_content_on_its_way_is_not_pushed_aside_by_less(jobs: Jobs) -> None:
    await jobs.enqueue([upsert(revision="1")])
    await jobs.enqueue([of_kind(JobKind.REINDEX)])
    await jobs.enqueue([of_kind(JobKind.ACCESS, priority=10)])
    job = await claimed(jobs)
    assert (job.kind, job.payload, job.priority) == (JobKind.UPSERT, {"revision": "1"}, 10)


async def test_a_deletion_pushes_content_aside(jobs: Jobs) -> None:
    await jobs.enqueue([upsert()])
    await jobs.enqueue([of_kind(JobKind.DELETE)])
    assert (await claimed(jobs)).kind is JobKind.DELETE


async def test_one_document_is_worked_on_by_one_at_a_time(jobs: Jobs) -> None:
    await jobs.enqueue([upsert(revision="1")])
    running = await claimed(jobs)
    await jobs.enqueue([upsert(revision="2")])
    assert await jobs.claim("another", lease=LEASE) is None
    assert await jobs.next_due() is None
    await jobs.done(running, "done")
    assert (await claimed(jobs, "another")).payload == {"revision": "2"}


async def test_a_lease_that_is_kept_is_not_taken_back(jobs: Jobs, clock: Clock) -> None:
    await jobs.enqueue([upsert()])
    job = await claimed(jobs)
    for _ in range(5):
        clock.advance(seconds=40)
        assert await jobs.extend(job, lease=LEASE)
        assert await jobs.sweep() == 0


async def test_a_lost_workers_job_runs_again_and_the_lost_worker_can_write_nothing(
    jobs: Jobs, clock: Clock
) -> None:
    await jobs.enqueue([upsert()])
    lost = await claimed(jobs)
    clock.advance(seconds=61)
    assert await jobs.sweep() == 1
    again = await claimed(jobs)
    assert (again.id, again.attempts) == (lost.id, 2)
    assert not await jobs.extend(lost, lease=LEASE)
    assert not await jobs.done(lost, "late")
    assert not await jobs.release(lost)
    assert not await jobs.failed(lost, BROKEN)
    assert await jobs.done(again, "done")


async def test_a_job_that_kills_its_workers_dies(jobs: Jobs, clock: Clock) -> None:
    [job] = await jobs.enqueue([replace(upsert(), max_attempts=2)])
    for _ in range(2):
        await claimed(jobs)
        clock.advance(seconds=61)
        await jobs.sweep()
    assert await jobs.claim("worker", lease=LEASE) is None
    assert (await jobs.get(TENANT, job)).state is JobState.DEAD


async def test_at_the_start_of_the_only_process_every_lease_is_taken_back(jobs: Jobs) -> None:
    await jobs.enqueue([upsert()])
    await claimed(jobs)
    assert await jobs.sweep() == 0
    assert await jobs.sweep(all_leases=True) == 1
    assert (await claimed(jobs)).attempts == 2


async def test_a_job_that_waits_is_not_begun_before_its_time(jobs: Jobs, clock: Clock) -> None:
    await jobs.enqueue([upsert()])
    job = await claimed(jobs)
    await jobs.wait(job, BROKEN, delay=timedelta(seconds=30))
    waiting = await jobs.get(TENANT, job.id)
    assert (waiting.state, waiting.error, waiting.error_class) == (
        JobState.WAITING,
        "it makes no sense",
        "ParseError",
    )
    assert await jobs.claim("worker", lease=LEASE) is None
    assert await jobs.next_due() == clock.now + timedelta(seconds=30)
    clock.advance(seconds=30)
    assert (await claimed(jobs)).attempts == 2


async def test_a_released_job_is_as_if_never_begun(jobs: Jobs) -> None:
    await jobs.enqueue([upsert()])
    await jobs.release(await claimed(jobs))
    assert (await claimed(jobs)).attempts == 1


@pytest.mark.parametrize("way", ["wait", "release", "sweep"])
async def test_a_job_put_back_gives_way_to_a_later_one(jobs: Jobs, clock: Clock, way: str) -> None:
    await jobs.enqueue([upsert(revision="1")])
    first = await claimed(jobs)
    await jobs.enqueue([upsert(revision="2")])
    match way:
        case "wait":
            await jobs.wait(first, BROKEN, delay=timedelta(0))
        case "release":
            await jobs.release(first)
        case _:
            clock.advance(seconds=61)
            await jobs.sweep()
    over = await jobs.get(TENANT, first.id)
    assert (over.state, over.outcome) == (JobState.DONE, SUPERSEDED)
    assert (await claimed(jobs)).payload == {"revision": "2"}


async def test_failed_and_dead_jobs_can_be_tried_again(jobs: Jobs) -> None:
    for end in (jobs.failed, jobs.died):
        await jobs.enqueue([upsert(revision="7")])
        job = await claimed(jobs)
        await end(job, BROKEN)
        assert await jobs.claim("worker", lease=LEASE) is None
        await jobs.retry(TENANT, job.id)
        again = await claimed(jobs)
        assert (again.payload, again.attempts) == ({"revision": "7"}, 1)
        await jobs.done(again, "done")


async def test_a_job_of_another_tenant_is_not_found(jobs: Jobs) -> None:
    [job] = await jobs.enqueue([upsert()])
    with pytest.raises(NotFound):
        await jobs.get(TenantId("other"), job)
    with pytest.raises(NotFound):
        await jobs.retry(TenantId("other"), job)
    assert await jobs.listed(TenantId("other")) == []
    assert len(await jobs.listed(TENANT, state=JobState.QUEUED, source=SOURCE)) == 1


async def test_jobs_of_a_paused_source_rest(jobs: Jobs) -> None:
    await jobs.enqueue([upsert()])
    await Sources(jobs.database).set_state(TENANT, SOURCE, SourceState.PAUSED)
    assert await jobs.claim("worker", lease=LEASE) is None
    assert await jobs.due() == []
    await Sources(jobs.database).set_state(TENANT, SOURCE, SourceState.ENABLED)
    await claimed(jobs)


async def test_jobs_are_announced_once_they_are_durable(database: Database, jobs: Jobs) -> None:
    heard: list[tuple[Due, JobState]] = []

    async def announce(due: Sequence[Due]) -> None:
        for job, attempts in due:
            heard.append(((job, attempts), (await jobs.get(TENANT, job)).state))

    telling = Jobs(database, announce=announce)
    ids = await telling.enqueue([upsert("a"), upsert("b")])
    assert sorted(heard) == sorted(((job, 0), JobState.QUEUED) for job in ids)


async def test_old_jobs_are_forgotten_except_those_of_the_last_sync(
    jobs: Jobs, clock: Clock
) -> None:
    sources = Sources(jobs.database)
    await sources.sync_began(TENANT, SOURCE, batch="last")
    await jobs.enqueue([upsert("old"), replace(upsert("new"), batch="last")])
    for _ in range(2):
        await jobs.done(await claimed(jobs), "done")
    assert (await sources.progress(TENANT, SOURCE)).done == 1
    clock.advance(days=1)
    assert await jobs.prune(before=clock.now) == 1
    assert [job.uri for job in await jobs.listed(TENANT)] == ["new"]
