"""Build another index under load, prove it, and send readers over and back while they ask.

    python tests/benchmarks/bench_generations.py [--chunk-tokens N] [--cases N] [--out FILE]

The sample company is ingested by the ordinary pipeline. Then eight askers search without pause, as
those whom the golden questions name: alone, while the other index is built, and while readers are
switched over and back. An answer is mixed if it holds chunks of both indexes that the other has not.
"""

import argparse
import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import root
from reporting import report, told
from sqlalchemy import select

from api.comparison import compare_generations
from api.evaluation import FILESYSTEM, fresh_platform, ingest_source
from api.opening import recipe_of
from api.platform import Platform
from api.settings import Settings
from ingestion.upkeep import enqueue_rendering
from rag.access import TenantId, scope_of
from rag.errors import Error
from rag.evaluation.gate import Passed
from rag.evaluation.golden import GoldenCase, read_golden
from rag.evaluation.metrics import percentiles
from rag.storage.generations.records import FIRST, GenerationId
from rag.storage.tables import ChunkRow
from rag.types import Query

ASKERS = 8
SWITCHES = 20


@dataclass(slots=True)
class Asked:
    """What searches without pause were answered: the chunks of each, and how long it took."""

    answers: list[frozenset[str]] = field(default_factory=list[frozenset[str]])
    took_ms: list[float] = field(default_factory=list[float])
    failed: list[str] = field(default_factory=list[str])
    under_way: int = 0

    def since(self, mark: int) -> dict[str, Any]:
        took = self.took_ms[mark:]
        return {"queries": len(took), "ms": percentiles(took)}

    @property
    def mark(self) -> int:
        return len(self.took_ms)


