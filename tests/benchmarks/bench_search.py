"""How long a whole search takes: both indexes, fusion and the ledger's say, without the embedding.

    python tests/benchmarks/bench_search.py --chunks 100000 --out bench/results/search.json

The index and its texts are those of `bench_index`; the ledger is SQLite and holds the same chunks,
ten a document. `HybridRetriever.retrieve` runs as the platform has it, with an embedder that has
its vector ready and without reranking. `--data DIR` keeps what was built, for the next run.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from bench_index import (
    ASKERS,
    DIMENSIONS,
    TENANT,
    Words,
    batches,
    latencies,
    optimise,
    resident_mb,
    unit_vectors,
)
from reporting import report
from sqlalchemy import Connection, insert

from api.migrations import migrate_database
from rag.access import AccessScope
from rag.adapters.qdrant_edge import QdrantEdgeIndex, open_edge_index
from rag.protocols import IndexPoint
from rag.retrieval import HybridRetriever
from rag.storage.database import Database, open_database
from rag.storage.documents.contents import write_chunks
from rag.storage.documents.passages import Passages
from rag.storage.documents.records import DocumentState
from rag.storage.documents.rows import values_of_begun, values_of_metadata
from rag.storage.generations.records import FIRST
from rag.storage.sources.ledger import Sources
from rag.storage.tables import DocumentRow, RenditionRow
from rag.types import AnyOf, Embedding, Filters, Mode, Query, Vector

LIMIT = 10
FILTERS: dict[str, Filters] = {"no filter": {}, "year is one of two": {"year": AnyOf((2003, 2004))}}


@dataclass(slots=True)
class ReadyEmbedder:
    """Random directions, made beforehand: what is measured here is everything but the model."""

    vectors: Sequence[Vector]
    asked: int = 0
    name: str = "ready"
    dimensions: int = DIMENSIONS
    max_tokens: int = 256

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def embed_query(self, text: str) -> Embedding:  # noqa: ARG002 - its own direction
        self.asked += 1
        return Embedding(self.vectors[self.asked % len(self.vectors)])

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        return [await self.embed_query(text) for text in texts]


# --- what is searched --------------------------------------------------------------------------


async def build(
    index: QdrantEdgeIndex, database: Database, *, chunks: int, random: np.random.Generator
) -> None:
    words = Words(random)
    texts = [words.text(int(size)) for size in random.normal(150, 30, size=chunks).clip(20)]
    await migrate_database(database)
    sources = Sources(database)
    await sources.add_tenant(TENANT)
    source = await sources.register(TENANT, kind="filesystem", name="bench", settings={})
    for batch in batches(texts, random, source=source.id):
        await index.upsert(batch)
        await database.write(lambda connection, b=batch: note(connection, database, b))


def note(connection: Connection, database: Database, points: Sequence[IndexPoint]) -> None:
    moment = datetime.now(UTC)
    shown = {"state": DocumentState.ACTIVE.value, "settled": True, "version": "1"}
    described = {point.chunk.document.id: point for point in points}
    connection.execute(
        insert(DocumentRow),
        [
            values_of_begun(point.chunk.document, point.access, moment)
            | values_of_metadata(point.metadata)
            | shown
            for point in described.values()
        ],
    )
    connection.execute(
        insert(RenditionRow),
        [
            {
                "document": document,
                "generation": FIRST,
                "content": "1",
                "version": point.chunk.version,
                "parser": "",
                "chunker": "",
                "embedder": "",
            }
            for document, point in described.items()
        ],
    )
    write_chunks(connection, database, [point.chunk for point in points], generation=FIRST)


# --- measuring ---------------------------------------------------------------------------------


async def measure(folder: Path, *, chunks: int, times: int) -> dict[str, Any]:
    random = np.random.default_rng(1)
    figures: dict[str, Any] = {"chunks": chunks, "dimensions": DIMENSIONS, "limit": LIMIT}
    is_built = (folder / "built").exists()
    async with open_database(f"sqlite+aiosqlite:///{folder / 'rag.db'}") as database:
        if not is_built:
            async with open_edge_index(folder / "index", dimensions=DIMENSIONS) as index:
                await build(index, database, chunks=chunks, random=random)
            (folder / "built").touch()
        figures["optimise_s"] = await asyncio.to_thread(optimise, folder / "index")
        async with open_edge_index(folder / "index", dimensions=DIMENSIONS) as index:
            figures["search"] = await whole_searches(index, database, random, times=times)
            figures["resident_mb"] = {
                "index process": resident_mb(index.process_id),
                "this process": resident_mb(os.getpid()),
            }
    return figures


async def whole_searches(
    index: QdrantEdgeIndex, database: Database, random: np.random.Generator, *, times: int
) -> dict[str, Any]:
    words = Words(random)
    retriever = HybridRetriever(
        index=index,
        embedder=ReadyEmbedder(unit_vectors(random, 1_000)),
        passages=Passages(database),
        reranker=None,
    )
    found: dict[str, Any] = {}
    for name, asker in ASKERS.items():
        for condition, filters in FILTERS.items():
            stages: list[dict[str, float]] = []

            async def ask(
                asker: AccessScope = asker,
                filters: Filters = filters,
                stages: list[dict[str, float]] = stages,
            ) -> None:
                query = Query(
                    text=words.question(),
                    scope=asker,
                    filters=filters,
                    limit=LIMIT,
                    mode=Mode.HYBRID,
                )
                stages.append(dict((await retriever.retrieve(query)).timings_ms))

            for _ in range(times):  # a platform that has been asked before
                await ask()
            stages.clear()
            taken: dict[str, Any] = {**await latencies(ask, times=times, process=index.process_id)}
            taken["stages_p50_ms"] = {
                stage: round(float(np.median([one[stage] for one in stages])), 2)
                for stage in stages[0]
            }
            found[f"{name}, {condition}"] = taken
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=300, help="searches a figure")
    parser.add_argument("--data", type=Path, help="where to keep the index and the ledger")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.data or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = asyncio.run(measure(folder, chunks=asked.chunks, times=asked.times))
    report(figures, asked.out)


if __name__ == "__main__":
    main()
