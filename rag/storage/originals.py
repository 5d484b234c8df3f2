"""The bytes of documents, kept by what they are: one file for each content, never changed."""

import asyncio
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from rag.errors import NotFound, StorageUnavailable
from rag.storage.records import Digest


def digest_of(body: bytes) -> Digest:
    return Digest(sha256(body).hexdigest())


@dataclass(frozen=True, slots=True)
class Originals:
    """Files under `root`, each at `ab/cdef…` for the SHA-256 `abcdef…` of its bytes.

    A file is there whole or not at all. Errors: `StorageUnavailable` when the disk is full or
    does not answer.
    """

    root: Path

    async def store(self, body: bytes) -> Digest:
        """Keep `body`; durable when this returns. Storing the same bytes again costs a look."""
        return await asyncio.to_thread(self._store, body)

    async def read(self, digest: Digest) -> bytes:
        """Raises `NotFound` when they are not kept."""
        return await asyncio.to_thread(self._read, digest)

    async def holds(self, digest: Digest) -> bool:
        return await asyncio.to_thread(self.path_of(digest).is_file)

    async def remove(self, digest: Digest) -> None:
        """Removing what is not there is no error. Whether anyone needs it is the ledger's to say."""
        await asyncio.to_thread(self._remove, digest)

    async def stored(self, *, before: datetime) -> list[Digest]:
        """What was stored before then, and what a kill left half-written is removed."""
        return await asyncio.to_thread(self._stored, before.timestamp())

    def path_of(self, digest: Digest) -> Path:
        return self.root / digest[:2] / digest[2:]

    def _store(self, body: bytes) -> Digest:
        digest = digest_of(body)
        path = self.path_of(digest)
        with _disk_errors():
            if path.is_file():
                return digest
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)
        return digest

    def _stored(self, before: float) -> list[Digest]:
        found: list[Digest] = []
        with _disk_errors():
            for path in self.root.glob("??/*"):
                try:
                    if path.stat().st_mtime >= before:
                        continue
                except FileNotFoundError:
                    continue  # another removed it meanwhile
                if path.name.startswith("."):
                    path.unlink(missing_ok=True)
                else:
                    found.append(Digest(path.parent.name + path.name))
        return found

    def _read(self, digest: Digest) -> bytes:
        with _disk_errors():
            try:
                return self.path_of(digest).read_bytes()
            except FileNotFoundError:
                raise NotFound("the original is not kept here") from None

    def _remove(self, digest: Digest) -> None:
        with _disk_errors():
            self.path_of(digest).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"originals cannot be kept: {error.strerror}") from error
