"""How long reranking takes, and how often it is done within its time budget.

    python tests/benchmarks/bench_rerank.py [--scifact DIR [--documents N]] --out FILE

Twenty candidates of a real search are reranked from the token vectors in the SQLite ledger: those of
SciFact where it is there, of the sample company otherwise. Requests come one at a time, and four at
once. Searching for the candidates and embedding the question are not counted.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from public_data import SCIFACT
from reporting import report, told

from api.evaluation import beir_connect, fresh_platform, ingest_source
from api.platform import Platform
from api.settings import Settings
from rag.access import Principal, PrincipalId, TenantId, scope_of
from rag.evaluation.beir import read_beir
from rag.evaluation.golden import read_golden
from rag.protocols import EmbeddedQuery
from rag.types import Query, RetrievedChunk

ROOT = Path(__file__).parents[2]
CANDIDATES = 20
REQUESTS = 1_000
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Request:
    query: EmbeddedQuery
    candidates: Sequence[RetrievedChunk]


async def requests_of(
    platform: Platform, questions: Sequence[tuple[str, Principal]]
) -> list[Request]:
    made: list[Request] = []
    for text, principal in questions:
        query = Query(text=text, scope=scope_of(principal), limit=CANDIDATES, rerank=False)
        hits = (await platform.retriever.retrieve(query)).hits
        if len(hits) == CANDIDATES:
            embedding = await platform.embedder.embed_query(text)
            made.append(Request(EmbeddedQuery(query, embedding), hits))
    return made


async def measure_rerank(
    platform: Platform, requests: Sequence[Request], *, at_once: int
) -> dict[str, Any]:
    retriever = (await platform.generations.serving()).retriever
    reranker = retriever.reranker
    if reranker is None:
        raise SystemExit("the settings name no reranker")
    budget_s = retriever.rerank_budget_s
    waiting = iter(list(islice(cycle(requests), REQUESTS)))
    taken: list[float] = []
    complete = 0

    async def ask() -> None:
        nonlocal complete
        for request in waiting:
            started = perf_counter()
            reranked = await reranker.rerank(request.query, request.candidates, budget_s=budget_s)
            taken.append((perf_counter() - started) * 1_000)
            complete += reranked.complete

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(ask())
    p50, p95, p99 = np.percentile(taken, [50, 95, 99]).round(2).tolist()
    return {
        "requests": len(taken),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": round(max(taken), 2),
        "budget_ms": budget_s * 1_000,
        "complete_share": round(complete / len(taken), 4),
    }


async def measure(scifact: Path | None, documents: int | None) -> dict[str, Any]:
    settings = Settings()
    if scifact is None:
        folder = ROOT / "corpora" / "aldermoor"
        asked = [
            (case.question, case.principal(TenantId(settings.tenant)))
            for case in read_golden(folder)
        ]
        kind, source, connect = "filesystem", {"root": str(folder / "documents")}, None
    else:
        dataset = read_beir(scifact)
        dataset = replace(dataset, documents=dataset.documents[:documents])
        reader = Principal(TenantId(settings.tenant), PrincipalId("user:bench"))
        asked = [(query.text, reader) for query in dataset.queries]
        kind, source, connect = "beir", dict[str, str](), beir_connect(dataset)
    async with fresh_platform(settings, connect=connect) as platform:
        ingested = await ingest_source(platform, kind, source, told)
        requests = await requests_of(platform, asked)
        return {
            "corpus": "sample company" if scifact is None else "scifact",
            "chunks": ingested.chunks,
            "questions": len(requests),
            "candidates": CANDIDATES,
            "one at a time": await measure_rerank(platform, requests, at_once=1),
            f"{AT_ONCE} at once": await measure_rerank(platform, requests, at_once=AT_ONCE),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scifact", type=Path, default=SCIFACT)
    parser.add_argument("--documents", type=int, help="Only the first so many of SciFact.")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    scifact = arguments.scifact if arguments.scifact.is_dir() else None
    figures = asyncio.run(measure(scifact, arguments.documents))
    report(figures, arguments.out)


if __name__ == "__main__":
    main()
