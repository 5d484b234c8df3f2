"""Memory: the largest that each process of the platform gets, whatever there is to take in.

Few documents, many documents and one long CSV, each in a platform of its own: real folder, parser,
chunker, ledger and index, and embedding by hashing. Of the CSV, the file itself and its parts'
jobs are done to the end; then its parts for so many seconds.

    python tests/benchmarks/bench_memory.py [--documents N,N] [--csv-mb N] [--seconds N] --out FILE
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import root
from reporting import report, told

from api.migrations import migrate
from connectors.filesystem import FilesystemConnector
from connectors.protocols import Connector
from ingestion.chunkers.structural import StructuralChunker
from ingestion.dispatch import Dispatcher, running
from ingestion.jobs import sync_job
from ingestion.parsers.subprocess_parser import open_parser
from rag.adapters.qdrant_edge import open_edge_index
from rag.storage.database import open_database
from rag.storage.documents.records import DocumentState
from rag.storage.jobs.records import JobState
from rag.storage.records import document_id_of
from rag.storage.sources.records import Source
from rag.types import Embedding
from tests.generations import one_generation
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.standins import HashEmbedder

MAX_BYTES = 2 * 1024**3
LOOK_EVERY_S = 0.1
CONCURRENCY = 8
ROW = "O-{0},Customer {1},{2}.50,2026-{3:02}-{4:02},open,delivered by the carrier of week {5}\n"


class Hashing(HashEmbedder):
    """It remembers nothing of what it embedded."""

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        found = await super().embed_documents(texts)
        self.embedded.clear()
        return found


# --- how large the processes get ------------------------------------------------------------------


@dataclass(slots=True)
class Peaks:
    """The largest resident size so far of this process, each parser and the index, in bytes. Linux
    alone tells it; pages of files that are mapped count as well."""

    index: int | None
    platform: int = 0
    parsers: dict[int, int] = field(default_factory=dict[int, int])
    index_bytes: int = 0

    async def watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        self.platform = _largest(os.getpid())
        for process in _children(os.getpid()):
            if process == self.index:
                self.index_bytes = _largest(process)
            else:
                self.parsers[process] = max(self.parsers.get(process, 0), _largest(process))

    def figures(self) -> dict[str, Any]:
        return {
            "platform_mib": round(self.platform / 2**20),
            "largest_parser_mib": round(max(self.parsers.values(), default=0) / 2**20),
            "parsers": len(self.parsers),
            "index_mib": round(self.index_bytes / 2**20),
        }


def _children(process: int) -> list[int]:
    told_by = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for each in told_by for child in each.read_text().split()]


def _largest(process: int) -> int:
    with suppress(OSError):  # it ended meanwhile
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


# --- the platform ----------------------------------------------------------------------------------


@asynccontextmanager
async def opened(documents: Path, place: Path) -> AsyncGenerator[tuple[Platform, Peaks]]:
    url = f"sqlite:///{place / 'rag.db'}"
    await migrate(url)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url))
        embedder = Hashing()
        index = await stack.enter_async_context(
            open_edge_index(place / "index", dimensions=embedder.dimensions)
        )
        platform = await platform_over(database, place, embedder=embedder)
        parser = await stack.enter_async_context(
            open_parser(originals=platform.originals, deadline_s=600)
        )
        generations = one_generation(index, embedder, chunker=StructuralChunker(embedder))
        pipeline = replace(platform.pipeline, parser=parser, generations=generations)
        connector = FilesystemConnector(
            documents, source=SOURCE, max_bytes=MAX_BYTES, spool=platform.originals.spool
        )

        def connect(_source: Source) -> Connector:
            return connector

        platform.work = replace(platform.work, pipeline=pipeline, connect=connect)
        platform.pipeline = pipeline
        peaks = Peaks(index.process_id)
        watching = asyncio.create_task(peaks.watch())
        try:
            yield platform, peaks
            peaks.look()
        finally:
            watching.cancel()


async def chunks_of(platform: Platform) -> int:
    [live] = await platform.pipeline.generations.live()
    return await live.index.count(TENANT)


@asynccontextmanager
async def at_work(platform: Platform) -> AsyncGenerator[Dispatcher]:
    dispatcher = platform.dispatcher(concurrency=CONCURRENCY)
    async with running(dispatcher, sole=True):
        await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
        yield dispatcher


# --- what is taken in ------------------------------------------------------------------------------


async def take_in_documents(number: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        write_documents(place / "documents", number)
        async with opened(place / "documents", place) as (platform, peaks):
            started = perf_counter()
            async with at_work(platform) as dispatcher:
                await dispatcher.idle()
            seconds = perf_counter() - started
            return {
                "documents": number,
                "chunks": await chunks_of(platform),
                "seconds": round(seconds, 1),
                **peaks.figures(),
            }


def write_documents(folder: Path, number: int) -> None:
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [group:staff]\n")
    for each in range(number):
        inner = folder / f"{each // 100:03}"
        inner.mkdir(exist_ok=True)
        parts = [
            f"## Part {part} of note {each}\n\n"
            + " ".join(sentence(each * 7 + line, line * part + each) for line in range(12))
            for part in range(1, 5)
        ]
        (inner / f"note-{each}.md").write_text("\n\n".join(parts))


def sentence(pump: int, hours: int) -> str:
    # Few numbers: caches of words, which are bounded, are then as full after few documents.
    return f"Pump {pump % 499} ran {hours % 97} hours."


async def take_in_csv(mebibytes: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        documents = place / "documents"
        documents.mkdir()
        (documents / ".access.yaml").write_text("readers: [group:staff]\n")
        path = documents / "orders.csv"
        rows = write_csv(path, mebibytes * 2**20)
        container = document_id_of(TENANT, SOURCE, path.as_uri())
        async with opened(documents, place) as (platform, peaks):
            started = perf_counter()
            async with at_work(platform):
                while True:
                    found = await platform.documents.find(TENANT, container)
                    if found is not None and found.state is DocumentState.ACTIVE:
                        break
                    if found is not None and found.error is not None:
                        raise RuntimeError(found.error)
                    await asyncio.sleep(LOOK_EVERY_S)
                taken = perf_counter() - started
                first = peaks.figures()
                before = await platform.jobs.counts()
                await asyncio.sleep(seconds)
            after = await platform.jobs.counts()
            done = after.get(JobState.DONE, 0) - before.get(JobState.DONE, 0)
            chunks = await chunks_of(platform)
            parts = sum(after.values()) - 2  # the sync's own job, and the file's
            return {
                "mebibytes": mebibytes,
                "rows": rows,
                "parts": parts,
                "seconds_until_all_parts_are_kept_and_queued": round(taken, 1),
                "by_then": first,
                "parts_done_then": done,
                "chunks_then": chunks,
                "failed": after.get(JobState.FAILED, 0) + after.get(JobState.DEAD, 0),
                "chunks_a_second": round(chunks / seconds),
                **peaks.figures(),
            }


def write_csv(path: Path, size: int) -> int:
    rows = 0
    with path.open("w") as file:
        written = file.write("order,customer,amount,day,state,note\n")
        while written < size:
            block = "".join(
                ROW.format(at, at % 9_973, at * 7, 1 + at % 12, 1 + at % 28, at % 53)
                for at in range(rows, rows + 10_000)
            )
            written += file.write(block)
            rows += 10_000
    return rows


# --- the command -----------------------------------------------------------------------------------


async def apart(*arguments: str) -> dict[str, Any]:
    """The figures of one measurement, made in a process that has done nothing else."""
    told(" ".join(arguments), 0, 0)
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *arguments, stdout=asyncio.subprocess.PIPE, cwd=root.ROOT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{arguments} ended with {process.returncode}")
    print(output.decode(), file=sys.stderr, flush=True)  # what is next takes long
    return json.loads(output)


async def measure(documents: Sequence[str], mebibytes: int, seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = {
        f"{number} documents": await apart("--only-documents", number) for number in documents
    }
    if mebibytes:
        figures["one CSV"] = await apart("--only-csv", f"{mebibytes}", "--seconds", f"{seconds}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", default="2000,10000")
    parser.add_argument("--csv-mb", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only-documents", type=int)
    parser.add_argument("--only-csv", type=int)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.only_documents:
        figures = asyncio.run(take_in_documents(arguments.only_documents))
    elif arguments.only_csv:
        figures = asyncio.run(take_in_csv(arguments.only_csv, arguments.seconds))
    else:
        said: str = arguments.documents
        wanted = [number for number in said.split(",") if number]
        figures = asyncio.run(measure(wanted, arguments.csv_mb, arguments.seconds))
    report(figures, arguments.out)


if __name__ == "__main__":
    main()
