"""A large file is on disk, once, from when it is fetched; and only if it is kept does it stay."""

import asyncio
from pathlib import Path

import pytest

from connectors.filesystem import FilesystemConnector
from connectors.protocols import Seen, Upserted
from ingestion.describing import ref_of
from ingestion.outcomes import Failed, Indexed, Outcome, Quarantined
from rag.bodies import SMALL_BYTES
from rag.storage.database import Database
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over

LINE = "The seal of the pump is changed once a year, and after every run without water.\n"
LARGE = LINE * (SMALL_BYTES // len(LINE) + 1)


@pytest.fixture
async def platform(database: Database, tmp_path: Path) -> Platform:
    return await platform_over(database, tmp_path)


async def ingest(platform: Platform, folder: Path, text: str) -> Outcome:
    file = written(folder, text)
    spool = platform.originals.spool
    connector = FilesystemConnector(folder, source=SOURCE, max_bytes=10**9, spool=spool)
    change = Upserted(file.as_uri(), Seen("1", "1"))
    return await platform.pipeline.ingest(change, connector, tenant=TENANT)


def written(folder: Path, text: str) -> Path:
    folder.mkdir()
    file = folder / "large.txt"
    file.write_text(text)
    return file


async def left_after_a_moment(platform: Platform, number: int) -> list[Path]:
    """The files where originals are kept, once there are so many: a thread may hold one a little
    longer than the ingest does."""
    async with asyncio.timeout(60):
        while len(left := _files(platform.originals.root)) != number:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)
    return left


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_an_indexed_one_is_kept_as_it_was(platform: Platform, tmp_path: Path) -> None:
    assert isinstance(await ingest(platform, tmp_path / "source", LARGE), Indexed)
    [kept] = await left_after_a_moment(platform, 1)
    assert kept.read_text() == LARGE
    uri = (tmp_path / "source" / "large.txt").as_uri()
    document = await platform.documents.find(TENANT, ref_of(TENANT, SOURCE, uri).id)
    assert document is not None and document.size == len(LARGE)
    assert document.original is not None and platform.originals.path_of(document.original) == kept


async def test_one_that_fails_leaves_no_bytes(platform: Platform, tmp_path: Path) -> None:
    assert isinstance(await ingest(platform, tmp_path / "source", f"!broken\n{LARGE}"), Failed)
    assert await left_after_a_moment(platform, 0) == []


async def test_one_in_quarantine_leaves_no_bytes(platform: Platform, tmp_path: Path) -> None:
    await platform.work.sources.register(
        TENANT,
        kind="memory",
        name="Files",
        settings={"validation": {"max_bytes": SMALL_BYTES}},
        source=SOURCE,
    )
    assert isinstance(await ingest(platform, tmp_path / "source", LARGE), Quarantined)
    assert await left_after_a_moment(platform, 0) == []
