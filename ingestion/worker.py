"""Running jobs in processes of their own: arq over Redis.

Redis carries tickets, each saying that some job may be begun. Which one is the ledger's to say:
a ticket's bearer runs the most urgent job there is. Lost or doubled tickets do no harm, for a
sweeper writes new ones for every job that is due.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from arq import ArqRedis, Worker, cron, func
from arq.connections import RedisSettings, create_pool
from redis.exceptions import RedisError

from ingestion.dispatch import new_owner
from ingestion.jobs import Work, run_job
from ingestion.upkeep import tidy
from rag.errors import StorageUnavailable
from rag.storage.job_rows import Due

log = logging.getLogger(__name__)

QUEUE = "rag:jobs"
RUN = "run_most_urgent"
LONGEST_JOB = timedelta(hours=2)
HEALTH_SECONDS = 20
"""How often a worker reports over Redis; one that has not for that long counts as gone."""
SWEEP_SECONDS = frozenset(range(0, 60, 10))


class Tickets:
    """Announces jobs over Redis; given to `Jobs`. A Redis that does not answer is no error: the
    job is in the ledger, and the sweeper will find it."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def __call__(self, jobs: Sequence[Due]) -> None:
        try:
            for job, attempts in jobs:
                # The same job at the same attempt is one ticket, however often it is written.
                await self._redis.enqueue_job(RUN, _job_id=f"{job}:{attempts}", _queue_name=QUEUE)
        except (RedisError, OSError):
            log.warning("jobs could not be announced; the sweeper will")


async def open_redis(url: str) -> ArqRedis:
    """Raises `StorageUnavailable` when it does not answer."""
    try:
        settings = RedisSettings.from_dsn(url)
        # It is tried once: whoever waits for Redis says so and tries again.
        return await create_pool(settings, retry=settings.conn_retries, default_queue_name=QUEUE)
    except (RedisError, OSError) as error:
        raise StorageUnavailable("Redis does not answer") from error


def build_worker(
    work: Work, redis: ArqRedis, *, concurrency: int = 8, handle_signals: bool = True
) -> Worker:
    """An arq worker; `await worker.async_run()` runs it, SIGTERM gives its jobs back."""
    owner = new_owner()
    tickets = Tickets(redis)

    async def run_most_urgent(ctx: dict[Any, Any]) -> None:  # noqa: ARG001 - arq's name
        job = await work.leases.claim(owner, lease=work.lease)
        if job is not None:
            await run_job(job, work)

    async def sweep(ctx: dict[Any, Any]) -> None:  # noqa: ARG001 - arq's name
        await work.leases.sweep()
        await tickets(await work.leases.due())

    async def tidy_up(ctx: dict[Any, Any]) -> None:  # noqa: ARG001 - arq's name
        await tidy(work)

    return Worker(
        functions=[
            func(run_most_urgent, name=RUN, keep_result=0, timeout=LONGEST_JOB, max_tries=3)
        ],
        cron_jobs=[
            cron(sweep, second=set(SWEEP_SECONDS), run_at_startup=True, keep_result=0),
            cron(tidy_up, minute=7, keep_result=0, timeout=LONGEST_JOB),
        ],
        redis_pool=redis,
        queue_name=QUEUE,
        max_jobs=concurrency,
        poll_delay=0.2,
        health_check_interval=HEALTH_SECONDS,
        handle_signals=handle_signals,
        log_results=False,
    )


async def serve(work: Work, url: str, *, concurrency: int = 8) -> None:
    """Work until SIGTERM, through restarts of Redis. The ledger decides what is done."""
    while True:
        try:
            redis = await open_redis(url)
            worker = build_worker(work, redis, concurrency=concurrency)
            try:
                await worker.async_run()
            finally:
                await worker.close()
        except (RedisError, OSError, StorageUnavailable):
            log.warning("Redis does not answer; trying again")
            await asyncio.sleep(2)
