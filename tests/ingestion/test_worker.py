"""The arq worker over a real Redis: what Redis forgets and what a killed worker held is done."""
# ruff: noqa: ASYNC110 - what is waited for is a state of the ledger, which rings no bell

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from arq import ArqRedis

from ingestion.jobs import sync_job
from ingestion.worker import QUEUE, Tickets, build_worker, open_redis
from rag.errors import StorageUnavailable
from rag.storage.database import Database
from rag.storage.records import JobState
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over


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
async def working(platform: Platform, redis: ArqRedis) -> AsyncGenerator[None]:
    worker = build_worker(platform.work, redis, concurrency=4, handle_signals=False)
    task = asyncio.create_task(worker.async_run())
    try:
        yield
    finally:
        task.cancel()
        for job in worker.tasks.values():
            job.cancel()
        await asyncio.gather(task, *worker.tasks.values(), return_exceptions=True)


async def until_done(platform: Platform) -> None:
    async with asyncio.timeout(60):
        while set(await platform.jobs.counts()) - {JobState.DONE}:
            await asyncio.sleep(0.05)


async def test_jobs_travel_as_tickets_and_are_done(platform: Platform, redis: ArqRedis) -> None:
    async with working(platform, redis):
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


async def test_what_redis_forgot_the_sweeper_sends_again(
    platform: Platform, redis: ArqRedis
) -> None:
    await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    await forget_all(redis)
    async with working(platform, redis):
        await until_done(platform)
    assert len(await platform.texts_seen_by("group:finance")) == 20


async def test_what_a_killed_worker_held_and_a_flushed_redis_lost_is_done(
    platform: Platform, redis: ArqRedis
) -> None:
    await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    # A worker that was killed: it claimed, and nothing more was ever heard of it.
    lost = await platform.leases.claim("killed", lease=timedelta(seconds=0.1))
    assert lost is not None
    await forget_all(redis)
    await asyncio.sleep(0.2)
    platform.work = replace(platform.work, lease=timedelta(seconds=5))
    async with working(platform, redis):
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
