"""The job ledger: claims from a deep queue, the ledger's cost of a document, and two workers.

Parsing is by lines and embedding by hashing, so that the ledger is what is measured. PostgreSQL
and Redis are real and started here, with fsync on; where they are not installed, that part is left
out and the result says so.

    python tests/benchmarks/bench_jobs.py [--documents N] [--queued N] --out FILE
"""

# ruff: noqa: ASYNC110 - what is waited for is a state of the ledger, which rings no bell

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import root
from processes import cpu_s
from sqlalchemy import Connection, insert

from api.migrations import migrate
from ingestion.batching import BatchingEmbedder
from ingestion.dispatch import running
from ingestion.jobs import sync_job
from ingestion.worker import Tickets, open_redis, serve
from rag.access import TenantId
from rag.storage.database import Database, open_database
from rag.storage.embeddings import CachedEmbedder, EmbeddingCache
from rag.storage.jobs.leases import Leases
from rag.storage.jobs.records import JobKind, JobState, NewJob
from rag.storage.jobs.rows import row_of
from rag.storage.sources.ledger import Sources
from rag.storage.sources.records import SourceState
from rag.storage.tables import JobRow
from rag.types import SourceId
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.standins import FolderInMemory, HashEmbedder
from tests.ports import free_port
from tests.services import postgres_server, redis_server

CLAIMS = 400
SOURCES = 20
LEASE = timedelta(minutes=5)


# --- claiming from a deep queue ------------------------------------------------------------------


async def fill(database: Database, queued: int) -> None:
    """One source with nearly all the jobs, and many with a few each, of two tenants."""
    sources = Sources(database)
    rows: list[dict[str, Any]] = []
    for number in range(SOURCES):
        tenant, source = TenantId(f"tenant {number % 2}"), SourceId(f"source {number}")
        await sources.add_tenant(tenant)
        await sources.register(tenant, kind="m", name=source, settings={}, source=source)
        jobs = queued if number == 0 else CLAIMS // 2
        rows += [
            row_of(
                NewJob(tenant=tenant, source=source, kind=JobKind.UPSERT, uri=f"file {each}"),
                datetime.now(UTC) - timedelta(seconds=jobs - each),
            )
            for each in range(jobs)
        ]

    def work(connection: Connection) -> None:
        for start in range(0, len(rows), 5_000):
            connection.execute(insert(JobRow), rows[start : start + 5_000])

    await database.write(work)


