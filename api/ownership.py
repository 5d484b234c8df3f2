"""Which process owns a data directory. An embedded index has one owner; others go through it."""

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rag.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Owned:
    """This process owns the directory until the context ends."""


@dataclass(frozen=True, slots=True)
class OwnedElsewhere:
    """Another process owns it. `url` is where it serves; None while it only runs a command."""

    url: str | None


@contextmanager
def claim(data_dir: Path) -> Generator[Owned | OwnedElsewhere]:
    """Own `data_dir`, or learn who does. The lock goes with the process, however it ends."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(data_dir / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the data directory {data_dir} cannot be used: {error.strerror}"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield OwnedElsewhere(_served_at(data_dir))
            return
        _address_file(data_dir).unlink(missing_ok=True)
        yield Owned()
    finally:
        os.close(lock)


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


def _served_at(data_dir: Path) -> str | None:
    try:
        address = cast("dict[str, Any]", json.loads(_address_file(data_dir).read_text()))
        return str(address["url"])
    except (OSError, ValueError, KeyError):
        return None


def _address_file(data_dir: Path) -> Path:
    return data_dir / "server.json"
