"""The composition root: what it opens, it closes."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.closing import closed_with
from api.settings import Settings
from api.wiring import open_platform
from ingestion.jobs import sync_job
from ingestion.worker import QUEUE, open_redis
from rag.access import TenantId
from rag.types import SourceId


class Threads:
    def __init__(self) -> None:
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1


async def test_whatever_can_be_closed_is_closed_once_and_the_rest_is_left_alone() -> None:
    threads = Threads()
    async with AsyncExitStack() as stack:
        assert closed_with(stack, threads) is threads
        assert closed_with(stack, None) is None
        assert threads.closed == 0
    assert threads.closed == 1


async def test_a_closed_platform_has_closed_its_embedder(tmp_path: Path) -> None:
    async with open_platform(Settings(data_dir=tmp_path)) as platform:
        embedder = platform.embedder
        assert (await embedder.embed_query("open")).vector.shape == (embedder.dimensions,)
    with pytest.raises(RuntimeError, match="after shutdown"):
        await embedder.embed_query("closed")


async def test_with_redis_a_job_is_announced_there_and_runs_in_no_process_of_ours(
    tmp_path: Path, redis_url: str
) -> None:
    tenant, source = TenantId("acme"), SourceId("files")
    redis = await open_redis(redis_url)
    try:
        before = await redis.zcard(QUEUE)
        async with open_platform(
            Settings(data_dir=tmp_path, redis_url=SecretStr(redis_url))
        ) as platform:
            await platform.sources.add_tenant(tenant)
            await platform.sources.register(
                tenant, kind="filesystem", name="Files", settings={}, source=source
            )
            [job] = await platform.jobs.enqueue([sync_job(tenant, source)])
            assert await redis.zcard(QUEUE) == before + 1
            assert await redis.zscore(QUEUE, f"{job}:0") is not None
    finally:
        await redis.aclose()
