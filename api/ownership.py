"""Which process owns a data directory. An embedded index has one owner; others go through it."""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rag.errors import ConfigurationError

OWNER_LOCK, SETUP_LOCK = "owner.lock", "setup.lock"
ASK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Owned:
    """This process owns the directory until the context ends."""


@dataclass(frozen=True, slots=True)
class OwnedElsewhere:
    """Another process owns it. `url` is where it serves; None while it only runs a command."""

    url: str | None


@contextmanager
def claim(data_dir: Path) -> Generator[Owned | OwnedElsewhere]:
    """Own `data_dir`, or learn who does. The lock goes with the process, however it ends.

    Raises `ConfigurationError` where the directory cannot be made or written.
    """
    with _locked(data_dir, OWNER_LOCK) as is_ours:
        if not is_ours:
            yield OwnedElsewhere(_served_at(data_dir))
            return
        # What a killed server left behind. Only the owner writes it, so only the owner removes it.
        _address_file(data_dir).unlink(missing_ok=True)
        yield Owned()


@asynccontextmanager
async def alone(data_dir: Path) -> AsyncGenerator[None]:
    """Set `data_dir` up while no other process does, whoever owns it."""
    while True:
        with _locked(data_dir, SETUP_LOCK) as is_ours:
            if is_ours:
                yield
                return
        await asyncio.sleep(ASK_AGAIN_S)


@contextmanager
def announced(data_dir: Path, url: str) -> Generator[None]:
    """Tell the other processes of this directory, while the context lasts, where the owner serves."""
    path = _address_file(data_dir)
    written = path.with_suffix(".new")
    written.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    written.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _locked(data_dir: Path, name: str) -> Generator[bool]:
    """Whether this process holds the lock while the context lasts. Child processes do not get it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(data_dir / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the data directory {data_dir} cannot be used: {error.strerror}"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _served_at(data_dir: Path) -> str | None:
    try:
        address = cast("dict[str, Any]", json.loads(_address_file(data_dir).read_text()))
        return str(address["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _address_file(data_dir: Path) -> Path:
    return data_dir / "server.json"
