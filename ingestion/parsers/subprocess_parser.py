"""The parser the rest of the platform sees: a pool of child processes that can be killed."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import ingestion
from connectors.protocols import Resource
from ingestion.parsers.child import OUT_OF_MEMORY
from ingestion.parsers.model import MEBIBYTE, Extracted, Limits, RawFile
from ingestion.parsers.wire import LENGTH, MAX_REPLY_BYTES, packed_request, read_reply
from ingestion.protocols import ParsedDocument
from rag.errors import ConfigurationError, LimitExceeded, ParseError

PARSER_VERSION = "1"
"""Raised whenever the same bytes would be read differently: every document is then read anew."""
_LIBRARIES = ("unstructured", "pypdfium2", "pdfplumber", "python-calamine")
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
) -> AsyncGenerator["SubprocessParser"]:
    """A parser with at most `workers` children, started when they are first needed.

    `memory_bytes` is each child's address space, `deadline_s` what one file may take. `limits`
    replaces the ordinary limits, `max_pages` included.
    """
    with tempfile.TemporaryDirectory(prefix="parser-") as folder:
        parser = SubprocessParser(
            limits=limits or Limits(max_pages=max_pages),
            memory_bytes=memory_bytes,
            deadline_s=deadline_s,
            folder=Path(folder),
            workers=workers,
        )
        try:
            yield parser
        finally:
            await parser.aclose()


class SubprocessParser:
    """Implements `ingestion.protocols.Parser`. Made by `open_parser`."""

    def __init__(
        self, *, limits: Limits, memory_bytes: int, deadline_s: float, folder: Path, workers: int
    ) -> None:
        self._deadline_s = deadline_s
        self._settings = json.dumps({"limits": asdict(limits), "memory_bytes": memory_bytes})
        self._folder = folder
        self._places = asyncio.Semaphore(workers)
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()
        libraries = " ".join(f"{name}-{version(name)}" for name in _LIBRARIES)
        self._name = f"parsers-{PARSER_VERSION} {libraries}"

    @property
    def name(self) -> str:
        return self._name

    async def parse(self, resource: Resource) -> ParsedDocument:
        file = RawFile(
            name=_name_of(resource.uri), media_type=resource.media_type, body=resource.body
        )
        async with self._places:
            try:
                extracted = await self._extract(file)
            except _DiedInUse:  # perhaps of an earlier file: only a fresh child's death counts
                extracted = await self._extract(file, fresh=True)
        return ParsedDocument(
            title=extracted.title or resource.title,
            sections=extracted.sections,
            parser=self._name,
            metadata=extracted.metadata,
            warnings=extracted.warnings,
        )

    async def aclose(self) -> None:
        """End every child. A parse that still runs fails."""
        for child in tuple(self._all):
            await self._end(child)

    def owns(self, pid: int) -> bool:
        """Whether the process `pid` is one of its children."""
        return any(child.process.pid == pid for child in self._all)

    async def _extract(self, file: RawFile, *, fresh: bool = False) -> Extracted:
        child = await (self._start() if fresh else self._take())
        usable = False
        try:
            async with asyncio.timeout(self._deadline_s):
                reply = await child.ask(file)
            usable = child.process.returncode is None and child.asked < _DOCUMENTS_A_CHILD
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
                self._idle.append(child)
            else:
                await self._end(child)
        return read_reply(reply)

    async def _take(self) -> "_Child":
        while self._idle:
            child = self._idle.pop()
            if child.process.returncode is None:
                return child
            await self._end(child)
        return await self._start()

    async def _start(self) -> "_Child":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "ingestion.parsers.child",
            self._settings,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self._folder,
            env=_environment(os.environ, self._folder),
            start_new_session=True,
        )
        child = _Child(process)
        self._all.add(child)
        try:
            async with asyncio.timeout(_START_S):
                await child.reply()
        except BaseException as error:
            await self._end(child)
            if isinstance(error, TimeoutError | EOFError | ConnectionError):
                raise ConfigurationError("the parsing process does not start") from error
            raise
        return child

    async def _end(self, child: "_Child") -> None:
        self._all.discard(child)
        await child.kill()


class _DiedInUse(Exception):  # noqa: N818 - a signal inside this module
    """A child that had read other files before died on this one."""


@dataclass(slots=True, eq=False)
class _Child:
    process: asyncio.subprocess.Process
    asked: int = field(default=0)

    async def ask(self, file: RawFile) -> bytes:
        """Its reply. Raises `EOFError` or `ConnectionError` if it dies instead."""
        self.asked += 1
        stdin = self.process.stdin
        if stdin is None:
            raise EOFError
        stdin.writelines(packed_request(file))
        await stdin.drain()
        return await self.reply()

    async def reply(self) -> bytes:
        stdout = self.process.stdout
        if stdout is None:
            raise EOFError
        length = LENGTH.unpack(await stdout.readexactly(LENGTH.size))[0]
        if length > MAX_REPLY_BYTES:
            raise LimitExceeded("the text that was found is too long")
        return await stdout.readexactly(length)

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
    return PurePosixPath(unquote(urlsplit(uri).path)).name
