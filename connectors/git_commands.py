"""The `git` program, run so that a repository can be read and nothing in it can run."""

import asyncio
import os
import shutil
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rag.bodies import PIECE_BYTES, Body, Spool
from rag.errors import ConfigurationError, LimitExceeded, SourceUnavailable

NO_PROTOCOL = "none"
"""In the place of protocols: nothing is fetched from anywhere."""

_FROM_OUTSIDE = ("PATH", "HOME", "SSH_AUTH_SOCK", "https_proxy", "HTTPS_PROXY", "no_proxy",
                 "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")  # fmt: skip

# A repository's own configuration may name programs. None of those that reading could start runs.
_SAFE = MappingProxyType(
    {
        "core.hooksPath": os.devnull,
        "core.fsmonitor": "false",
        "credential.helper": "",
        "fetch.recurseSubmodules": "false",
        "gc.auto": "0",
        "log.showSignature": "false",
        "maintenance.auto": "false",
        "submodule.recurse": "false",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file of a tree."""

    mode: str
    oid: str
    size: int

    @property
    def is_plain(self) -> bool:
        """A file, and no symbolic link or submodule."""
        return self.mode.startswith("100")


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """Reads one repository. Errors of its methods: `SourceUnavailable`, and `ConfigurationError`
    where git is not installed.

    No shell is between, no hook, pager, filter, external diff or credential helper is run, nothing
    is asked of a terminal, and only `protocols` (joined by `:`) fetch anything.
    """

    repository: Path
    protocols: str = NO_PROTOCOL
    timeout_s: float = 600

    async def run(
        self, *arguments: str, feed: bytes | None = None, accepted: Collection[int] = (0,)
    ) -> tuple[int, bytes]:
        """The exit status, one of `accepted`, and the output."""
        async with self._started(*arguments, feeds=feed is not None) as process:
            output, complaint = await process.communicate(feed)
            status = await process.wait()
        if status not in accepted:
            raise SourceUnavailable(f"git {arguments[0]}: {_last_line(complaint)}")
        return status, output

    @asynccontextmanager
    async def _started(
        self, *arguments: str, feeds: bool, keeps_complaint: bool = True
    ) -> AsyncGenerator[Process]:
        """A running git, which has so long as a command may take and is killed in the end."""
        if shutil.which("git") is None:
            raise ConfigurationError("git is not installed")
        options = [f"{name}={value}" for name, value in _SAFE.items()]
        options.append(f"safe.directory={self.repository}")
        configured = [part for option in options for part in ("-c", option)]
        process = await asyncio.create_subprocess_exec(
            "git",
            *("--no-pager", "--literal-pathspecs", "-C", str(self.repository)),
            *configured,
            *arguments,
            env=self._environment(),
            stdin=asyncio.subprocess.PIPE if feeds else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE if keeps_complaint else asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(self.timeout_s):
                yield process
        except TimeoutError as error:
            raise SourceUnavailable(f"git took longer than {self.timeout_s:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _environment(self) -> dict[str, str]:
        outside = {name: os.environ[name] for name in _FROM_OUTSIDE if name in os.environ}
        return outside | {
            "GIT_ALLOW_PROTOCOL": self.protocols,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }

    # --- what there is --------------------------------------------------------------------------

    async def commit_of(self, reference: str) -> str:
        """The id of the commit that `reference` names now."""
        status, output = await self.run(
            "rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}", accepted=(0, 1, 128)
        )
        if status:
            raise SourceUnavailable(f"the repository has no {reference}")
        return output.decode().strip()

    async def tree(self, commit: str, paths: Sequence[str] = ()) -> dict[str, Blob]:
        """The files at or below `paths`, or all: by path from the root of the repository."""
        _, output = await self.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--", *paths)
        files: dict[str, Blob] = {}
        for entry in output.split(b"\0")[:-1]:
            described, _, path = entry.partition(b"\t")
            mode, _, oid, size = described.decode().split()
            files[os.fsdecode(path)] = Blob(
                mode=mode, oid=oid, size=int(size) if size.isdecimal() else 0
            )
        return files

    async def body_of(self, blob: Blob, *, max_bytes: int, spool: Spool) -> Body:
        """The bytes of one blob, however many. Raises `LimitExceeded` if they are more than
        `max_bytes`, and `StorageUnavailable` if there is no room for them."""
        if blob.size > max_bytes:
            raise LimitExceeded(f"{blob.size} bytes are more than {max_bytes}")
        arguments = ("cat-file", "blob", blob.oid)
        with spool.writer(max_bytes=max_bytes) as writer:
            async with self._started(*arguments, feeds=False, keeps_complaint=False) as process:
                assert process.stdout is not None  # noqa: S101 - it was asked for
                while piece := await process.stdout.read(PIECE_BYTES):
                    await asyncio.to_thread(writer.write, piece)
                await process.wait()
            if process.returncode:
                raise SourceUnavailable("git cat-file: the content cannot be read")
            return await asyncio.to_thread(writer.finished)

    async def contents(self, blobs: Collection[str], *, max_bytes: int) -> dict[str, bytes]:
        """The bytes of each small blob. Raises `LimitExceeded` if one is larger than `max_bytes`."""
        if not blobs:
            return {}
        wanted = sorted(blobs)
        listed = "".join(f"{oid}\n" for oid in wanted).encode()
        _, sizes = await self.run("cat-file", "--batch-check", feed=listed)
        for line in sizes.decode().splitlines():
            size = line.rpartition(" ")[2]
            if size.isdecimal() and int(size) > max_bytes:
                raise LimitExceeded(f"{size} bytes are more than {max_bytes}")
        _, output = await self.run("cat-file", "--batch", feed=listed)
        found: dict[str, bytes] = {}
        at = 0
        for oid in wanted:
            end = output.index(b"\n", at)
            header = output[at:end].decode().split()
            if len(header) != 3:
                raise SourceUnavailable(f"git cat-file: {' '.join(header)}")
            size = int(header[2])
            found[oid] = output[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
        return found

    # --- what changed ---------------------------------------------------------------------------

    async def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` stands on `old`; also False where `old` is not known any more."""
        status, _ = await self.run("merge-base", "--is-ancestor", old, new, accepted=(0, 1, 128))
        return status == 0

    async def changed(self, old: str, new: str, folder: str) -> list[tuple[str | None, str | None]]:
        """The path before and after of each file that differs: None where it was or is not."""
        _, output = await self.run(
            "diff-tree", "-r", "-z", "-M", "--name-status", "--no-ext-diff", "--no-textconv",
            old, new, "--", *([folder] if folder else []),
        )  # fmt: skip
        fields = iter([os.fsdecode(field) for field in output.split(b"\0")[:-1]])
        found: list[tuple[str | None, str | None]] = []
        for status in fields:
            path = next(fields)
            match status[0]:
                case "R":
                    found.append((path, next(fields)))
                case "C":
                    found.append((None, next(fields)))
                case "A":
                    found.append((None, path))
                case "D":
                    found.append((path, None))
                case _:
                    found.append((path, path))
        return found

    async def last_commits(self, span: str, folder: str) -> Mapping[str, tuple[str, str]]:
        """Path → (moment, author) of the last commit of `span` (a commit, or `old..new`) that
        touched it."""
        _, output = await self.run(
            "log", "-z", "-m", "--name-only", "--no-renames", "--format=%x01%cI%x01%an",
            span, "--", *([folder] if folder else []),
        )  # fmt: skip
        found: dict[str, tuple[str, str]] = {}
        commit = ("", "")
        for field in output.split(b"\0"):
            text = os.fsdecode(field.lstrip(b"\n"))
            if text.startswith("\x01"):
                _, moment, author = text.strip().split("\x01", 2)
                commit = (moment, author)
            elif text:
                found.setdefault(text, commit)
        return found


def _last_line(complaint: bytes) -> str:
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else "it failed and did not say why"
