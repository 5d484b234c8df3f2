"""Folders for the files that parsing makes on its way: gone when it is done, however it ends."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_PREFIX = "rag-parser-"
_LOCK = ".lock"
_SETTLED_S = 60.0
"""A younger folder may belong to a process that is about to lock it."""


@contextmanager
def scratch_folder() -> Generator[Path]:
    """A folder that is removed in the end, or, where this process is killed, by the next that
    asks for one: a lock on it, which ends with the process, says that it is in use."""
    _remove_forsaken(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def empty(folder: Path) -> None:
    """Remove what lies in `folder`."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _remove_forsaken(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another user's, or another process removes it right now
            if folder.is_symlink() or time.time() - folder.stat().st_mtime < _SETTLED_S:
                continue
            with (folder / _LOCK).open("rb") as lock:
                if _is_free(lock):
                    shutil.rmtree(folder, ignore_errors=True)


def _is_free(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
