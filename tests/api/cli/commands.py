"""Running `rag` as people do: as a process of its own, on a data directory of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RAG = (sys.executable, "-m", "api.cli")
PATIENCE_S = 120.0
"""What no command takes, even on a busy machine: a test that hangs ends."""


@dataclass(frozen=True, slots=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """`rag` with one data directory."""

    data_dir: Path

    async def run(self, *words: str) -> Ran:
        async with self.started(*words) as process:
            async with asyncio.timeout(PATIENCE_S):
                out, err = await process.communicate()
            return Ran(process.returncode or 0, out.decode(), err.decode())

    @asynccontextmanager
    async def started(self, *words: str) -> AsyncGenerator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *RAG,
            *words,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
        """A running server on a free port, and where it serves."""
        async with self.started("serve", "--port", "0") as process:
            yield process, await first_line(process)

    @contextmanager
    def in_the_background(self, *words: str) -> Generator[None]:
        """For fixtures that several tests share. `words` tell what they do on standard output."""
        with subprocess.Popen(
            (*RAG, *words),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline()
                yield
            finally:
                process.terminate()

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name[:4] != "RAG_"}
        return {**inherited, "RAG_DATA_DIR": str(self.data_dir)}


async def first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        return (await process.stdout.readline()).decode()


async def ended(process: asyncio.subprocess.Process, how: signal.Signals) -> int:
    """The exit status of a process that is sent `how`."""
    process.send_signal(how)
    async with asyncio.timeout(PATIENCE_S):
        return await process.wait()
