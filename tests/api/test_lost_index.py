"""An index that was lost: it is said at the start, and comes back from the ledger alone."""

import asyncio
import logging
import shutil
from pathlib import Path

import pytest

from api.platform import Platform
from api.settings import Settings
from api.wiring import open_platform
from rag.access import Principal, PrincipalId, TenantId, scope_of
from rag.types import Query, SourceId
from tests.platforms import http_over

TENANT, SOURCE = TenantId("default"), SourceId("files")
ADA = Principal(TENANT, PrincipalId("user:ada"), frozenset())


async def test_an_index_that_was_lost_is_put_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    papers = tmp_path / "papers"
    papers.mkdir()
    for number in range(3):
        (papers / f"{number}.md").write_text(f"# Pump {number}\n\nIts seal is number 4{number}.\n")
    settings = Settings(data_dir=tmp_path / "data")
    async with open_platform(settings) as platform:
        await platform.sources.add_tenant(TENANT)
        await platform.sources.register(
            TENANT,
            kind="filesystem",
            name="Files",
            settings={"root": str(papers), "readers": ["everyone"]},
            source=SOURCE,
        )
        await done(platform, "/v1/admin/connectors/files/sync", {})
        before = await found(platform)
        assert len(before) == 3
    shutil.rmtree(settings.data_dir / "index")
    shutil.rmtree(papers)
    shutil.rmtree(settings.data_dir / "originals")

    with caplog.at_level(logging.ERROR, logger="api.opening"):
        async with open_platform(settings) as platform:
            assert "rag reindex --all --from-ledger" in caplog.text
            assert await found(platform) == []
            await done(platform, "/v1/admin/reindex", {"all": True, "from_ledger": True})
            assert await found(platform) == before
    caplog.clear()
    async with open_platform(settings) as platform:
        assert caplog.text == ""
        assert await found(platform) == before


async def found(platform: Platform) -> list[str]:
    hits = (await platform.retriever.retrieve(Query(text="seal", scope=scope_of(ADA)))).hits
    return sorted(hit.chunk.text for hit in hits)


async def done(platform: Platform, route: str, body: dict[str, object]) -> None:
    """Ask an administrator's route, and wait until all that it began is over."""
    key = await platform.keys.create(name="admin", principal=ADA, permissions=["admin"])
    headers = {"Authorization": f"Bearer {key.token}"}
    async with http_over(platform, headers=headers) as (_, http):
        (await http.post(route, json=body)).raise_for_status()
    async with asyncio.timeout(120):
        while True:
            if await platform.jobs.nothing_to_do():
                return
            await asyncio.sleep(0.1)