async def claim_times(leases: Leases, number: int) -> dict[str, float]:
    times: list[float] = []
    for _ in range(CLAIMS // number):
        began = perf_counter()
        jobs = await leases.claim_some("bench", lease=LEASE, number=number)
        times.append((perf_counter() - began) * 1_000)
        for job in jobs:
            await leases.done(job, "done")
    return {f"p{share}_ms": round(float(np.percentile(times, share)), 2) for share in (50, 95, 99)}


async def measure_claims(url: str, queued: int) -> dict[str, Any]:
    await migrate(url)
    async with open_database(url) as database:
        await fill(database, queued)
        leases = Leases(database)
        figures: dict[str, Any] = {"queued": queued, "sources": SOURCES}
        figures["one at a time"] = await claim_times(leases, 1)
        figures["eight at a time"] = await claim_times(leases, 8)
        await Sources(database).set_state(
            TenantId("tenant 0"), SourceId("source 0"), SourceState.PAUSED
        )
        figures["with the deep source paused"] = await claim_times(leases, 1)
        return figures


# --- documents -------------------------------------------------------------------------------------


def folder_of(documents: int) -> FolderInMemory:
    folder = FolderInMemory(SOURCE)
    for number in range(documents):
        folder.put(f"file {number}", f"# Head\nText {number} of the file.\nAnother line {number}.")
    return folder


@asynccontextmanager
async def platform_at(
    url: str, folder: Path, documents: int, redis_url: str | None = None
) -> AsyncGenerator[Platform]:
    async with open_database(url) as database:
        embedder = HashEmbedder()
        cached = CachedEmbedder(BatchingEmbedder(embedder), EmbeddingCache(database), TENANT)
        redis = None if redis_url is None else await open_redis(redis_url)
        yield await platform_over(
            database,
            folder,
            embedder=embedder,
            wrapped=cached,
            folder=folder_of(documents),
            announce=None if redis is None else Tickets(redis),
        )
        if redis is not None:
            await redis.aclose()


async def measure_in_process(url: str, folder: Path, documents: int) -> dict[str, Any]:
    """From the end of the listing on; processor time of this process and its servers."""
    await migrate(url)
    async with platform_at(url, folder, documents) as platform:
        [listing] = await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
        dispatcher = platform.dispatcher(concurrency=8)
        async with running(dispatcher, sole=True):
            while (await platform.jobs.get(TENANT, listing)).state is not JobState.DONE:
                await asyncio.sleep(0.02)
            before = (await platform.jobs.counts())[JobState.DONE]
            began, cpu = perf_counter(), cpu_s()
            await dispatcher.idle()
            seconds, cpu = perf_counter() - began, cpu_s() - cpu
        done = (await platform.jobs.counts())[JobState.DONE] - before
    return {
        "documents": done,
        "documents_per_second": round(done / seconds, 1),
        "cpu_ms_a_document": round(cpu / done * 1_000, 2),
    }


async def measure_workers(
    url: str, redis_url: str, folder: Path, *, documents: int, workers: int
) -> dict[str, Any]:
    """Worker processes begin on a full queue; the time is from the first job done to the last."""
    await migrate(url)
    async with platform_at(url, folder, documents, redis_url) as platform:
        listing = await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
        async with running(platform.dispatcher(concurrency=1), sole=False):
            while (await platform.jobs.get(TENANT, listing[0])).state is not JobState.DONE:
                await asyncio.sleep(0.005)
        command = [sys.executable, __file__, "--worker", url, redis_url, str(folder)]
        processes = [
            await asyncio.create_subprocess_exec(*command, str(documents)) for _ in range(workers)
        ]
        try:
            while len(await platform.work.workers.listed()) < workers:
                await asyncio.sleep(0.05)
            before = (await platform.jobs.counts()).get(JobState.DONE, 0)
            began, cpu = perf_counter(), cpu_s()
            while not await platform.jobs.nothing_to_do():
                await asyncio.sleep(0.1)
            seconds, cpu = perf_counter() - began, cpu_s() - cpu
            done = (await platform.jobs.counts())[JobState.DONE] - before
        finally:
            for process in processes:
                process.terminate()
            await asyncio.gather(*(process.wait() for process in processes))
    return {
        "documents": done,
        "documents_per_second": round(done / seconds, 1),
        "cpu_ms_a_document, servers included": round(cpu / done * 1_000, 2),
        "cores_busy": round(cpu / seconds, 2),
    }


async def work_until_told(url: str, redis_url: str, folder: str, documents: str) -> None:
    async with platform_at(url, Path(folder), int(documents)) as platform:
        await serve(platform.work, redis_url, concurrency=8)


async def measure(documents: int, queued: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures["claims, SQLite"] = await measure_claims(f"sqlite:///{folder / 'c.db'}", queued)
        told("claims, SQLite", figures)
        figures["in process, SQLite"] = await measure_in_process(
            f"sqlite:///{folder / 'd.db'}", folder / "d", documents
        )
        told("in process, SQLite", figures)
        with ExitStack() as stack:
            try:
                server = stack.enter_context(postgres_server(durable=True))
                port = free_port()
                stack.enter_context(redis_server(port))
            except pytest.skip.Exception as missing:
                figures["left out"] = str(missing)
                return figures
            await measure_distributed(
                figures, server=server, port=port, folder=folder, documents=documents, queued=queued
            )
    return figures


async def measure_distributed(
    figures: dict[str, Any], *, server: str, port: int, folder: Path, documents: int, queued: int
) -> None:
    databases = iter(("claims", "process", "one", "two", "one_again"))

    async def new() -> str:
        name = next(databases)
        async with (
            open_database(f"{server}/postgres") as database,
            database.reading() as connection,
        ):
            await connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return f"{server}/{name}"

    figures["claims, PostgreSQL"] = await measure_claims(await new(), queued)
    told("claims, PostgreSQL", figures)
    figures["in process, PostgreSQL"] = await measure_in_process(
        await new(), folder / "p", documents
    )
    told("in process, PostgreSQL", figures)
    for number, name in enumerate(("one worker", "two workers", "one worker again")):
        figures[name] = await measure_workers(
            await new(), f"redis://127.0.0.1:{port}/{number}", folder / name,
            documents=documents, workers=2 if name == "two workers" else 1,
        )  # fmt: skip
        told(name, figures)
    one = [figures[name]["documents_per_second"] for name in ("one worker", "one worker again")]
    figures["two against one"] = round(
        figures["two workers"]["documents_per_second"] * 2 / sum(one), 2
    )


def told(name: str, figures: dict[str, Any]) -> None:
    print(name, figures[name], file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["--worker"]:
        asyncio.run(work_until_told(*arguments[1:]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--queued", type=int, default=100_000)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    figures = asyncio.run(measure(chosen.documents, chosen.queued))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    os.chdir(root.ROOT)
    main(sys.argv[1:])
