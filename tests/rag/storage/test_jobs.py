"""The ledger of jobs: leases, turns, and nothing done twice at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert as insert_row
from sqlalchemy.exc import IntegrityError

from rag.access import TenantId
from rag.errors import NotFound
from rag.storage.database import Database
from rag.storage.jobs.leases import SUPERSEDED, Failure, Leases
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import Job, JobId, JobKind, JobState, NewJob
from rag.storage.jobs.rows import Due, row_of
from rag.storage.sources.ledger import Sources
from rag.storage.sources.records import SourceState
from rag.storage.tables import JobRow
from rag.types import SourceId
from tests.clock import Clock

TENANT, SOURCE = TenantId("acme"), SourceId("files")
LEASE = timedelta(seconds=60)
BROKEN = Failure("ParseError", "it makes no sense")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def jobs(database: Database, clock: Clock) -> Jobs:
    sources = Sources(database)
    await sources.add_tenant(TENANT)
    await sources.register(TENANT, kind="memory", name="Files", settings={}, source=SOURCE)
    return Jobs(database, clock=clock)


@pytest.fixture
def leases(database: Database, clock: Clock) -> Leases:
    return Leases(database, clock=clock)


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


async def claimed(leases: Leases, owner: str = "worker") -> Job:
    job = await leases.claim(owner, lease=LEASE)
    assert job is not None
    return job


async def test_a_job_is_claimed_once_done_once_and_then_over(jobs: Jobs, leases: Leases) -> None:
    [queued] = await jobs.enqueue([upsert()])
    job = await claimed(leases)
    assert (job.id, job.state, job.attempts, job.lease_owner) == (
        queued,
        JobState.RUNNING,
        1,
        "worker",
    )
    assert await leases.claim("another", lease=LEASE) is None
    assert await leases.done(job, "indexed")
    assert not await leases.done(job, "indexed again")
    assert await leases.claim("another", lease=LEASE) is None
    over = await jobs.get(TENANT, job.id)
    assert (over.state, over.outcome, over.lease_owner) == (JobState.DONE, "indexed", None)


async def test_many_workers_at_once_share_the_jobs_without_a_clash(
    jobs: Jobs, leases: Leases
) -> None:
    await jobs.enqueue([upsert(str(number)) for number in range(30)])

    async def work(owner: str) -> list[JobId]:
        did: list[JobId] = []
        while (job := await leases.claim(owner, lease=LEASE)) is not None:
            did.append(job.id)
            await leases.done(job, "done")
        return did

    did = await asyncio.gather(*(work(f"worker {number}") for number in range(6)))
    flat = [job for each in did for job in each]
    assert len(flat) == len(set(flat))
    # A worker may have looked while another held the last rows; what is left is still there.
    flat += await work("last")
    assert len(flat) == len(set(flat)) == 30


async def test_the_most_urgent_goes_first_then_the_oldest(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    await jobs.enqueue([upsert("late", priority=50)])
    clock.advance(seconds=1)
    await jobs.enqueue([upsert("later", priority=50), upsert("urgent", priority=10)])
    assert [(await claimed(leases)).uri for _ in range(3)] == ["urgent", "late", "later"]


async def test_a_new_job_takes_the_place_of_one_that_waits(jobs: Jobs, leases: Leases) -> None:
    [first] = await jobs.enqueue([upsert(revision="1")])
    [second] = await jobs.enqueue([upsert(revision="2")])
    assert first == second
    assert (await claimed(leases)).payload == {"revision": "2"}
    assert await leases.claim("worker", lease=LEASE) is None


async def test_the_same_document_twice_in_one_go_is_one_job(jobs: Jobs) -> None:
    ids = await jobs.enqueue([upsert(revision="1"), upsert("b"), upsert(revision="2")])
    assert ids[0] == ids[2] != ids[1]
    assert (await jobs.get(TENANT, ids[0])).payload == {"revision": "2"}


async def test_content_on_its_way_is_not_pushed_aside_by_less(jobs: Jobs, leases: Leases) -> None:
    await jobs.enqueue([upsert(revision="1")])
    await jobs.enqueue([of_kind(JobKind.REINDEX)])
    await jobs.enqueue([of_kind(JobKind.ACCESS, priority=10)])
    job = await claimed(leases)
    assert (job.kind, job.payload, job.priority) == (JobKind.UPSERT, {"revision": "1"}, 10)


async def test_a_deletion_pushes_content_aside(jobs: Jobs, leases: Leases) -> None:
    await jobs.enqueue([upsert()])
    await jobs.enqueue([of_kind(JobKind.DELETE)])
    assert (await claimed(leases)).kind is JobKind.DELETE


async def test_one_document_is_worked_on_by_one_at_a_time(jobs: Jobs, leases: Leases) -> None:
    await jobs.enqueue([upsert(revision="1")])
    running = await claimed(leases)
    await jobs.enqueue([upsert(revision="2")])
    assert await leases.claim("another", lease=LEASE) is None

    await leases.done(running, "done")
    assert (await claimed(leases, "another")).payload == {"revision": "2"}


async def test_a_change_that_is_being_made_is_not_queued_once_more(
    jobs: Jobs, leases: Leases
) -> None:
    await jobs.enqueue([upsert(revision="1")])
    running = await claimed(leases)
    ids = await jobs.enqueue([upsert("b"), upsert(revision="1")])
    assert ids[1] == running.id != ids[0]
    assert [job.uri for job in await jobs.listed(TENANT, state=JobState.QUEUED)] == ["b"]
    await leases.done(running, "done")
    [later] = await jobs.enqueue([upsert(revision="1")])
    assert later != running.id, "what is over is over"


async def test_a_file_that_changed_while_it_was_taken_in_is_taken_in_again_once(
    jobs: Jobs, leases: Leases
) -> None:
    await jobs.enqueue([upsert(revision="1")])
    running = await claimed(leases)
    for revision in ("2", "3", "3"):
        await jobs.enqueue([upsert(revision=revision)])
    [waiting] = await jobs.listed(TENANT, state=JobState.QUEUED)
    assert waiting.payload == {"revision": "3"}
    await leases.done(running, "done")
    assert (await claimed(leases)).id == waiting.id


async def test_the_last_word_counts_also_where_it_is_what_is_being_done(
    jobs: Jobs, leases: Leases
) -> None:
    def access(reader: str) -> NewJob:
        return replace(of_kind(JobKind.ACCESS), payload={"readers": [reader]})

    await jobs.enqueue([access("group:sales")])
    running = await claimed(leases)
    await jobs.enqueue([access("group:finance")])
    await jobs.enqueue([access("group:sales")])
    await leases.done(running, "done")
    assert (await claimed(leases)).payload == {"readers": ["group:sales"]}


@pytest.mark.parametrize("kind", [JobKind.SYNC, JobKind.REINDEX])
async def test_what_is_listed_or_indexed_anew_may_have_changed_since_that_began(
    jobs: Jobs, leases: Leases, kind: JobKind
) -> None:
    await jobs.enqueue([of_kind(kind)])
    running = await claimed(leases)
    [again] = await jobs.enqueue([of_kind(kind)])
    assert again != running.id


async def test_nobody_counts_on_a_job_whose_worker_was_lost(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    await jobs.enqueue([replace(upsert(), max_attempts=1)])
    lost = await claimed(leases)
    clock.advance(seconds=61)
    [again] = await jobs.enqueue([upsert()])
    await leases.sweep()
    assert again != lost.id
    assert (await claimed(leases)).id == again


async def test_what_is_being_done_counts_for_the_sync_that_listed_it_last(
    jobs: Jobs, leases: Leases
) -> None:
    sources = Sources(jobs.database)
    await jobs.enqueue([replace(upsert(), batch="first")])
    running = await claimed(leases)
    await sources.sync_began(TENANT, SOURCE, batch="second")
    await jobs.enqueue([replace(upsert(), batch="second"), replace(upsert("b"), batch="second")])
    progress = await sources.progress(TENANT, SOURCE)
    assert (progress.listed, progress.done) == (2, 0)
    await jobs.enqueue([upsert()])  # of no sync: it takes it from none
    await leases.done(running, "done")
    assert (await sources.progress(TENANT, SOURCE)).done == 1


async def test_many_listings_at_once_leave_one_job_a_document(jobs: Jobs, leases: Leases) -> None:
    listed = [upsert(str(number)) for number in range(20)]
    await jobs.enqueue(listed)
    running = [await claimed(leases) for _ in range(10)]
    ids = await asyncio.gather(*(jobs.enqueue(listed[::step]) for step in (1, -1, 1, -1)))
    assert {frozenset(each) for each in ids} == {frozenset(ids[0])}
    assert {job.id for job in running} < set(ids[0])
    assert len(await jobs.listed(TENANT)) == 20


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_the_ledger_itself_holds_one_job_of_a_document_in_each_live_state(
    database: Database, jobs: Jobs, state: str
) -> None:
    async def insert(subject: str) -> None:
        row = row_of(upsert(), jobs.clock()) | {"subject": subject, "state": state}
        await database.write(lambda connection: connection.execute(insert_row(JobRow), row))

    await insert("another")
    with pytest.raises(IntegrityError):
        await insert("another")


async def test_a_lease_that_is_kept_is_not_taken_back(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    await jobs.enqueue([upsert()])
    job = await claimed(leases)
    for _ in range(5):
        clock.advance(seconds=40)
        assert await leases.extend(job, lease=LEASE)
        assert await leases.sweep() == 0


async def test_a_lost_workers_job_runs_again_and_the_lost_worker_can_write_nothing(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    await jobs.enqueue([upsert()])
    lost = await claimed(leases)
    clock.advance(seconds=61)
    assert await leases.sweep() == 1
    again = await claimed(leases)
    assert (again.id, again.attempts) == (lost.id, 2)
    assert not await leases.extend(lost, lease=LEASE)
    assert not await leases.done(lost, "late")
    assert not await leases.release(lost)
    assert not await leases.failed(lost, BROKEN)
    assert await leases.done(again, "done")


async def test_a_job_that_kills_its_workers_dies(jobs: Jobs, leases: Leases, clock: Clock) -> None:
    [job] = await jobs.enqueue([replace(upsert(), max_attempts=2)])
    for _ in range(2):
        await claimed(leases)
        clock.advance(seconds=61)
        await leases.sweep()
    assert await leases.claim("worker", lease=LEASE) is None
    assert (await jobs.get(TENANT, job)).state is JobState.DEAD


async def test_at_the_start_of_the_only_process_every_lease_is_taken_back(
    jobs: Jobs, leases: Leases
) -> None:
    await jobs.enqueue([upsert()])
    await claimed(leases)
    assert await leases.sweep() == 0
    assert await leases.sweep(all_leases=True) == 1
    assert (await claimed(leases)).attempts == 2


async def test_a_job_that_waits_is_not_begun_before_its_time(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    await jobs.enqueue([upsert()])
    job = await claimed(leases)
    await leases.wait(job, BROKEN, delay=timedelta(seconds=30))
    waiting = await jobs.get(TENANT, job.id)
    assert (waiting.state, waiting.error, waiting.error_class) == (
        JobState.WAITING,
        "it makes no sense",
        "ParseError",
    )
    assert await leases.claim("worker", lease=LEASE) is None

    clock.advance(seconds=30)
    assert (await claimed(leases)).attempts == 2


async def test_a_released_job_is_as_if_never_begun(jobs: Jobs, leases: Leases) -> None:
    await jobs.enqueue([upsert()])
    await leases.release(await claimed(leases))
    assert (await claimed(leases)).attempts == 1


@pytest.mark.parametrize("way", ["wait", "release", "sweep"])
async def test_a_job_put_back_gives_way_to_a_later_one(
    jobs: Jobs, leases: Leases, clock: Clock, way: str
) -> None:
    await jobs.enqueue([upsert(revision="1")])
    first = await claimed(leases)
    await jobs.enqueue([upsert(revision="2")])
    match way:
        case "wait":
            await leases.wait(first, BROKEN, delay=timedelta(0))
        case "release":
            await leases.release(first)
        case _:
            clock.advance(seconds=61)
            await leases.sweep()
    over = await jobs.get(TENANT, first.id)
    assert (over.state, over.outcome) == (JobState.DONE, SUPERSEDED)
    assert (await claimed(leases)).payload == {"revision": "2"}


async def test_failed_and_dead_jobs_can_be_tried_again(jobs: Jobs, leases: Leases) -> None:
    for end in (leases.failed, leases.died):
        await jobs.enqueue([upsert(revision="7")])
        job = await claimed(leases)
        await end(job, BROKEN)
        assert await leases.claim("worker", lease=LEASE) is None
        await jobs.retry(TENANT, job.id)
        again = await claimed(leases)
        assert (again.payload, again.attempts) == ({"revision": "7"}, 1)
        await leases.done(again, "done")


async def test_a_job_of_another_tenant_is_not_found(jobs: Jobs) -> None:
    [job] = await jobs.enqueue([upsert()])
    with pytest.raises(NotFound):
        await jobs.get(TenantId("other"), job)
    with pytest.raises(NotFound):
        await jobs.retry(TenantId("other"), job)
    assert await jobs.listed(TenantId("other")) == []
    assert len(await jobs.listed(TENANT, state=JobState.QUEUED, source=SOURCE)) == 1


async def test_jobs_of_a_paused_source_rest(jobs: Jobs, leases: Leases) -> None:
    await jobs.enqueue([upsert()])
    await Sources(jobs.database).set_state(TENANT, SOURCE, SourceState.PAUSED)
    assert await leases.claim("worker", lease=LEASE) is None

    await Sources(jobs.database).set_state(TENANT, SOURCE, SourceState.ENABLED)
    await claimed(leases)


async def test_jobs_are_announced_once_they_are_durable(database: Database, jobs: Jobs) -> None:
    heard: list[tuple[Due, JobState]] = []

    async def announce(due: Sequence[Due]) -> None:
        for job, attempts in due:
            heard.append(((job, attempts), (await jobs.get(TENANT, job)).state))

    telling = Jobs(database, announce=announce)
    ids = await telling.enqueue([upsert("a"), upsert("b")])
    assert sorted(heard) == sorted(((job, 0), JobState.QUEUED) for job in ids)


async def test_old_jobs_are_forgotten_except_those_of_the_last_sync(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    sources = Sources(jobs.database)
    await sources.sync_began(TENANT, SOURCE, batch="last")
    await jobs.enqueue([upsert("old"), replace(upsert("new"), batch="last")])
    for _ in range(2):
        await leases.done(await claimed(leases), "done")
    assert (await sources.progress(TENANT, SOURCE)).done == 1
    clock.advance(days=1)
    assert await jobs.prune(before=clock.now) == 1
    assert [job.uri for job in await jobs.listed(TENANT)] == ["new"]
