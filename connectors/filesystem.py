"""A folder of files as a source, with `.access.yaml` files saying who may read what."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, Collection, Generator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

from connectors.access_files import (
    ACCESS_FILE,
    MAX_ACCESS_FILE_BYTES,
    AccessFile,
    Grant,
    read_access_file,
)
from connectors.access_rules import Governed, Malformed, Rule, rule_of
from connectors.file_names import is_hidden, media_type_of, readable_title
from connectors.protocols import Listed, Problem, Resource, Seen
from rag.access import NOBODY, AccessList
from rag.bodies import Body, Spool, temporary_spool
from rag.errors import LimitExceeded, SourceGone, SourceUnavailable
from rag.types import Metadata, SourceId, no_metadata

DEFAULT_MAX_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FilesystemConnector:
    """The files below `root`, which is resolved once; nothing outside it is ever opened.

    A symbolic link is never followed: what it points to inside the root is listed at its own
    place, under its own access, and what it points to outside is reported as a problem.
    `default_access` and `default_metadata` apply where no access file stands between a file and
    the root; a malformed one counts as standing there, and admits nobody.
    """

    root: Path
    _: KW_ONLY
    source: SourceId
    default_access: AccessList = NOBODY
    default_metadata: Metadata = field(default_factory=no_metadata)
    max_bytes: int = DEFAULT_MAX_BYTES
    spool: Spool = field(default_factory=temporary_spool)

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(os.path.realpath(self.root)))

    @property
    def delta(self) -> None:
        """A folder keeps no record of its changes."""
        return None

    async def listing(self) -> AsyncGenerator[Listed | Problem]:
        found: list[Listed | Problem] = []
        await asyncio.to_thread(self._list, found)
        for each in found:
            yield each

    async def fetch(self, uri: str) -> Resource:
        return await asyncio.to_thread(self._read, uri)

    async def aclose(self) -> None:
        """Nothing stays open between calls."""

    # --- listing -------------------------------------------------------------------------------

    def _list(self, found: list[Listed | Problem]) -> None:
        try:
            with os.scandir(self.root) as entries:
                top = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise SourceUnavailable(f"the folder cannot be listed: {_why(error)}") from error
        nothing_said = Governed(self.root, None, self._default)
        self._list_folder(self.root, top, nothing_said, found)

    def _list_folder(
        self, folder: Path, entries: list[os.DirEntry[str]], governed: Governed,
        found: list[Listed | Problem],
    ) -> None:  # fmt: skip
        own = self._rule_of(folder, {entry.name for entry in entries})
        if isinstance(own, Malformed):
            found.append(Problem((folder / ACCESS_FILE).as_uri(), own.reason))
        governed = governed if own is None else Governed(folder, own, self._default)
        for entry in entries:
            path = folder / entry.name
            if is_hidden(entry.name):
                continue
            try:
                self._list_entry(path, entry, governed, found)
            except FileNotFoundError:
                continue  # gone since the folder was listed; the next sync agrees
            except PermissionError as error:
                found.append(Problem(path.as_uri(), _why(error), hides=True))
            except OSError as error:
                raise SourceUnavailable(f"{path.as_uri()}: {_why(error)}") from error

    def _list_entry(
        self, path: Path, entry: os.DirEntry[str], governed: Governed,
        found: list[Listed | Problem],
    ) -> None:  # fmt: skip
        if entry.is_symlink():
            if not self._is_inside(path):
                reason = "a symbolic link that leads outside the root is not followed"
                found.append(Problem(path.as_uri(), reason))
        elif entry.is_dir(follow_symlinks=False):
            with os.scandir(path) as below:
                inner = sorted(below, key=lambda inner: inner.name)
            self._list_folder(path, inner, governed, found)
        elif entry.is_file(follow_symlinks=False):
            grant, fingerprint = governed.grant_of(path)
            status = entry.stat(follow_symlinks=False)
            found.append(
                Listed(
                    uri=_uri_of(entry.path),
                    seen=_seen(status, fingerprint),
                    access=grant.access,
                    metadata=grant.metadata,
                    size=status.st_size,
                )
            )

    def _is_inside(self, link: Path) -> bool:
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):  # dangling, or a loop
            return False
        return target.is_relative_to(self.root)

    # --- access --------------------------------------------------------------------------------

    def _rule_of(self, folder: Path, names: Collection[str]) -> Rule | None:
        """What the access file of a folder with `names` in it says, or None where there is none."""
        parts = (folder / ACCESS_FILE).relative_to(self.root).parts

        def read() -> AccessFile:
            with self._opened(parts, MAX_ACCESS_FILE_BYTES) as (file, _):
                content = file.read(MAX_ACCESS_FILE_BYTES + 1)
            if len(content) > MAX_ACCESS_FILE_BYTES:  # it grew while it was read
                raise LimitExceeded(f"more than {MAX_ACCESS_FILE_BYTES} bytes")
            return read_access_file(content, folder=folder, root=self.root)

        try:
            return rule_of(names, read)
        except (LimitExceeded, SourceGone) as error:
            return Malformed(str(error))
        except OSError as error:
            return Malformed(f"it cannot be read: {_why(error)}")

    def _grant_of(self, path: Path) -> tuple[Grant, str]:
        folder = path.parent
        while True:
            try:
                rule = self._rule_of(folder, {entry.name for entry in folder.iterdir()})
            except OSError as error:
                rule = Malformed(f"the folder cannot be listed: {_why(error)}")
            if rule is not None or folder == self.root:
                return Governed(folder, rule, self._default).grant_of(path)
            folder = folder.parent

    @property
    def _default(self) -> Grant:
        return Grant(self.default_access, self.default_metadata)

    # --- reading -------------------------------------------------------------------------------

    def _read(self, uri: str) -> Resource:
        path = self._path_of(uri)
        if not self.root.is_dir():
            raise SourceUnavailable("the folder is not there")
        try:
            body, status = self._body_of(path.relative_to(self.root).parts)
        except FileNotFoundError as error:
            raise SourceGone("the file is gone") from error
        except PermissionError as error:
            raise SourceGone("the file may not be read any more") from error
        except OSError as error:
            raise SourceUnavailable(f"the file cannot be read now: {_why(error)}") from error
        grant, fingerprint = self._grant_of(path)
        return Resource(
            uri=uri,
            title=readable_title(path.name),
            body=body,
            media_type=media_type_of(path.name),
            access=grant.access,
            seen=_seen(status, fingerprint),
            metadata=grant.metadata,
        )

    def _path_of(self, uri: str) -> Path:
        """The path that `uri` names. Raises `SourceGone` unless `discover` could have listed it."""
        split = urlsplit(uri)
        path = Path(os.fsdecode(unquote_to_bytes(split.path)))
        if (
            split.scheme != "file"
            or "\0" in str(path)
            or ".." in path.parts
            or not path.is_relative_to(self.root)
            or path == self.root
            or any(is_hidden(part) for part in path.relative_to(self.root).parts)
            or path.as_uri() != uri
        ):
            raise SourceGone("no document of this folder has that address")
        return path

    def _body_of(self, parts: tuple[str, ...]) -> tuple[Body, os.stat_result]:
        with self._opened(parts, self.max_bytes) as (file, status):
            return self.spool.copied(file, max_bytes=self.max_bytes), status

    @contextmanager
    def _opened(
        self, parts: tuple[str, ...], max_bytes: int
    ) -> Generator[tuple[BinaryIO, os.stat_result]]:
        """The regular file at `parts` below the root, which may grow while it is read.

        Every step is opened relative to the one before it and none may be a symbolic link, so a
        link put in place after the listing leads nowhere.
        """
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts[:-1]:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                inner = os.open(part, flags, dir_fd=folder)
                os.close(folder)
                folder = inner
            opened = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
                raise SourceGone("a link or a device stands where a file was expected") from error
            raise
        finally:
            os.close(folder)
        with os.fdopen(opened, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SourceGone("it is not a regular file")
            if status.st_size > max_bytes:
                raise LimitExceeded(f"{status.st_size} bytes are more than {max_bytes}")
            yield file, status


def _uri_of(path: str) -> str:
    """As `Path.as_uri` has it, in a fifth of the time."""
    return f"file://{quote_from_bytes(os.fsencode(path))}"


def _seen(status: os.stat_result, access: str) -> Seen:
    # To the nanosecond and the byte it is told from other files also after it was moved.
    revision = f"{status.st_mtime_ns}-{status.st_size}"
    return Seen(revision, access, identity=revision)


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__
