"""The parser the rest of the platform sees: a pool of child processes that can be killed."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import ingestion
from connectors.containers import Room
from connectors.protocols import Resource
from ingestion.members import MEMBER_MARK
from ingestion.parsers.child import OUT_OF_MEMORY
from ingestion.parsers.model import MEBIBYTE, Extracted, Limits, RawFile
from ingestion.parsers.readers import parser_name
from ingestion.parsers.scratch import empty, scratch_folder
from ingestion.parsers.wire import (
    LENGTH,
    MAX_REPLY_BYTES,
    packed_request,
    read_member_head,
    read_reply,
)
from ingestion.protocols import ChildResource, ParsedDocument
from rag.bodies import PIECE_BYTES, SMALL_BYTES, Body, Spool
from rag.errors import ConfigurationError, LimitExceeded, ParseError, PermanentError
from rag.storage.originals import Originals

_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TESSDATA_PREFIX",
    "PYPANDOC_PANDOC",
    "LD_LIBRARY_PATH",
)
"""The only variables of our environment that a child sees: nothing in them is a secret."""
_START_S = 120.0
_DOCUMENTS_A_CHILD = 2_000
"""After so many a child is replaced: what libraries leak stays bounded, as its memory is anyway.
Starting one takes some 4 s of a core, as long as reading hundreds of plain files."""


@asynccontextmanager
async def open_parser(
    *,
    workers: int = 1,
    memory_bytes: int = 2048 * MEBIBYTE,
    deadline_s: float = 120.0,
    max_pages: int = 2000,
    limits: Limits | None = None,
    room: Room | None = None,
    originals: Originals | None = None,
) -> AsyncGenerator["SubprocessParser"]:
    """A parser with at most `workers` children, started when they are first needed.

    `memory_bytes` is each child's address space, `deadline_s` what one file may take. `limits`
    replaces the ordinary limits, `max_pages` included; `room` is what may come out of one
    container. The files found inside others go to `originals`; without it they are forgotten with
    the parser.
    """
    with scratch_folder() as folder:
        parser = SubprocessParser(
            limits=limits or Limits(max_pages=max_pages),
            memory_bytes=memory_bytes,
            deadline_s=deadline_s,
            folder=folder,
            workers=workers,
            room=room or Room(),
            originals=originals or Originals(folder / "kept"),
        )
        try:
            yield parser
        finally:
            await parser.aclose()


class SubprocessParser:
    """Implements `ingestion.protocols.Parser`. Made by `open_parser`."""

    def __init__(
        self,
        *,
        limits: Limits,
        memory_bytes: int,
        deadline_s: float,
        folder: Path,
        workers: int,
        room: Room,
        originals: Originals,
    ) -> None:
        self._max_member_bytes = limits.max_member_bytes
        self._room = room
        self._originals = originals
        self._deadline_s = deadline_s
        self._settings = json.dumps({"limits": asdict(limits), "memory_bytes": memory_bytes})
        self._folder = folder
        self._places = asyncio.Semaphore(workers)
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()

    def name_for(self, resource: Resource) -> str:
        return parser_name(_name_of(resource.uri), resource.media_type)

    async def parse(self, resource: Resource) -> ParsedDocument:
        body = resource.body
        if body.path is None and body.size > SMALL_BYTES:  # a pipe would hold it once more
            body = await asyncio.to_thread(self._originals.spool.copied, body.open())
        file = RawFile(
            name=_name_of(resource.uri),
            media_type=resource.media_type,
            body=body.read() if body.path is None else b"",
            path=body.path,
            room=self._room if resource.container is None else resource.container.room,
        )
        async with self._places:
            try:
                extracted, children = await self._extract(file)
            except _DiedInUse:  # perhaps of an earlier file: only a fresh child's death counts
                extracted, children = await self._extract(file, fresh=True)
        return ParsedDocument(
            title=extracted.title or resource.title,
            sections=extracted.sections,
            parser=self.name_for(resource),
            metadata=extracted.metadata,
            warnings=extracted.warnings,
            children=children,
            room=file.room,
        )

    async def aclose(self) -> None:
        """End every child. A parse that still runs fails."""
        for child in tuple(self._all):
            await self._end(child)

    def owns(self, pid: int) -> bool:
        """Whether the process `pid` is one of its children."""
        return any(child.process.pid == pid for child in self._all)

    async def _extract(
        self, file: RawFile, *, fresh: bool = False
    ) -> tuple[Extracted, tuple[ChildResource, ...]]:
        child = await (self._start() if fresh else self._take())
        usable = False
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await self._ask(child, file)
            usable = child.process.returncode is None and child.asked < _DOCUMENTS_A_CHILD
        except PermanentError:
            usable = child.is_idle and child.process.returncode is None
            raise
        except TimeoutError as error:
            raise LimitExceeded(f"reading it took more than {self._deadline_s:g} s") from error
        except (EOFError, ConnectionError) as error:
            status = await child.status()
            if child.asked > 1:
                raise _DiedInUse from error
            if status in {OUT_OF_MEMORY, -signal.SIGKILL, -signal.SIGABRT}:
                raise LimitExceeded("reading it takes too much memory") from error
            raise ParseError(f"the parsing process died on it (status {status})") from error
        finally:
            if usable:
                empty(child.scratch)
                self._idle.append(child)
            else:
                await self._end(child)
        return found

    async def _ask(
        self, child: "_Child", file: RawFile
    ) -> tuple[Extracted, tuple[ChildResource, ...]]:
        await child.send(file)
        try:
            extracted = read_reply(await child.frame())
            children = await self._take_members(child, file.room)
        except PermanentError as error:
            # Where it said so itself, and is not what we made of nonsense, it waits for the next.
            child.is_idle = error.__cause__ is None
            raise
        child.is_idle = True
        return extracted, children

    async def _take_members(self, child: "_Child", room: Room) -> tuple[ChildResource, ...]:
        """Keep the files inside the file one by one, believing no size that the child states."""
        children: list[ChildResource] = []
        left = room.bytes
        while (head := read_member_head(await child.frame())) is not None:
            left -= head.size
            if len(children) == room.files or left < 0 or head.size > self._max_member_bytes:
                raise LimitExceeded("more lies in it than there is room for") from None
            digest = await self._originals.store(
                await child.taken(head.size, self._originals.spool)
            )
            children.append(
                ChildResource(
                    path=head.path,
                    media_type=head.media_type,
                    body=digest,
                    size=head.size,
                    is_part=head.is_part,
                )
            )
        return tuple(children)

    async def _take(self) -> "_Child":
        while self._idle:
            child = self._idle.pop()
            if child.process.returncode is None:
                return child
            await self._end(child)
        return await self._start()

    async def _start(self) -> "_Child":
        scratch = Path(tempfile.mkdtemp(dir=self._folder))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "ingestion.parsers.child",
            self._settings,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=scratch,
            env=_environment(os.environ, scratch),
            start_new_session=True,
        )
        child = _Child(process, scratch)
        self._all.add(child)
        try:
            async with asyncio.timeout(_START_S):
                await child.frame()
        except BaseException as error:
            await self._end(child)
            if isinstance(error, TimeoutError | EOFError | ConnectionError):
                raise ConfigurationError("the parsing process does not start") from error
            raise
        return child

    async def _end(self, child: "_Child") -> None:
        self._all.discard(child)
        await child.kill()
        await asyncio.to_thread(shutil.rmtree, child.scratch, ignore_errors=True)


class _DiedInUse(Exception):  # noqa: N818 - a signal inside this module
    """A child that had read other files before died on this one."""


@dataclass(slots=True, eq=False)
class _Child:
    """Its methods raise `EOFError` or `ConnectionError` if it dies instead of answering."""

    process: asyncio.subprocess.Process
    scratch: Path
    """The only place it is told to write in."""
    asked: int = field(default=0)
    is_idle: bool = field(default=True)
    """Whether its last answer is read to the end."""

    async def send(self, file: RawFile) -> None:
        self.asked += 1
        self.is_idle = False
        stdin = self.process.stdin
        if stdin is None:
            raise EOFError
        stdin.writelines(packed_request(file))
        await stdin.drain()

    async def frame(self) -> bytes:
        length = LENGTH.unpack(await self.body(LENGTH.size))[0]
        if length > MAX_REPLY_BYTES:
            raise LimitExceeded("the text that was found is too long") from None
        return await self.body(length)

    async def body(self, size: int) -> bytes:
        stdout = self.process.stdout
        if stdout is None:
            raise EOFError
        return await stdout.readexactly(size)

    async def taken(self, size: int, spool: Spool) -> Body:
        with spool.writer() as writer:
            for start in range(0, size, PIECE_BYTES):
                piece = await self.body(min(PIECE_BYTES, size - start))
                if size <= SMALL_BYTES:
                    writer.write(piece)
                else:
                    await asyncio.to_thread(writer.write, piece)
            return await asyncio.to_thread(writer.finished)

    async def status(self) -> int | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                return await self.process.wait()
        return None

    async def kill(self) -> None:
        """End it and what it started (pandoc, tesseract): they share its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.stdin is not None:
            self.process.stdin.close()
        await asyncio.shield(self.process.wait())


def _environment(ours: Mapping[str, str], folder: Path) -> dict[str, str]:
    package_root = Path(ingestion.__file__).parents[1]
    return {
        **{name: ours[name] for name in _PASSED_ON if name in ours},
        "PYTHONPATH": str(package_root),
        "PYTHONIOENCODING": "utf-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "DO_NOT_TRACK": "1",
        "UNSTRUCTURED_DISABLE_NOTICE": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "OMP_THREAD_LIMIT": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _name_of(uri: str) -> str:
    container, _, member = uri.rpartition(MEMBER_MARK)
    return PurePosixPath(unquote(member if container else urlsplit(uri).path)).name
