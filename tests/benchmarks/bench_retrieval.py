"""SciFact and the sample company through the ordinary pipeline: ingest speed and retrieval quality.

Ingest is compared with the bare embedder on the same chunk texts, before and after in the same run,
by the clock and by the processor's time, which a busy machine changes less. Retrieval is measured
for each search alone, each fusion, and with the default reranker.

    python tests/benchmarks/bench_retrieval.py --scifact DIR [--documents N] [--ingest-only] --out FILE
"""

import argparse
import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from processes import cpu_s
from public_data import SCIFACT
from reporting import report, told

from api.evaluation import HITS, beir_connect, fresh_platform, ingest_source
from api.platform import Platform
from api.settings import Settings
from connectors.beir import BeirConnector
from connectors.protocols import Connector, Listed
from connectors.registry import build_connector
from ingestion.chunkers.structural import StructuralChunker
from ingestion.describing import document_of, ref_of, version_of
from ingestion.parsers.subprocess_parser import open_parser
from rag.access import TenantId, scope_of
from rag.asking_protocols import Retriever
from rag.evaluation.beir import BeirDataset, BeirQuery, evaluate_beir, read_beir
from rag.fusion import Fusion, normalised_sum_fusion, reciprocal_rank_fusion
from rag.types import Mode, Query, RetrievedChunk, SourceId

ROOT = Path(__file__).parents[2]
SAMPLED = SourceId("sampled")
BARE_DOCUMENTS = 600
"""Documents on whose chunks the bare embedder is timed: some 1,500, enough for a steady figure."""

RUNS: tuple[tuple[str, Mode, Fusion, bool], ...] = (
    ("dense", Mode.DENSE, normalised_sum_fusion, False),
    ("bm25", Mode.SPARSE, normalised_sum_fusion, False),
    ("rrf", Mode.HYBRID, reciprocal_rank_fusion, False),
    ("normalised sum", Mode.HYBRID, normalised_sum_fusion, False),
    ("normalised sum, reranked", Mode.HYBRID, normalised_sum_fusion, True),
)


@dataclass(frozen=True, slots=True)
class Bare:
    """The embedder alone, once through `texts` texts."""

    texts: int
    seconds: float
    cpu_seconds: float


async def sampled_texts(platform: Platform, connector: Connector) -> list[str]:
    """What of a sample of the documents will be embedded: parsed and chunked as the pipeline does."""
    settings = platform.settings.ingestion
    chunker = StructuralChunker(
        platform.embedder, target_tokens=settings.chunk_tokens, overlap=settings.overlap
    )
    listed = [found async for found in connector.listing() if isinstance(found, Listed)]
    texts: list[str] = []
    async with open_parser(workers=settings.parsers) as parser:
        for found in random.Random(7).sample(listed, min(BARE_DOCUMENTS, len(listed))):
            resource = await connector.fetch(found.uri)
            ref = ref_of(TenantId(platform.settings.tenant), connector.source, found.uri)
            version = version_of(resource, parser)
            parsed = await parser.parse(resource)
            document = document_of(ref, resource, parsed, version)
            texts += [chunk.embedded_text for chunk in await chunker.chunk(document)]
    return texts


async def bare_embedding(platform: Platform, texts: Sequence[str]) -> Bare:
    started, cpu = perf_counter(), cpu_s()
    await platform.embedder.embed_documents(texts)
    return Bare(len(texts), perf_counter() - started, cpu_s() - cpu)


async def measure_ingest(
    platform: Platform, kind: str, settings: dict[str, Any], connector: Connector
) -> dict[str, Any]:
    """Bare before and after, so that a machine that slows down meanwhile does not tell."""
    texts = await sampled_texts(platform, connector)
    before = await bare_embedding(platform, texts)
    cpu = cpu_s()
    ingested = await ingest_source(platform, kind, settings, told)
    cpu = cpu_s() - cpu
    after = await bare_embedding(platform, texts)
    figures = ingested.report()
    bare = 2 * len(texts) / (before.seconds + after.seconds)
    bare_cpu = (before.cpu_seconds + after.cpu_seconds) / (2 * len(texts))
    return {
        **figures,
        "cpu_ms_a_chunk": round(cpu / ingested.chunks * 1_000, 2),
        "bare_chunks_per_second": round(bare, 2),
        "bare_before_and_after": [round(len(texts) / one.seconds, 2) for one in (before, after)],
        "bare_cpu_ms_a_chunk": round(bare_cpu * 1_000, 2),
        "share_of_bare": round(figures["chunks_per_second"] / bare, 3),
        "share_of_bare_by_cpu": round(bare_cpu * ingested.chunks / cpu, 3),
    }


async def search_with(
    retriever: Retriever, query: BeirQuery, *, tenant: TenantId, mode: Mode, rerank: bool
) -> Sequence[RetrievedChunk]:
    scope = scope_of(query.principal(tenant))
    asked = Query(text=query.text, scope=scope, limit=HITS, mode=mode, rerank=rerank)
    return (await retriever.retrieve(asked)).hits


async def measure_retrieval(platform: Platform, dataset: BeirDataset) -> dict[str, Any]:
    tenant = TenantId(platform.settings.tenant)
    figures: dict[str, Any] = {}
    for name, mode, fusion, rerank in RUNS:
        retriever = replace((await platform.generations.serving()).retriever, fusion=fusion)
        search = partial(search_with, retriever, tenant=tenant, mode=mode, rerank=rerank)
        figures[name] = await evaluate_beir(dataset, search)
        told(f"{name}: nDCG@10 {figures[name]['ndcg@10']}", 0, 0)
    return figures


async def measure(
    scifact: Path | None, documents: int | None, *, retrieval: bool
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    async with fresh_platform(Settings()) as platform:
        folder = {"root": str(ROOT / "corpora" / "aldermoor" / "documents")}
        connector = build_connector("filesystem", folder, source=SAMPLED)
        figures["sample company"] = await measure_ingest(platform, "filesystem", folder, connector)
    if scifact is None:
        return figures
    dataset = read_beir(scifact)
    if documents is not None:
        dataset = replace(dataset, documents=dataset.documents[:documents])
    connector = BeirConnector.over(dataset, source=SAMPLED)
    async with fresh_platform(Settings(), connect=beir_connect(dataset)) as platform:
        figures["scifact ingest"] = await measure_ingest(platform, "beir", {}, connector)
        if not retrieval:
            return figures
        figures["scifact retrieval"] = await measure_retrieval(platform, dataset)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scifact", type=Path, default=SCIFACT)
    parser.add_argument("--documents", type=int, help="Only the first so many of SciFact.")
    parser.add_argument("--ingest-only", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    scifact = arguments.scifact if arguments.scifact.is_dir() else None
    retrieval = not arguments.ingest_only
    figures = asyncio.run(measure(scifact, arguments.documents, retrieval=retrieval))
    report(figures, arguments.out)


if __name__ == "__main__":
    main()
