"""How quick the embedded index is, through its adapter and with access filters on.

    python tests/benchmarks/bench_index.py --chunks 100000 --out bench/results/index.json

Vectors are random, texts are words by Zipf's law, and a document is read by one of 200 groups. Two
askers: `member` is in 10 of the groups, `reader` is in all of them through one group they share.
`rank_bm25` ranks the same texts, unfiltered, in the same run: times depend on the machine, the
ratio does less. With `--scifact DIR` (the BEIR layout), BM25's nDCG@10 through the index.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import ir_measures
import numpy as np
from rank_bm25 import BM25Okapi
from reporting import report

from rag.access import AccessScope, PrincipalId, TenantId, readable_by
from rag.adapters.bm25 import terms
from rag.adapters.qdrant_edge import QdrantEdgeIndex, open_edge_index
from rag.adapters.qdrant_edge_shard import open_shard
from rag.protocols import Index, IndexPoint
from rag.types import (
    AnyOf,
    Between,
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    Filters,
    SourceId,
    Span,
    Vector,
    VersionId,
)

TENANT = TenantId("acme")
SOURCE = SourceId("bench")
DIMENSIONS = 384
GROUPS = 200
WORDS = 60_000
BATCH = 1_000
LIMIT = 50


def scope(*groups: str) -> AccessScope:
    return AccessScope(TENANT, frozenset(map(PrincipalId, ("everyone", "user:1", *groups))))


ASKERS = {
    "member": scope(*(f"group:{n}" for n in range(10))),
    "reader": scope("group:all", *(f"group:{n}" for n in range(10))),
}


# --- what is indexed ---------------------------------------------------------------------------


def chunk(number: int, text: str, document: str, source: SourceId = SOURCE) -> Chunk:
    ref = DocumentRef(DocumentId(document), TENANT, source, f"file:{document}", "")
    return Chunk(
        id=ChunkId(str(number)),
        document=ref,
        version=VersionId("1"),
        ordinal=number,
        text=text,
        heading_path=(),
        kind="prose",
        span=Span(0, len(text)),
    )


class Words:
    """Texts of about 150 words, as often as Zipf has them."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        share = 1 / np.arange(1, WORDS + 1)
        self._cumulated = np.cumsum(share / share.sum())

    def text(self, size: int) -> str:
        picked = np.searchsorted(self._cumulated, self._random.random(size))
        return " ".join(f"w{number}" for number in picked)

    def question(self) -> str:
        """Six words, neither the commonest nor unheard of."""
        return " ".join(f"w{number}" for number in self._random.integers(30, 5_000, size=6))


def unit_vectors(random: np.random.Generator, count: int) -> list[Vector]:
    made = random.standard_normal((count, DIMENSIONS)).astype(np.float32)
    return list(made / np.linalg.norm(made, axis=1, keepdims=True))


def batches(
    texts: list[str], random: np.random.Generator, *, source: SourceId = SOURCE
) -> Iterator[list[IndexPoint]]:
    for start in range(0, len(texts), BATCH):
        some = texts[start : start + BATCH]
        vectors = unit_vectors(random, len(some))
        yield [
            IndexPoint(
                chunk(number, text, f"d{number // 10}", source),
                readable_by(["group:all", f"group:{number // 10 % GROUPS}"]),
                {"year": 2000 + number % 26, "date": f"20{number % 26:02}-03-01"},
                vector,
            )
            for number, (text, vector) in enumerate(zip(some, vectors, strict=True), start)
        ]


# --- measuring ---------------------------------------------------------------------------------


async def latencies(
    ask: Callable[[], Awaitable[object]], *, times: int, process: int | None
) -> dict[str, float]:
    """`engine_cpu_ms` is the processor's time in the engine's process: what a busy machine, unlike
    the other figures, does not change much."""
    for _ in range(5):
        await ask()
    taken: list[float] = []
    before = cpu_ms(process)
    for _ in range(times):
        started = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - started) * 1_000)
    p50, p95, p99 = np.percentile(taken, [50, 95, 99]).round(2).tolist()
    cpu = round((cpu_ms(process) - before) / times, 2)
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "engine_cpu_ms": cpu}


def cpu_ms(process: int | None) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000 / os.sysconf("SC_CLK_TCK")


async def search_latencies(
    index: QdrantEdgeIndex, words: Words, random: np.random.Generator, *, times: int
) -> dict[str, dict[str, float]]:
    vectors = cycle(unit_vectors(random, 20 * times))

    def dense(asker: AccessScope, filters: Filters) -> Awaitable[object]:
        return index.search_dense(next(vectors), scope=asker, filters=filters, limit=LIMIT)

    def sparse(asker: AccessScope, filters: Filters) -> Awaitable[object]:
        return index.search_sparse(words.question(), scope=asker, filters=filters, limit=LIMIT)

    filtered = {
        "no filter": {},
        "year is one of two": {"year": AnyOf((2003, 2004))},
        "date range": {"date": Between(gte="2010-01-01")},
        "number range": {"year": Between(gte=2010)},
    }
    found: dict[str, dict[str, float]] = {}
    latency = partial(latencies, times=times, process=index.process_id)
    for name, asker in ASKERS.items():
        found[f"{name}: dense"] = await latency(lambda a=asker: dense(a, {}))
        found[f"{name}: sparse"] = await latency(lambda a=asker: sparse(a, {}))
        for condition, filters in filtered.items():
            found[f"{name}: both at once, {condition}"] = await latency(
                lambda a=asker, f=filters: asyncio.gather(dense(a, f), sparse(a, f))
            )
    return found


