"""A process that ingests a folder and says how far it is, until it is killed.

`python -m tests.acceptance.ingesting DATA_DIR FOLDER`; `test_interrupted_ingest.py` runs it.
"""

import asyncio
import sys
from pathlib import Path

from api.settings import Settings
from api.wiring import open_platform
from ingestion.jobs import sync_job
from rag.access import TenantId

TENANT = TenantId("acme")


def settings_of(data: Path) -> Settings:
    return Settings(data_dir=data, tenant=TENANT)


async def ingest(data: Path, folder: Path) -> None:
    async with open_platform(settings_of(data)) as platform:
        await platform.sources.add_tenant(TENANT)
        source = await platform.sources.register(
            TENANT, kind="filesystem", name="many", settings={"root": str(folder)}
        )
        await platform.jobs.enqueue([sync_job(TENANT, source.id)])
        while True:
            print((await platform.sources.progress(TENANT, source.id)).done, flush=True)  # noqa: T201
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(ingest(Path(sys.argv[1]), Path(sys.argv[2])))
