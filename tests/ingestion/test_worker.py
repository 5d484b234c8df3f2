"""The arq worker over a real Redis: what Redis forgets and what a killed worker held is done."""
# ruff: noqa: ASYNC110 - what is waited for is a state of the ledger, which rings no bell

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from arq import ArqRedis

from ingestion.dispatch import Bell, Dispatcher, running
from ingestion.jobs import sync_job
from ingestion.worker import QUEUE, TICKETS_AT_ONCE, Tickets, open_redis, take_tickets
from rag.errors import StorageUnavailable
from rag.storage.database import Database
from rag.storage.jobs.records import JobKind, JobState
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ports import free_port
from tests.services import redis_server


async def forget_all(redis: ArqRedis) -> None:
    async with redis.pipeline() as pipeline:
        pipeline.flushall()  # pyright: ignore[reportUnknownMemberType] - redis has types for half
        await pipeline.execute()


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[ArqRedis]:
    redis = await open_redis(redis_url)
    await forget_all(redis)
    yield redis
    await redis.aclose()


@pytest.fixture
async def platform(database: Database, tmp_path: Path, redis: ArqRedis) -> Platform:
    platform = await platform_over(database, tmp_path, announce=Tickets(redis))
    for number in range(20):
        platform.folder.put(f"file {number}", f"Text {number}.")
    return platform


@asynccontextmanager
async def working(
    platform: Platform, url: str, *, poll: timedelta = timedelta(seconds=1)
) -> AsyncGenerator[None]:
    dispatcher = Dispatcher(
        work=platform.work,
        bell=Bell(),
        concurrency=4,
        poll=poll,
        sweep_every=timedelta(milliseconds=200),
        tidy_every=None,
    )
    async with running(dispatcher, sole=False):
        task = asyncio.create_task(take_tickets(dispatcher, url))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


async def until_done(platform: Platform) -> None:
    async with asyncio.timeout(60):
        while set(await platform.jobs.counts()) - {JobState.DONE}:
            await asyncio.sleep(0.05)


async def done_at_least(platform: Platform, number: int) -> None:
    async with asyncio.timeout(60):
        while (await platform.jobs.counts()).get(JobState.DONE, 0) < number:
            await asyncio.sleep(0.01)


async def test_jobs_travel_as_tickets_and_are_done(platform: Platform, redis_url: str) -> None:
    # A worker that looks but once an hour by itself: it is the tickets that make it.
    async with working(platform, redis_url, poll=timedelta(hours=1)):
        await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
        await until_done(platform)
    assert len(await platform.texts_seen_by("group:finance")) == 20
    assert (await platform.jobs.counts())[JobState.DONE] == 21


async def test_a_ticket_says_nothing_but_a_jobs_id(platform: Platform, redis: ArqRedis) -> None:
    [job] = await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    assert await redis.zscore(QUEUE, f"{job}:0") is not None
    assert await redis.zcard(QUEUE) == 1
    await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    assert await redis.zcard(QUEUE) == 1


async def test_a_thousand_jobs_do_not_make_a_thousand_tickets(
    platform: Platform, redis: ArqRedis
) -> None:
    job = sync_job(TENANT, SOURCE)
    await platform.jobs.enqueue(
        [replace(job, kind=JobKind.REINDEX, uri=f"file {number}") for number in range(1_000)]
    )
    assert await redis.zcard(QUEUE) == TICKETS_AT_ONCE


async def test_what_redis_forgot_the_workers_find_in_the_ledger(
    platform: Platform, redis: ArqRedis, redis_url: str
) -> None:
    await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    await forget_all(redis)
    async with working(platform, redis_url):
        await until_done(platform)
    assert len(await platform.texts_seen_by("group:finance")) == 20


async def test_flushed_and_stopped_and_started_again_in_mid_work_redis_loses_nothing(
    database: Database, tmp_path: Path
) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    async with AsyncExitStack() as stack:
        with redis_server(port):
            redis = await open_redis(url)
            stack.push_async_callback(redis.aclose)
            platform = await platform_over(database, tmp_path, announce=Tickets(redis))
            for number in range(60):
                platform.folder.put(f"file {number}", f"Text {number}.")
            await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
            await stack.enter_async_context(working(platform, url))
            await done_at_least(platform, 3)
            await forget_all(redis)
            await done_at_least(platform, 6)
        await done_at_least(platform, 12)  # while there is no Redis at all
        platform.folder.put("a late file", "Late.")
        await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
        with redis_server(port):
            await until_done(platform)
    assert len(await platform.texts_seen_by("group:finance")) == 61
    jobs = await platform.jobs.listed(TENANT, limit=500)
    assert {job.attempts for job in jobs} == {1}, "none was begun twice"


async def test_what_a_killed_worker_held_and_a_flushed_redis_lost_is_done(
    platform: Platform, redis: ArqRedis, redis_url: str
) -> None:
    await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    # A worker that was killed: it claimed, and nothing more was ever heard of it.
    lost = await platform.leases.claim("killed", lease=timedelta(seconds=0.1))
    assert lost is not None
    await forget_all(redis)
    await asyncio.sleep(0.2)
    platform.work = replace(platform.work, lease=timedelta(seconds=5))
    async with working(platform, redis_url):
        await until_done(platform)
    assert (await platform.jobs.get(TENANT, lost.id)).attempts == 2
    assert len(await platform.texts_seen_by("group:finance")) == 20


async def test_a_redis_that_is_away_fails_no_enqueue(database: Database, tmp_path: Path) -> None:
    away = ArqRedis(host="127.0.0.1", port=1)
    platform = await platform_over(database, tmp_path, announce=Tickets(away))
    [job] = await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    assert (await platform.jobs.get(TENANT, job)).state is JobState.QUEUED
    await away.aclose()
    with pytest.raises(StorageUnavailable):
        await open_redis("redis://127.0.0.1:1/0")


async def test_a_worker_told_to_end_gives_back_what_it_was_at(
    database: Database, database_url: str, tmp_path: Path, redis_url: str
) -> None:
    """A process of its own, and a real SIGTERM."""
    platform = await platform_over(database, tmp_path)
    await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.ingestion.endless_worker"),
        *(database_url, str(tmp_path), redis_url),
    )
    try:
        async with asyncio.timeout(60):
            while not (running_now := await platform.jobs.listed(TENANT, state=JobState.RUNNING)):
                await asyncio.sleep(0.05)
        assert running_now[0].lease_owner is not None
        assert len(await platform.work.workers.listed()) == 1
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 30) == 0
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    [job] = await platform.jobs.listed(TENANT)
    assert (job.state, job.attempts, job.lease_owner) == (JobState.QUEUED, 0, None)
    assert await platform.work.workers.listed() == []
