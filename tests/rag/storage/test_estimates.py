"""How long it would take, at the pace of what was done before."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from rag.access import TenantId
from rag.storage.database import Database
from rag.storage.documents.estimates import Amount, seconds_of
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import JobKind, JobState, NewJob
from rag.storage.sources.ledger import Sources
from rag.storage.tables import JobRow
from rag.types import SourceId
from tests.clock import Clock

TENANT, SOURCE = TenantId("acme"), SourceId("files")
EMBEDDED, NOTHING = "indexed 3 chunks: 3 embedded, 0 kept, 0 removed", "unchanged"

Span = tuple[int, int]
"""When a job began and when it ended, in seconds."""


@pytest.fixture
async def jobs(database: Database) -> Jobs:
    sources = Sources(database)
    await sources.add_tenant(TENANT)
    await sources.register(TENANT, kind="memory", name="Files", settings={}, source=SOURCE)
    return Jobs(database, clock=Clock())


async def were_done(
    jobs: Jobs, *spans: Span, kind: JobKind = JobKind.RENDER, outcome: str = EMBEDDED
) -> None:
    for number, (start, end) in enumerate(spans):
        uri = f"{kind}-{outcome[:4]}-{number}"
        [job] = await jobs.enqueue([NewJob(tenant=TENANT, source=SOURCE, kind=kind, uri=uri)])
        moment = jobs.clock()
        over = {
            "state": JobState.DONE.value,
            "outcome": outcome,
            "started_at": moment + timedelta(seconds=start),
            "finished_at": moment + timedelta(seconds=end),
        }
        statement = update(JobRow).where(JobRow.id == job).values(**over)
        await jobs.database.write(lambda connection, s=statement: connection.execute(s))


async def estimate(jobs: Jobs, documents: int = 100) -> float | None:
    return await seconds_of(jobs.database, documents, kinds=(JobKind.RENDER, JobKind.UPSERT))


async def test_nobody_knows_before_anything_was_done(jobs: Jobs) -> None:
    assert await estimate(jobs) is None


async def test_jobs_one_after_the_other_take_as_long_again(jobs: Jobs) -> None:
    await were_done(jobs, (0, 2), (2, 4))
    assert await estimate(jobs) == 200.0


async def test_jobs_at_the_same_time_and_the_pauses_between_count_once_and_not_at_all(
    jobs: Jobs,
) -> None:
    await were_done(jobs, (0, 4), (1, 3), (2, 4), (100, 104))
    assert await estimate(jobs) == 200.0


async def test_what_found_nothing_to_do_says_nothing_of_the_pace(jobs: Jobs) -> None:
    await were_done(jobs, (0, 2))
    await were_done(jobs, (2, 2), (3, 3), (4, 4), outcome=NOTHING)
    assert await estimate(jobs) == 200.0


async def test_other_kinds_stand_in_only_where_the_first_was_never_done(jobs: Jobs) -> None:
    await were_done(jobs, (0, 5), kind=JobKind.UPSERT)
    assert await estimate(jobs) == 500.0
    await were_done(jobs, (10, 11))
    assert await estimate(jobs) == 100.0


def test_a_quarter_of_the_characters_are_paid_for() -> None:
    amount = Amount(characters=6_000_000) + Amount(documents=1, characters=2_000_000)
    assert (amount.tokens, amount.cost(0.02), amount.cost(0)) == (2_000_000, 0.04, 0)