async def stall_of_the_loop(index: Index, random: np.random.Generator) -> float:
    """The longest that the event loop stood still while 2,000 chunks were indexed, in ms."""
    longest, indexing = 0.0, True

    async def tick() -> None:
        nonlocal longest
        while indexing:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)

    ticking = asyncio.create_task(tick())
    prepared = list(batches([Words(random).text(150) for _ in range(2_000)], random))
    await asyncio.sleep(0.01)
    longest = 0.0
    for batch in prepared:
        await index.upsert(batch)
    indexing = False
    await ticking
    return round(longest * 1_000, 1)


def resident_mb(process: int | None) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1_024)


def rank_bm25_ms(texts: list[str], words: Words) -> float:
    okapi = BM25Okapi([text.split() for text in texts])
    taken: list[float] = []
    for _ in range(5):
        question = words.question().split()
        started = time.perf_counter()
        np.argsort(-cast("Any", okapi).get_scores(question))[:LIMIT]
        taken.append((time.perf_counter() - started) * 1_000)
    return round(float(np.median(taken)), 1)


def optimise(path: Path) -> float:
    """Seconds of what the shard does by itself in a quiet while, here when it is wanted.

    It is done in a process that ends, so nobody's memory is measured with it.
    """
    started = time.perf_counter()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside:
        aside.submit(_optimise, path).result()
    return round(time.perf_counter() - started, 1)


def _optimise(path: Path) -> None:
    with open_shard(path, dimensions=DIMENSIONS) as shard:
        shard.optimise()


async def measure(path: Path, *, chunks: int, times: int) -> dict[str, Any]:
    random = np.random.default_rng(1)
    words = Words(random)
    texts = [words.text(int(size)) for size in random.normal(150, 30, size=chunks).clip(20)]
    figures: dict[str, Any] = {"chunks": chunks, "dimensions": DIMENSIONS, "limit": LIMIT}
    async with open_edge_index(path, dimensions=DIMENSIONS) as index:
        taken = 0.0
        for batch in batches(texts, random):
            started = time.perf_counter()
            await index.upsert(batch)
            taken += time.perf_counter() - started
        figures["ingest_chunks_per_s"] = round(chunks / taken)
    started = time.perf_counter()
    async with open_edge_index(path, dimensions=DIMENSIONS) as index:
        figures["reopen_s"] = round(time.perf_counter() - started, 2)
        figures["search"] = await search_latencies(index, words, random, times=times)
    figures["optimise_s"] = await asyncio.to_thread(optimise, path)
    async with open_edge_index(path, dimensions=DIMENSIONS) as index:
        optimised = await search_latencies(index, words, random, times=times)
        figures["search, optimised"] = optimised
        figures["resident_mb"] = resident_mb(index.process_id)
        figures["loop_stall_ms"] = await stall_of_the_loop(index, random)
    figures["rank_bm25_unfiltered_ms"] = rank_bm25_ms(texts, words)
    sparse = figures["search"]["member: sparse"]["p50_ms"]
    figures["rank_bm25_to_sparse"] = round(figures["rank_bm25_unfiltered_ms"] / sparse, 1)
    return figures


# --- quality -----------------------------------------------------------------------------------


async def scifact_ndcg(path: Path, directory: Path) -> dict[str, float]:
    documents = [json.loads(line) for line in lines(directory / "corpus.jsonl")]
    rows = [line.split("\t") for line in lines(directory / "qrels" / "test.tsv")][1:]
    qrels = [ir_measures.Qrel(query, document, int(grade)) for query, document, grade in rows]
    judged = {row[0] for row in rows}
    everyone = readable_by(["everyone"])
    vector = unit_vectors(np.random.default_rng(0), 1)[0]
    run: list[ir_measures.ScoredDoc] = []
    async with open_edge_index(path, dimensions=DIMENSIONS) as index:
        texts = [f"{document['title']}\n{document['text']}" for document in documents]
        await index.upsert(
            [IndexPoint(chunk(n, t, str(n)), everyone, {}, vector) for n, t in enumerate(texts)]
        )
        for query in map(json.loads, lines(directory / "queries.jsonl")):
            if query["_id"] in judged:
                run += await _scored(index, query, documents)
    measures = [ir_measures.nDCG @ 10, ir_measures.R @ 100]
    found = ir_measures.calc_aggregate(measures, qrels, run)  # pyright: ignore[reportUnknownMemberType]
    mean_terms = float(np.mean([len(terms(text)) for text in texts]))
    scores = {str(measure): round(score, 4) for measure, score in found.items()}
    return {**scores, "mean_terms": round(mean_terms, 1)}


async def _scored(
    index: QdrantEdgeIndex, query: dict[str, str], documents: list[dict[str, str]]
) -> list[ir_measures.ScoredDoc]:
    hits = await index.search_sparse(query["text"], scope=scope(), filters={}, limit=100)
    return [
        ir_measures.ScoredDoc(query["_id"], documents[int(hit.chunk)]["_id"], hit.score)
        for hit in hits
    ]


def lines(path: Path) -> Iterable[str]:
    return path.read_text(encoding="utf-8").splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=200, help="searches a figure")
    parser.add_argument("--scifact", type=Path, help="a directory in the BEIR layout")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if asked.scifact:
            figures["scifact_bm25"] = asyncio.run(scifact_ndcg(Path(folder) / "s", asked.scifact))
        if asked.chunks:
            path = Path(folder) / "index"
            measuring = measure(path, chunks=asked.chunks, times=asked.times)
            figures |= asyncio.run(measuring)
    report(figures, asked.out)


if __name__ == "__main__":
    main()
