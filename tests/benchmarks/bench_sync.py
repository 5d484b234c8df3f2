"""Synchronising: the sample company and many small files again unchanged, and with other readers.

The sample company is parsed and embedded as in production. The small files are parsed by lines and
embedded by hashing, into the index of production, so that the sync itself is what is measured.

    python tests/benchmarks/bench_sync.py [--files N] [--skip-company] --out FILE
"""

import argparse
import asyncio
import os
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import root
from reporting import report, told

from api.evaluation import fresh_platform
from api.migrations import migrate
from api.settings import Settings
from connectors.filesystem import FilesystemConnector
from connectors.protocols import Connector
from ingestion.dispatch import running
from ingestion.jobs import run_job, sync_job
from rag.access import Principal, PrincipalId, TenantId, scope_of
from rag.adapters.qdrant_edge import open_edge_index
from rag.protocols import Index
from rag.storage.database import open_database
from rag.storage.documents.passages import Passages
from rag.storage.sources.records import Source, Tally
from tests.generations import with_index
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.standins import HashEmbedder
from tests.syncing import sync

ROUNDS = 3
"""Unchanged syncs, of which the median counts."""


async def measure_company() -> dict[str, Any]:
    """The first sync against those after it, in the platform as it is."""
    async with fresh_platform(Settings()) as platform:
        with tempfile.TemporaryDirectory() as folder:
            documents = Path(folder) / "documents"
            shutil.copytree(root.ROOT / "corpora" / "aldermoor" / "documents", documents)
            source = await platform.sources.register(
                TenantId(platform.settings.tenant),
                kind="filesystem",
                name="company",
                settings={"root": str(documents)},
            )
            first = await timed(sync(platform, source))
            again = [await timed(sync(platform, source)) for _ in range(ROUNDS)]
            count = await platform.sources.document_counts(source.tenant, source.id)
            return {"documents": sum(count.values()), **compared(first, again)}


async def measure_files(files: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        documents = place / "documents"
        write_files(documents, files)
        url = f"sqlite:///{place / 'rag.db'}"
        await migrate(url)
        async with (
            open_database(url) as database,
            open_edge_index(place / "index", dimensions=HashEmbedder.dimensions) as index,
        ):
            platform = await platform_over(database, place)
            connector: Connector = FilesystemConnector(documents, source=SOURCE)

            def connect(_source: Source) -> Connector:
                return connector

            generations = with_index(platform.pipeline.generations, index)
            pipeline = replace(platform.pipeline, generations=generations)
            platform.work = replace(platform.work, pipeline=pipeline, connect=connect)

            first = await timed(follow(platform))
            told("first sync", files, files)
            again = [await timed(follow(platform)) for _ in range(ROUNDS)]
            platform.embedder.embedded.clear()
            (documents / ".access.yaml").write_text("readers: [group:board]\n")
            started = perf_counter()
            tally = await listing(platform)
            listed = perf_counter() - started
            await follow(platform)
            seconds = perf_counter() - started
            await check_readers(platform, index, files)
            return {
                "documents": files,
                **compared(first, again),
                "access_change": {
                    "found": asdict(tally),
                    "listed_seconds": round(listed, 2),
                    "seconds": round(seconds, 2),
                    "embedded": len(platform.embedder.embedded),
                },
            }


def write_files(documents: Path, files: int) -> None:
    documents.mkdir()
    (documents / ".access.yaml").write_text("readers: [group:staff]\n")
    for number in range(files):
        folder = documents / f"{number // 100:03}"
        folder.mkdir(exist_ok=True)
        lines = [f"Line {line} of file {number} says {number * line}." for line in range(5)]
        path = folder / f"note-{number}.txt"
        path.write_text("\n".join(lines))
        os.utime(path, ns=(number * 1_000, number * 1_000))


async def follow(platform: Platform) -> None:
    """A sync and everything that it leads to."""
    async with running(platform.dispatcher(concurrency=8), sole=True) as dispatcher:
        await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
        await dispatcher.idle()


async def listing(platform: Platform) -> Tally:
    """The sync alone: its jobs are left to be done."""
    source = await platform.sources.get(TENANT, SOURCE)
    [job] = await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    claimed = await platform.leases.claim("bench", lease=platform.work.lease)
    assert claimed is not None and claimed.id == job
    await run_job(claimed, platform.work)
    found = (await platform.sources.get(TENANT, source.id)).tally
    assert found is not None
    return found


async def check_readers(platform: Platform, index: Index, files: int) -> None:
    """The new readers find everything, the old ones nothing."""
    count = await index.count(TENANT)
    for group, expected in (("group:board", True), ("group:staff", False)):
        person = Principal(TENANT, PrincipalId("user:1"), frozenset({PrincipalId(group)}))
        scope = scope_of(person)
        hits = await index.search_sparse("Line file says", scope=scope, filters={}, limit=100)
        passages = await Passages(platform.database).readable(
            [hit.chunk for hit in hits], scope=scope
        )
        if bool(passages) is not expected:
            raise RuntimeError(f"{group} sees {len(passages)} passages of {count}, {files} files")


async def timed(work: Any) -> float:
    started = perf_counter()
    await work
    return perf_counter() - started


def compared(first: float, again: list[float]) -> dict[str, Any]:
    median = sorted(again)[len(again) // 2]
    return {
        "first_seconds": round(first, 2),
        "again_seconds": [round(seconds, 3) for seconds in again],
        "times_faster": round(first / median, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--skip-company", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    if not arguments.skip_company:
        figures["sample company"] = asyncio.run(measure_company())
    figures["small files"] = asyncio.run(measure_files(arguments.files))
    report(figures, arguments.out)


if __name__ == "__main__":
    main()
