"""Jobs wait while memory is short, say so, and go on; but one may always run."""
# ruff: noqa: ASYNC110 - what is waited for is a state of the ledger, which rings no bell

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ingestion.dispatch import running
from ingestion.jobs import sync_job
from ingestion.memory import MemoryBound, default_bound_bytes, machine_bytes, resident_bytes
from rag.storage.database import Database
from rag.storage.jobs.records import JobState
from tests.ingestion.platform import SOURCE, TENANT, platform_over
from tests.ingestion.test_dispatch import SlowParser

MIB = 2**20


def test_the_memory_of_children_counts() -> None:
    alone = resident_bytes()
    program = f"x = bytearray({200 * MIB}); print('ready', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    with_child = resident_bytes()
    child.communicate(b"\n")
    assert 200 * MIB < with_child - alone < 400 * MIB
    assert resident_bytes() < with_child - 150 * MIB


def test_the_bound_is_below_what_the_machine_has() -> None:
    machine, bound = machine_bytes(), default_bound_bytes()
    assert machine is not None and bound is not None
    assert 0 < bound < machine


def test_an_excess_is_told_in_words() -> None:
    assert MemoryBound(10 * MIB, lambda: 5 * MIB).excess() is None
    told = MemoryBound(10 * MIB, lambda: 2_000 * MIB).excess()
    assert told == "memory: 2,000 MiB in use, the bound is 10 MiB"


@dataclass
class Memory:
    """A process whose memory the test decides."""

    bytes: int

    def __call__(self) -> int:
        return self.bytes


async def test_above_the_bound_one_job_runs_and_below_it_the_others_do(
    sqlite_database: Database, tmp_path: Path
) -> None:
    parser, memory = SlowParser(), Memory(20 * MIB)
    platform = await platform_over(sqlite_database, tmp_path, parser=parser)
    for number in range(6):
        platform.folder.put(f"file {number}", f"Text {number}.")
    await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    dispatcher = platform.dispatcher(memory=MemoryBound(10 * MIB, memory))
    async with running(dispatcher, sole=True), asyncio.timeout(30):
        await parser.began.wait()
        while (await platform.jobs.counts()).get(JobState.DONE) != 1:  # the listing
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert parser.at_once == 1, "memory that no job took must not stop all work"
        [worker] = await platform.work.workers.listed()
        assert worker.paused == "memory: 20 MiB in use, the bound is 10 MiB"
        memory.bytes = 5 * MIB
        while parser.at_once < 4:
            await asyncio.sleep(0.01)
        parser.go_on.set()
        await dispatcher.idle()
    assert len(await platform.texts_seen_by("group:finance")) == 6
