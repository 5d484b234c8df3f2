"""The bytes of documents, kept by what they are: one file for each content, never changed."""

import asyncio
import os
import tempfile
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rag.bodies import SMALL_BYTES, Body, Spool, disk_errors, place
from rag.errors import NotFound
from rag.storage.records import Digest


@dataclass(frozen=True, slots=True)
class Originals:
    """Files under `root`, each at `ab/cdef…` for the SHA-256 `abcdef…` of its bytes.

    A file is there whole or not at all. Errors: `StorageUnavailable` when the disk is full or
    does not answer.
    """

    root: Path

    @property
    def spool(self) -> Spool:
        """For large files on their way: what lies there is kept without a copy."""
        return Spool(self.root / ".spool")

    async def store(self, body: Body) -> Digest:
        """Keep `body`; durable when this returns. Storing the same bytes again costs a look."""
        return await asyncio.to_thread(self._store, body)

    async def body_of(self, digest: Digest) -> Body:
        """Readable for as long as it is held, also when it is removed here. Raises `NotFound` when
        the bytes are not kept."""
        return await asyncio.to_thread(self._body_of, digest)

    async def holds(self, digest: Digest) -> bool:
        return await asyncio.to_thread(self.path_of(digest).is_file)

    async def remove(self, digest: Digest) -> None:
        """Removing what is not there is no error. Whether anyone needs it is the ledger's to say."""
        await asyncio.to_thread(self._remove, digest)

    async def stored(self, *, before: datetime) -> list[Digest]:
        """What was stored before then. What a kill left half-written, or of files on their way, is
        removed."""
        return await asyncio.to_thread(self._stored, before.timestamp())

    def path_of(self, digest: Digest) -> Path:
        return self.root / digest[:2] / digest[2:]

    def _store(self, body: Body) -> Digest:
        digest = Digest(body.sha256)
        path = self.path_of(digest)
        with _disk_errors():
            if path.is_file():
                return digest
            path.parent.mkdir(parents=True, exist_ok=True)
            if body.path is None:
                _write(body.read(), path)
            else:
                _sync(body.path)
                with suppress(FileExistsError):  # another was quicker
                    place(body.path, path)
                os.utime(path)  # stored now, however old the file is
            _sync(path.parent)
        return digest

    def _stored(self, before: float) -> list[Digest]:
        found: list[Digest] = []
        with _disk_errors():
            self.spool.tidy(before=before)
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

    def _body_of(self, digest: Digest) -> Body:
        path = self.path_of(digest)
        with _disk_errors():
            try:
                size = path.stat().st_size
                if size > SMALL_BYTES:
                    return self.spool.lent(path, size=size, sha256=digest)
                return Body.of(path.read_bytes())
            except FileNotFoundError:
                raise NotFound("the original is not kept here") from None

    def _remove(self, digest: Digest) -> None:
        with _disk_errors():
            self.path_of(digest).unlink(missing_ok=True)


def _write(content: bytes, path: Path) -> None:
    descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_errors() -> AbstractContextManager[None]:
    return disk_errors("originals cannot be kept")
