"""SciFact and the sample company through the ordinary pipeline: ingest speed and retrieval quality.

Ingest is compared with the bare embedder on the same chunk texts, in the same run. Retrieval is
measured for each search alone, each fusion, and with the default reranker.

    python tests/benchmarks/bench_retrieval.py --scifact DIR [--documents N] --out FILE
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import select

from api.evaluation import HITS, beir_connect, fresh_platform, ingest_source
from api.platform import Platform
from api.settings import Settings
from rag.access import TenantId, scope_of
from rag.evaluation.beir import BeirDataset, BeirQuery, evaluate_beir, read_beir
from rag.fusion import Fusion, normalised_sum_fusion, reciprocal_rank_fusion
from rag.storage.tables import ChunkRow, DocumentRow
from rag.types import Mode, Query, RetrievedChunk

ROOT = Path(__file__).parents[2]
BARE_CHUNKS = 1_500
"""Chunks that the bare embedder is timed on: enough for a steady figure."""

RUNS: tuple[tuple[str, Mode, Fusion, bool], ...] = (
    ("dense", Mode.DENSE, normalised_sum_fusion, False),
    ("bm25", Mode.SPARSE, normalised_sum_fusion, False),
    ("rrf", Mode.HYBRID, reciprocal_rank_fusion, False),
    ("normalised sum", Mode.HYBRID, normalised_sum_fusion, False),
    ("normalised sum, reranked", Mode.HYBRID, normalised_sum_fusion, True),
)


async def bare_throughput(platform: Platform) -> float:
    """Chunks a second of the embedder alone, on a sample of the chunks just ingested."""
    statement = select(DocumentRow.title, ChunkRow.heading_path, ChunkRow.text).join(
        ChunkRow, ChunkRow.document == DocumentRow.id
    )
    async with platform.database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    texts = [
        " > ".join((row.title, *row.heading_path)) + "\n" + row.text
        for row in random.Random(7).sample(rows, min(BARE_CHUNKS, len(rows)))
    ]
    started = perf_counter()
    await platform.embedder.embed_documents(texts)
    return len(texts) / (perf_counter() - started)


async def measure_ingest(platform: Platform, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    ingested = await ingest_source(platform, kind, settings, told)
    bare = await bare_throughput(platform)
    figures = ingested.report()
    return {
        **figures,
        "bare_chunks_per_second": round(bare, 2),
        "share_of_bare": round(figures["chunks_per_second"] / bare, 3),
    }


async def measure_retrieval(platform: Platform, dataset: BeirDataset) -> dict[str, Any]:
    tenant = TenantId(platform.settings.tenant)
    figures: dict[str, Any] = {}
    for name, mode, fusion, rerank in RUNS:
        retriever = replace(platform.retriever, fusion=fusion)

        async def search(query: BeirQuery) -> Sequence[RetrievedChunk]:
            retrieved = await retriever.retrieve(  # noqa: B023 - awaited in the same turn
                Query(
                    text=query.text,
                    scope=scope_of(query.principal(tenant)),
                    limit=HITS,
                    mode=mode,  # noqa: B023
                    rerank=rerank,  # noqa: B023
                )
            )
            return retrieved.hits

        figures[name] = await evaluate_beir(dataset, search)
        told(f"{name}: nDCG@10 {figures[name]['ndcg@10']}", 0, 0)
    return figures


async def measure(scifact: Path | None, documents: int | None) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    async with fresh_platform(Settings()) as platform:
        corpus = str(ROOT / "corpora" / "aldermoor" / "documents")
        figures["sample company"] = await measure_ingest(platform, "filesystem", {"root": corpus})
    if scifact is None:
        return figures
    dataset = read_beir(scifact)
    if documents is not None:
        dataset = replace(dataset, documents=dataset.documents[:documents])
    async with fresh_platform(Settings(), connect=beir_connect(dataset)) as platform:
        figures["scifact ingest"] = await measure_ingest(platform, "beir", {})
        figures["scifact retrieval"] = await measure_retrieval(platform, dataset)
    return figures


def told(doing: str, done: int, of: int) -> None:
    if of == 0 or done % 500 == 0:
        print(doing, done or "", file=sys.stderr, flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scifact", type=Path, default=ROOT.parent / "shared" / "data" / "scifact")
    parser.add_argument("--documents", type=int, help="Only the first so many of SciFact.")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    scifact = arguments.scifact if arguments.scifact.is_dir() else None
    figures = asyncio.run(measure(scifact, arguments.documents))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
