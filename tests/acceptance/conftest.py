"""What takes seconds to make, made once for all tests of this folder that only ask about it."""

import shutil
from pathlib import Path

import pytest
import pytest_asyncio

from api.settings import Settings
from api.wiring import open_platform
from tests.acceptance.houses import take_in


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def taken_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a platform that took in a house's documents, and is closed."""
    folder = tmp_path_factory.mktemp("house")
    async with open_platform(Settings(data_dir=folder / "data")) as platform:
        await take_in(platform, folder)
    return folder / "data"


@pytest.fixture
def furnished(tmp_path: Path, taken_in: Path) -> Path:
    """A folder for a `house` of one's own, whose documents are taken in already."""
    shutil.copytree(taken_in, tmp_path / "data")
    return tmp_path
