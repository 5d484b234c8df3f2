"""The worker process: the jobs of the embedded platform, in any number of processes over Redis."""

import asyncio

from api.settings import Settings
from api.tracing import exporting, traced
from api.wiring import memory_bound, open_worker
from ingestion.jobs import run_job
from ingestion.worker import QUEUE, open_redis, serve
from rag.adapters.spans import Spans
from rag.errors import ConfigurationError, StorageUnavailable


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM."""
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    async with exporting(), open_worker(settings) as work:
        await serve(
            work,
            _redis_url(settings),
            concurrency=settings.ingestion.workers,
            memory=memory_bound(settings),
            run_job=traced(run_job, Spans()),
        )


async def check_worker(settings: Settings) -> bool:
    """Whether a worker of this queue has reported within its interval."""
    try:
        redis = await open_redis(_redis_url(settings))
    except StorageUnavailable:
        return False
    try:
        return await redis.exists(f"{QUEUE}:health-check") > 0
    finally:
        await redis.aclose()


def _redis_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise ConfigurationError("a worker needs RAG_REDIS_URL")
    return settings.redis_url.get_secret_value()