@asynccontextmanager
async def asking(
    platform: Platform, cases: Sequence[GoldenCase], tenant: TenantId
) -> AsyncGenerator[Asked]:
    asked = Asked()

    async def ask(first: int) -> None:
        for case in itertools.cycle((*cases[first:], *cases[:first])):
            query = Query(text=case.question, scope=scope_of(case.principal(tenant)))
            began = perf_counter()
            asked.under_way += 1
            try:
                found = await platform.retriever.retrieve(query)
            except Error as error:
                asked.failed.append(str(error))
            else:
                asked.answers.append(frozenset(hit.chunk.id for hit in found.hits))
            asked.under_way -= 1
            asked.took_ms.append((perf_counter() - began) * 1_000)

    step = max(1, len(cases) // ASKERS)
    tasks = [asyncio.create_task(ask(number * step % len(cases))) for number in range(ASKERS)]
    try:
        yield asked
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(folder: Path, *, chunk_tokens: int, cases: int, seconds: float) -> dict[str, Any]:
    golden = read_golden(folder)
    documents = (folder / "documents").resolve()
    settings = Settings()
    tenant = TenantId(settings.tenant)
    figures: dict[str, Any] = {"cores": os.cpu_count(), "askers": ASKERS}
    async with fresh_platform(settings) as platform:
        told("ingesting", 0, 0)
        ingested = await ingest_source(platform, FILESYSTEM, {"root": str(documents)}, _quietly)
        figures["ingested"] = ingested.report()
        async with asking(platform, golden, tenant) as asked:
            await asyncio.sleep(seconds)
            figures["before"] = asked.since(0)
            mark = asked.mark
            told("building", 0, 0)
            new, took = await build(platform, chunk_tokens=chunk_tokens)
            figures["building"] = {
                "documents": ingested.documents,
                "seconds": round(took, 1),
                **asked.since(mark),
            }
            failed = list(asked.failed)
        told("comparing", 0, 0)
        figures["compared"] = await compared(platform, new, golden[:cases], documents, tenant)
        made = {generation: await chunks_of(platform, generation) for generation in (FIRST, new)}
        told("switching", 0, 0)
        async with asking(platform, golden, tenant) as asked:
            await asyncio.sleep(seconds)
            mark = asked.mark
            figures["switches"] = await switched(platform, new, asked, seconds=seconds)
            figures["switches"] |= asked.since(mark)
            mark = asked.mark
            await asyncio.sleep(seconds)
            figures["after"] = asked.since(mark)
        figures["failed"] = [*failed, *asked.failed]
        figures["mixed"] = mixed(asked.answers, made)
        figures["answered by"] = {
            f"generation {generation}": sum(bool(answer & ids) for answer in asked.answers)
            for generation, ids in alone(made).items()
        }
    return figures


async def build(platform: Platform, *, chunk_tokens: int) -> tuple[GenerationId, float]:
    began = perf_counter()
    recipe = replace(recipe_of(platform.settings), chunk_tokens=chunk_tokens)
    begun = await platform.generation_ledger.begin(recipe)
    await platform.generations.look()
    await enqueue_rendering(platform.generation_ledger, platform.jobs)
    while True:
        standing = await platform.generation_ledger.standing(begun.id)
        if standing.lacking == standing.failed:
            return begun.id, perf_counter() - began
        await asyncio.sleep(0.2)


async def compared(
    platform: Platform,
    new: GenerationId,
    cases: Sequence[GoldenCase],
    documents: Path,
    tenant: TenantId,
) -> dict[str, Any]:
    began = perf_counter()
    found = await compare_generations(
        platform,
        await platform.generations.serving(),
        await platform.generations.get(new),
        cases,
        tenant=tenant,
        documents_uri=documents.as_uri(),
    )
    reasons = () if isinstance(found.verdict, Passed) else found.verdict.reasons
    return {
        "cases": len(cases),
        "seconds": round(perf_counter() - began, 1),
        "reasons": [reason.words for reason in reasons],
        **{
            name: {figure: of[figure] for figure in ("ndcg@10", "recall@10", "answer_accuracy")}
            for name, of in (("serving", found.serving), ("new", found.new))
        },
    }


async def switched(
    platform: Platform, new: GenerationId, asked: Asked, *, seconds: float
) -> dict[str, Any]:
    """Over and back, again and again; `ms` of a switch is until every question that this process
    is asked goes to the other one."""
    took: list[float] = []
    under_way: list[int] = []
    for to in itertools.islice(itertools.cycle((new, FIRST)), SWITCHES):
        await asyncio.sleep(seconds / SWITCHES)
        under_way.append(asked.under_way)
        began = perf_counter()
        await platform.generation_ledger.switch(to)
        await platform.generations.look()
        took.append((perf_counter() - began) * 1_000)
        if (await platform.generations.serving()).id != to:
            raise AssertionError("readers were not sent over")
    return {
        "number": SWITCHES,
        "queries under way at a switch": round(sum(under_way) / SWITCHES, 1),
        "over ms": percentiles(took[::2]),
        "back ms": percentiles(took[1::2]),
    }


def mixed(answers: Sequence[frozenset[str]], made: Mapping[GenerationId, frozenset[str]]) -> int:
    own = alone(made).values()
    return sum(sum(bool(answer & ids) for ids in own) > 1 for answer in answers)


def alone(made: Mapping[GenerationId, frozenset[str]]) -> dict[GenerationId, frozenset[str]]:
    """Of each generation the chunks that the other has not."""
    shared = frozenset[str].intersection(*made.values())
    return {generation: ids - shared for generation, ids in made.items()}


async def chunks_of(platform: Platform, generation: GenerationId) -> frozenset[str]:
    statement = select(ChunkRow.id).where(ChunkRow.generation == generation)
    return frozenset(row.id for row in await platform.database.rows(statement))


def _quietly(_doing: str, _done: int, _of: int) -> None:
    """The figures tell."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=root.ROOT / "corpora" / "aldermoor")
    parser.add_argument("--chunk-tokens", type=int, default=120)
    parser.add_argument("--cases", type=int, default=40, help="golden cases that are compared")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement under load")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    figures = asyncio.run(
        measure(
            chosen.folder,
            chunk_tokens=chosen.chunk_tokens,
            cases=chosen.cases,
            seconds=chosen.seconds,
        )
    )
    report(figures, chosen.out)
    if figures["failed"] or figures["mixed"]:
        raise SystemExit("a question failed, or was answered from both indexes")


if __name__ == "__main__":
    main()
