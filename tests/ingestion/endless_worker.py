"""A worker process whose source never ends to list; `test_worker.py` runs and ends it.

`python -m tests.ingestion.endless_worker DATABASE_URL FOLDER REDIS_URL`
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from ingestion.worker import serve
from rag.storage.database import open_database
from tests.ingestion.platform import SOURCE, platform_over
from tests.ingestion.standins import FolderInMemory


class EndlessFolder(FolderInMemory):
    async def listing(self) -> AsyncGenerator[Any]:
        await asyncio.sleep(3_600)
        for _ in ():
            yield _


async def main(url: str, folder: str, redis_url: str) -> None:
    async with open_database(url) as database:
        platform = await platform_over(database, Path(folder), folder=EndlessFolder(SOURCE))
        await serve(platform.work, redis_url, concurrency=2)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
