"""A process killed again and again while it ingests ends where an undisturbed one does."""

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from ingestion.upkeep import tidy
from rag.storage.database import open_database
from rag.storage.tables import ChunkRow, DocumentRow, TokenVectorsRow
from tests.ingestion.platform import TENANT, platform_over
from tests.ingestion.standins import FileIndex

KILLS_OF_EACH_STATE = 12


async def outcome_of(url: str, root: Path) -> dict[str, object]:
    """All that a later reader, sync or ingest could tell two runs apart by."""
    index = FileIndex(root / "index")
    async with open_database(url) as database:
        platform = await platform_over(database, root, index=index)
        await tidy(platform.work, strays_after=timedelta(0))
        seen = [
            (hit.chunk.document.uri, hit.chunk.ordinal, hit.chunk.text, hit.chunk.version)
            for hit in await platform.seen_by("group:finance")
        ]
        documents = (
            DocumentRow.uri,
            DocumentRow.state,
            DocumentRow.version,
            DocumentRow.revision,
            DocumentRow.settled,
            DocumentRow.error,
        )
        async with database.reading() as connection:

            async def rows(*columns: Any) -> list[tuple[Any, ...]]:
                return sorted(map(tuple, await connection.execute(select(*columns))))

            return {
                "seen": seen,
                "documents": await rows(*documents),
                "chunks": await rows(ChunkRow.id, ChunkRow.version, ChunkRow.ordinal),
                "token vectors": await rows(TokenVectorsRow.chunk, TokenVectorsRow.vectors),
                "index": sorted(index.points),
                "originals": sorted(path.name for path in (root / "originals").rglob("*/*")),
                "pending": sum(
                    number
                    for state, number in (await platform.jobs.counts(TENANT)).items()
                    if state.value in {"queued", "waiting", "running"}
                ),
            }


def run(template: Path, root: Path, *, kills: int) -> str:
    root.mkdir()
    shutil.copy(template, root / "rag.db")
    url = f"sqlite:///{root / 'rag.db'}"
    command = [sys.executable, "-m", "tests.ingestion.killed", url, str(root), "1", str(kills)]
    subprocess.run(command, check=True, timeout=120)  # noqa: S603
    return url


async def test_killed_at_any_moment_it_ends_where_an_undisturbed_run_does(
    sqlite_template: Path, tmp_path: Path
) -> None:
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    after_kills = await outcome_of(
        run(sqlite_template, disturbed, kills=KILLS_OF_EACH_STATE), disturbed
    )
    in_peace = await outcome_of(run(sqlite_template, undisturbed, kills=0), undisturbed)
    assert after_kills == in_peace
    assert after_kills["pending"] == 0
    assert after_kills["seen"]
