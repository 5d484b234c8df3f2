"""A file's bytes: few in memory, many on disk, and nothing of them left behind."""

import asyncio
import gc
import os
import subprocess
import sys
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.bodies import SMALL_BYTES, Body, Spool, place
from rag.errors import LimitExceeded, NotFound
from rag.storage.originals import Originals

LARGE = os.urandom(1024) * (SMALL_BYTES // 1024 * 3)
SIZES = st.sampled_from([0, 1, SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1, 2 * SMALL_BYTES + 7])


@settings(max_examples=30)
@given(size=SIZES, cut=st.integers(1, SMALL_BYTES + 1))
def test_what_is_written_in_pieces_is_read_whole_in_part_and_in_pieces(
    tmp_path_factory: pytest.TempPathFactory, size: int, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    content = LARGE[:size]
    with Spool(folder).writer() as writer:
        for start in range(0, size, cut):
            writer.write(content[start : start + cut])
        body = writer.finished()
    assert (body.size, body.sha256) == (size, sha256(content).hexdigest())
    assert body.read() == b"".join(body.pieces()) == content
    assert body.read(10) == content[:10]
    assert (body.path is None) == (size <= SMALL_BYTES)
    del body, writer
    assert list(folder.iterdir()) == []


def test_it_is_as_it_was_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    with source.open("rb") as stream:
        body = Spool(tmp_path / "spool").copied(stream)
    source.write_bytes(b"another")
    assert body.read() == LARGE
    assert body.path is not None and body.path.stat().st_mode & 0o777 == 0o400


def test_a_file_that_is_too_long_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded):
        Spool(tmp_path).copied(BytesIO(LARGE), max_bytes=len(LARGE) - 1)
    gc.collect()
    assert list(tmp_path.iterdir()) == []


FILL_THE_DISK = """
import io, resource, signal, sys
from pathlib import Path
from rag.bodies import Spool
from rag.errors import StorageUnavailable

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
try:
    Spool(Path(sys.argv[1])).copied(io.BytesIO(b"x" * 5_000_000))
except StorageUnavailable as error:
    print(error)
"""


def test_a_disk_that_is_full_is_an_error_that_may_pass_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", FILL_THE_DISK, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "no room" in done.stdout and not done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_a_large_original_is_kept_without_a_copy_and_read_from_where_it_lies(
    tmp_path: Path,
) -> None:
    originals = Originals(tmp_path)
    body = originals.spool.copied(BytesIO(LARGE))
    digest = await originals.store(body)
    assert body.path is not None and body.path.samefile(originals.path_of(digest))
    again = await originals.body_of(digest)
    assert again.path is not None and again.path.samefile(originals.path_of(digest))
    assert again.path not in {body.path, originals.path_of(digest)}
    assert again.sha256 == digest


async def test_a_body_outlasts_the_removal_of_its_original_and_is_kept_anew(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    digest = await originals.store(originals.spool.copied(BytesIO(LARGE)))
    body = await originals.body_of(digest)
    await originals.remove(digest)
    with pytest.raises(NotFound):
        await originals.body_of(digest)
    assert body.read() == LARGE
    assert await originals.store(body) == digest
    del body
    assert (await originals.body_of(digest)).read() == LARGE
    async with asyncio.timeout(60):  # the thread that read it may hold it for a moment longer
        while files_under(tmp_path) != [originals.path_of(digest)]:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_a_killed_process_left_is_removed_and_what_is_used_is_not(tmp_path: Path) -> None:
    left, other = tmp_path / "rag-body-1", tmp_path / "not-ours"
    left.touch()
    other.touch()
    spool = Spool(tmp_path)
    spool.tidy(before=left.stat().st_ctime - 1)
    assert left.exists()
    os.utime(left, (1, 1))  # a link to an old original has its age, and was made just now
    spool.tidy(before=left.stat().st_ctime - 1)
    assert left.exists()
    spool.tidy(before=left.stat().st_ctime + 1)
    assert not left.exists() and other.exists()


def test_a_file_is_copied_where_it_cannot_be_linked(tmp_path: Path) -> None:
    memory = Path("/dev/shm")  # noqa: S108 - another file system, where there is one
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    with TemporaryDirectory(dir=memory) as folder:
        source = Path(folder) / "source"
        source.write_bytes(b"words")
        place(source, tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == b"words"
        assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_body_says_nothing_of_its_bytes() -> None:
    assert "secret" not in repr(Body.of(b"secret"))
