"""Running jobs in processes of their own: arq over Redis.

Redis carries tickets, each saying that some job may be begun: whoever takes one looks into the
ledger at once instead of at its next look. Which job is begun is the ledger's to say. Lost or
doubled tickets do no harm, and while Redis is away the workers go on, looking once a second.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from arq import ArqRedis, Worker, cron, func
from arq.connections import RedisSettings, create_pool
from redis.exceptions import RedisError

from ingestion.dispatch import Bell, Dispatcher, running
from ingestion.jobs import RunJob, Work, run_job
from ingestion.memory import MemoryBound
from ingestion.upkeep import tidy
from rag.errors import StorageUnavailable
from rag.storage.jobs.rows import Due

log = logging.getLogger(__name__)

QUEUE = "rag:jobs"
LOOK = "look_for_jobs"
TICKETS_AT_ONCE = 100
"""Written for one announcement: enough to wake every slot of some dozen workers."""
LONGEST_TIDYING = timedelta(hours=2)
HEALTH_SECONDS = 20
"""How often a worker reports over Redis; one that has not for that long counts as gone."""
_TRY_REDIS_AGAIN_S = 2.0
_LONGEST_WAIT_FOR_ROOM_S = 60


class Tickets:
    """Announces jobs over Redis; given to `Jobs`. A Redis that does not answer is no error: the
    job is in the ledger, and the workers look there."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def __call__(self, jobs: Sequence[Due]) -> None:
        try:
            for job, attempts in jobs[:TICKETS_AT_ONCE]:
                # The same job at the same attempt is one ticket, however often it is written.
                await self._redis.enqueue_job(LOOK, _job_id=f"{job}:{attempts}", _queue_name=QUEUE)
        except (RedisError, OSError):
            log.warning("jobs could not be announced; the workers will find them")


async def open_redis(url: str) -> ArqRedis:
    """Raises `StorageUnavailable` when it does not answer."""
    try:
        settings = RedisSettings.from_dsn(url)
        # It is tried once: whoever waits for Redis says so and tries again.
        return await create_pool(settings, retry=settings.conn_retries, default_queue_name=QUEUE)
    except (RedisError, OSError) as error:
        raise StorageUnavailable("Redis does not answer") from error


def build_worker(dispatcher: Dispatcher, redis: ArqRedis) -> Worker:
    """An arq worker that takes tickets for `dispatcher`; `await worker.async_run()` runs it."""

    async def look_for_jobs(ctx: dict[Any, Any]) -> None:  # noqa: ARG001 - arq's name
        # A worker that is full keeps no more tickets than it has slots; others take the rest.
        for _ in range(_LONGEST_WAIT_FOR_ROOM_S * 20):
            if dispatcher.has_room:
                await dispatcher.bell()
                return
            await asyncio.sleep(0.05)

    async def tidy_up(ctx: dict[Any, Any]) -> None:  # noqa: ARG001 - arq's name
        await tidy(dispatcher.work)

    return Worker(
        functions=[func(look_for_jobs, name=LOOK, keep_result=0, max_tries=3)],
        cron_jobs=[cron(tidy_up, minute=7, keep_result=0, timeout=LONGEST_TIDYING)],
        redis_pool=redis,
        queue_name=QUEUE,
        max_jobs=dispatcher.concurrency,
        poll_delay=0.2,
        health_check_interval=HEALTH_SECONDS,
        handle_signals=False,
        log_results=False,
    )


async def serve(
    work: Work,
    url: str,
    *,
    concurrency: int = 8,
    memory: MemoryBound | None = None,
    run_job: RunJob = run_job,
) -> None:
    """Work until SIGTERM or SIGINT, through restarts of Redis; then give the jobs back."""
    dispatcher = Dispatcher(
        work=work,
        bell=Bell(),
        concurrency=concurrency,
        memory=memory,
        tidy_every=None,
        run_job=run_job,
    )
    async with _until_told_to_stop() as stopped, running(dispatcher, sole=False):
        taking = asyncio.create_task(take_tickets(dispatcher, url))
        try:
            await asyncio.wait({taking, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if taking.done():
                taking.result()
        finally:
            taking.cancel()
            await asyncio.wait({taking})


async def take_tickets(dispatcher: Dispatcher, url: str) -> None:
    """Until it is cancelled. While Redis does not answer it tries again and again."""
    while True:
        try:
            redis = await open_redis(url)
            worker = build_worker(dispatcher, redis)
            try:
                await worker.async_run()
            finally:
                await _close(worker, redis)
        except (RedisError, OSError, StorageUnavailable):
            log.warning("Redis does not answer; the ledger is looked into once a second")
        await asyncio.sleep(_TRY_REDIS_AGAIN_S)


async def _close(worker: Worker, redis: ArqRedis) -> None:
    """What arq's own closing does, also where its tasks were cancelled or Redis is away."""
    tasks = [*worker.tasks.values()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    try:
        await redis.delete(worker.health_check_key)
    except (RedisError, OSError):
        log.warning("Redis could not be told that this worker ends")
    finally:
        await redis.aclose(close_connection_pool=True)


@asynccontextmanager
async def _until_told_to_stop() -> AsyncGenerator["asyncio.Future[None]"]:
    """Ends when the process is sent SIGTERM or SIGINT, while the block runs."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    signals = (signal.SIGTERM, signal.SIGINT)
    for each in signals:
        loop.add_signal_handler(each, stop)
    try:
        yield stopped
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
