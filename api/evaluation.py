"""Measuring the platform as it is set up: a fresh data directory, the ordinary pipeline, real asks."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

from api.platform import Platform
from api.settings import Settings
from api.trails import evaluated
from api.wiring import Connect, open_platform
from connectors.beir import BeirConnector
from connectors.protocols import Connector
from rag.access import TenantId, scope_of
from rag.asking_protocols import NoMemory
from rag.errors import ConfigurationError
from rag.evaluation.beir import BeirDataset, BeirQuery, evaluate_beir, read_beir
from rag.evaluation.golden import GoldenCase, GoldenResult, read_golden, report_of, run_golden
from rag.storage.jobs.records import JobKind, JobState, NewJob
from rag.types import Answer, Mode, Query, Refusal, RetrievedChunk, SourceId

BEIR, FILESYSTEM = "beir", "filesystem"
HITS = 100
"""Chunks asked for a query, so that recall@100 has documents to count."""

_POLL_S = 0.3

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    documents: int
    chunks: int
    failed: int
    seconds: float

    def report(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "chunks": self.chunks,
            "failed": self.failed,
            "ingest_seconds": round(self.seconds, 2),
            "chunks_per_second": round(self.chunks / self.seconds, 2) if self.seconds else 0.0,
        }


async def evaluate_beir_folder(
    settings: Settings,
    folder: Path,
    *,
    mode: Mode,
    rerank: bool,
    limit: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """The figures of `rag eval beir` (INTERFACE): retrieval and ingest of one data set."""
    dataset = await asyncio.to_thread(read_beir, folder, limit=limit)
    tenant = TenantId(settings.tenant)
    async with fresh_platform(settings, connect=beir_connect(dataset)) as platform:
        ingested = await ingest_source(platform, BEIR, {}, progress)
        asked = 0

        async def search(query: BeirQuery) -> Sequence[RetrievedChunk]:
            nonlocal asked
            asked += 1
            progress("searching", asked, len(dataset.queries))
            retrieved = await platform.retriever.retrieve(
                Query(
                    text=query.text,
                    scope=scope_of(query.principal(tenant)),
                    limit=HITS,
                    mode=mode,
                    rerank=rerank,
                )
            )
            return retrieved.hits

        figures = await evaluate_beir(dataset, search)
        return {
            **figures,
            **ingested.report(),
            "mode": mode.value,
            "rerank": rerank,
            "fusion": settings.retrieval.fusion,
            "embedder": platform.embedder.name,
            "reranker": settings.retrieval.rerank if rerank else None,
        }


async def evaluate_golden_folder(
    settings: Settings, folder: Path, *, at_once: int = 1, progress: Progress
) -> tuple[dict[str, Any], list[GoldenResult]]:
    """The figures of `rag eval golden`, and what came of each case."""
    cases = await asyncio.to_thread(read_golden, folder)
    documents = await asyncio.to_thread((folder / "documents").resolve)
    async with fresh_platform(settings) as platform:
        ingested = await ingest_source(platform, FILESYSTEM, {"root": str(documents)}, progress)
        results = await golden_results(
            platform, cases, documents=documents, at_once=at_once, progress=progress
        )
        return {**report_of(results), **ingested.report()}, results


async def golden_results(
    platform: Platform,
    cases: Sequence[GoldenCase],
    *,
    documents: Path,
    at_once: int = 1,
    progress: Progress,
) -> list[GoldenResult]:
    """What comes of each case where the folder `documents`, an absolute path, was ingested."""
    tenant = TenantId(platform.settings.tenant)
    answerer = replace(platform.answerer, memory=NoMemory())
    asked = 0

    async def search(case: GoldenCase) -> Sequence[RetrievedChunk]:
        query = Query(text=case.question, scope=scope_of(case.principal(tenant)))
        return (await platform.retriever.retrieve(query)).hits

    async def ask(case: GoldenCase) -> Answer | Refusal:
        nonlocal asked
        outcome = await answerer.ask(evaluated(case.question, case.principal(tenant)))
        asked += 1
        progress("asking", asked, len(cases))
        return outcome

    return await run_golden(
        cases,
        search=search,
        ask=ask,
        documents_uri=documents.as_uri(),
        at_once=at_once,
    )


@asynccontextmanager
async def fresh_platform(
    settings: Settings, *, connect: Connect | None = None
) -> AsyncGenerator[Platform]:
    """The platform as `settings` have it, on a data directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rag-evaluation-") as folder:
        aside = {
            "data_dir": Path(folder),
            "database_url": None,
            "qdrant_url": None,
            "redis_url": None,
        }
        async with open_platform(settings.model_copy(update=aside), connect=connect) as platform:
            await platform.sources.add_tenant(TenantId(settings.tenant))
            yield platform


def beir_connect(dataset: BeirDataset) -> Connect:
    @cache  # every job connects, and each time would index all documents anew
    def connector_of(source: SourceId) -> Connector:
        return BeirConnector.over(dataset, source=source)

    return lambda source: connector_of(source.id)


async def ingest_source(
    platform: Platform, kind: str, settings: dict[str, Any], progress: Progress
) -> Ingested:
    """Sync a new source of `kind` and wait until all its jobs have ended."""
    tenant = TenantId(platform.settings.tenant)
    started = perf_counter()
    source = await platform.sources.register(tenant, kind=kind, name=kind, settings=settings)
    job = NewJob(tenant=tenant, source=source.id, kind=JobKind.SYNC)
    [sync] = await platform.jobs.enqueue([job])
    while True:
        listing = await platform.jobs.get(tenant, sync)
        done = await platform.sources.progress(tenant, source.id)
        progress("ingesting", done.done + done.failed, done.listed)
        if listing.state in {JobState.FAILED, JobState.DEAD}:
            raise ConfigurationError(f"the documents cannot be listed: {listing.error}")
        if listing.state is JobState.DONE and not done.pending:
            break
        await asyncio.sleep(_POLL_S)
    return Ingested(
        documents=done.done,
        chunks=await (await platform.generations.serving()).index.count(tenant),
        failed=done.failed,
        seconds=perf_counter() - started,
    )
