"""A process that ingests a small folder until it is killed; `test_kill.py` runs it.

`python -m tests.ingestion.killed DATABASE_URL FOLDER SEED KILLS`: forks as many ingesting
children, kills each at a random moment, and lets a last one end in peace.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from ingestion.dispatch import running
from ingestion.jobs import sync_job
from rag.storage.database import open_database
from tests.ingestion.platform import SOURCE, TENANT, platform_over
from tests.ingestion.standins import FileIndex, FolderInMemory

STATES = 3


def folder_at(state: int) -> FolderInMemory:
    """The same folder at three moments: files come, change, move between readers and go."""
    folder = FolderInMemory(SOURCE)
    rng = random.Random(5)
    for number in range(12):
        lines = [f"Line {line} of {number}: {rng.random()}." for line in range(6)]
        lines[state] = f"Edited in state {state}."
        if (number + state) % 4:
            folder.put(f"file {number}", "\n".join(lines))
    folder.put("broken", "!broken")
    return folder


async def ingest(url: str, root: Path, state: int) -> None:
    async with open_database(url) as database:
        platform = await platform_over(
            database, root, index=FileIndex(root / "index"), folder=folder_at(state)
        )
        dispatcher = platform.dispatcher()
        async with running(dispatcher, sole=True):
            await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
            await dispatcher.idle()


def run_child(url: str, root: Path, state: int) -> int:
    child = os.fork()
    if child == 0:
        asyncio.run(ingest(url, root, state))
        os._exit(0)
    return child


def main(url: str, folder: str, seed: str, kills: str) -> None:
    rng = random.Random(seed)
    root = Path(folder)
    for state in range(STATES):
        for _ in range(int(kills)):
            child = run_child(url, root, state)
            time.sleep(rng.uniform(0.01, 0.45))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        _, status = os.waitpid(run_child(url, root, state), 0)
        if status:
            sys.exit("the undisturbed run failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
