"""Bytes are kept whole or not at all."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.bodies import Body
from rag.errors import NotFound, StorageUnavailable
from rag.storage.originals import Originals


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@settings(max_examples=30)
@given(body=st.binary(max_size=2000))
def test_what_is_stored_is_read_back_under_its_digest(
    tmp_path_factory: pytest.TempPathFactory, body: bytes
) -> None:
    originals = Originals(tmp_path_factory.mktemp("originals"))

    async def there_and_back() -> bytes:
        return (await originals.body_of(await originals.store(Body.of(body)))).read()

    assert asyncio.run(there_and_back()) == body


async def test_the_same_bytes_are_one_file(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    digests = await asyncio.gather(*(originals.store(Body.of(b"same")) for _ in range(20)))
    assert set(digests) == {Body.of(b"same").sha256}
    files = files_under(tmp_path)
    assert files == [originals.path_of(digests[0])]
    assert files[0] == tmp_path / digests[0][:2] / digests[0][2:]


async def test_what_was_removed_or_never_there_is_not_found(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    digest = await originals.store(Body.of(b"soon gone"))
    assert await originals.holds(digest)
    await originals.remove(digest)
    await originals.remove(digest)
    assert not await originals.holds(digest)
    with pytest.raises(NotFound):
        await originals.body_of(digest)


FILL_THE_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from rag.bodies import Body
from rag.errors import StorageUnavailable
from rag.storage.originals import Originals

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    asyncio.run(Originals(Path(sys.argv[1])).store(Body.of(b"x" * 5000)))
except StorageUnavailable as error:
    print(error)
"""


def test_a_disk_that_is_full_half_way_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL_THE_DISK, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "cannot be kept" in done.stdout
    assert files_under(tmp_path) == []


async def test_a_folder_that_cannot_be_made_is_an_error_that_may_pass(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        await Originals(tmp_path / "file").store(Body.of(b"x"))
