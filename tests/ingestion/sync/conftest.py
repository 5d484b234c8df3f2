"""Sources that were synchronised once, for the tests of this folder."""

from pathlib import Path

import pytest

from rag.storage.database import Database
from tests.ingestion.sync.following import Following, following_over


@pytest.fixture
async def five(database: Database, tmp_path: Path) -> Following:
    """Five files, taken in, on each database."""
    return await following_over(database, tmp_path, files=5)


@pytest.fixture
async def forty(sqlite_database: Database, tmp_path: Path) -> Following:
    return await following_over(sqlite_database, tmp_path, files=40)
