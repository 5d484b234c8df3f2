"""The bytes of a file as they were at one moment: few of them in memory, many on disk.

What was hashed is what is parsed and kept, because it is copied once, when it is fetched, and does
not change afterwards.
"""

import errno
import hashlib
import io
import os
import shutil
import tempfile
import weakref
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self
from uuid import uuid4

from rag.errors import LimitExceeded, StorageUnavailable

SMALL_BYTES = 1024 * 1024
"""What is larger lies on disk."""
PIECE_BYTES = 1024 * 1024
"""How much of a file is handled at a time."""
_NAME = "rag-body-"
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS})
"""What a file system says that has no hard links, or none to this file from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Bytes that do not change. Where they lie in a file, it is theirs alone, and goes when the
    last that refers to this `Body` does. Reading may block; errors: `StorageUnavailable`."""

    size: int
    sha256: str
    """In hexadecimal."""
    _held: "bytes | _File" = field(repr=False)

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest(), _held=content)

    @property
    def path(self) -> Path | None:
        """Where the bytes lie, to be read and never written; None where they are in memory. It
        lasts as long as this object does."""
        return None if isinstance(self._held, bytes) else self._held.path

    def open(self) -> BinaryIO:
        if isinstance(self._held, bytes):
            return io.BytesIO(self._held)
        with disk_errors("a file cannot be read again"):
            return self._held.path.open("rb")

    def read(self, size: int = -1) -> bytes:
        """The first `size` bytes, or all: whoever asks for all must know that they are few."""
        if isinstance(self._held, bytes):
            return self._held if size < 0 else self._held[:size]
        with self.open() as stream, disk_errors("a file cannot be read again"):
            return stream.read(size)

    def pieces(self) -> Iterator[bytes]:
        """All bytes, at most `PIECE_BYTES` at a time."""
        with self.open() as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece


@dataclass(frozen=True, slots=True)
class Spool:
    """A folder for files that are too large for memory, while somebody works on them.

    Best on the file system where originals are kept, which then take them over without a copy.
    What a killed process left there is removed by `tidy`.
    """

    folder: Path

    def writer(self, *, max_bytes: int | None = None) -> "BodyWriter":
        return BodyWriter(self.folder, max_bytes)

    def copied(self, stream: BinaryIO, *, max_bytes: int | None = None) -> Body:
        """All that `stream` gives. Blocks. Raises `LimitExceeded` where that is more than
        `max_bytes`, `StorageUnavailable` for a full disk, and what reading `stream` raises."""
        with self.writer(max_bytes=max_bytes) as writer:
            while piece := stream.read(PIECE_BYTES):
                writer.write(piece)
            return writer.finished()

    def lent(self, path: Path, *, size: int, sha256: str) -> Body:
        """The file at `path`, which does not change but may be removed meanwhile. Raises
        `FileNotFoundError` where it is gone."""
        own = self.folder / _new_name()
        self.folder.mkdir(parents=True, exist_ok=True)
        place(path, own)
        return Body(size=size, sha256=sha256, _held=_File(own))

    def tidy(self, *, before: float) -> None:
        """Remove what nobody has touched since then, a POSIX time."""
        for path in self.folder.glob(f"{_NAME}*"):
            with suppress(FileNotFoundError):  # its owner was quicker
                if (
                    path.stat().st_ctime < before
                ):  # a link has the file's own older times, but not this
                    path.unlink()


class BodyWriter:
    """Takes a file in pieces. Made by `Spool.writer`, used in a `with`; for one thread at a time.

    What was written and not `finished` is gone after the `with`.
    """

    def __init__(self, folder: Path, max_bytes: int | None) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._size = 0
        self._few: list[bytes] = []
        self._file: _File | None = None
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            with suppress(OSError):  # of a disk that is full; the bytes are given up
                self._stream.close()
        self._file = None

    def write(self, piece: bytes) -> None:
        """It blocks once the bytes are more than `SMALL_BYTES`. Raises `LimitExceeded` and
        `StorageUnavailable`."""
        self._size += len(piece)
        if self._max_bytes is not None and self._size > self._max_bytes:
            raise LimitExceeded(f"more than {self._max_bytes} bytes")
        self._hash.update(piece)
        if self._size <= SMALL_BYTES:
            self._few.append(piece)
            return
        with _room_needed():
            if self._stream is None:
                self._file, self._stream = _new_file(self._folder)
                self._stream.writelines(self._few)
                self._few.clear()
            self._stream.write(piece)

    def finished(self) -> Body:
        held: bytes | _File = b"".join(self._few)
        if self._stream is not None and self._file is not None:
            with _room_needed():
                self._stream.flush()
                os.fchmod(self._stream.fileno(), 0o400)
                self._stream.close()
            held = self._file
        return Body(size=self._size, sha256=self._hash.hexdigest(), _held=held)


class _File:
    """A file that goes when this does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        weakref.finalize(self, path.unlink, missing_ok=True)


def temporary_spool() -> Spool:
    """In the system's folder for temporary files, which the system tidies."""
    return Spool(Path(tempfile.gettempdir()))


def place(source: Path, target: Path) -> None:
    """Put the unchanging file at `source` also at `target`, whole or not at all: as a link, or as a
    copy where the file system has no links. Raises `OSError`; `FileExistsError` where there is
    one already."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        copy = target.with_name(f".{_new_name()}")
        try:
            with source.open("rb") as read, copy.open("xb") as written:
                shutil.copyfileobj(read, written, PIECE_BYTES)
                written.flush()
                os.fsync(written.fileno())
            copy.replace(target)
        finally:
            copy.unlink(missing_ok=True)


@contextmanager
def disk_errors(what: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"{what}: {error.strerror}") from error


def _room_needed() -> AbstractContextManager[None]:
    return disk_errors("there is no room for a large file while it is worked on")


def _new_file(folder: Path) -> tuple[_File, BinaryIO]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _new_name()
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    return _File(path), os.fdopen(descriptor, "wb")


def _new_name() -> str:
    return f"{_NAME}{uuid4().hex}"
