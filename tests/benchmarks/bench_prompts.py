"""How soon another process gets a rolled-back prompt, what choosing costs, how often a winner is named.

    python tests/benchmarks/bench_prompts.py [--database-url URL] [--rollbacks N] [--tests N] [--out FILE]

The other process is one of its own: only the database tells it. Without a URL the database is a
SQLite file; with one it is used as it is, and migrated first. Winners are looked for after each of
1,000 minutes with some 4,500 questions, in arms that are alike and in arms that are not.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, time
from typing import Any

from reporting import report, told

from api.migrations import migrate
from api.prompts import PromptsInUse, open_prompts
from api.settings_gateway import PromptSettings
from rag.access import PrincipalId, TenantId
from rag.prompts.choosing import PRODUCTION
from rag.prompts.experiments import Block, Winner, compare
from rag.prompts.registry import load_version
from rag.prompts.versions import Content, PromptVersion
from rag.storage.database import open_database
from rag.trail import Account

TENANT = TenantId("bench")
ACCOUNT = Account(tenant=TENANT, user=PrincipalId("user:asker"))
ARMS = ((0.9, 0.9, 0.5), (0.5, 0.5, 0.1), (0.9, 0.95, 0.5), (0.8, 0.9, 0.1))
"""Shares of good answers of control and candidate, and of people who get the candidate."""
CHOICES = 20_000


@asynccontextmanager
async def prompts_at(url: str) -> AsyncGenerator[PromptsInUse]:
    async with (
        open_database(url) as database,
        open_prompts(database, PromptSettings(), tenant=TENANT) as prompts,
    ):
        yield prompts


def served(prompts: PromptsInUse) -> str:
    return prompts.choose("answer", ACCOUNT).prompt.key


async def watch(url: str) -> None:
    """Say when another version serves, until somebody ends this process."""
    last = ""
    async with prompts_at(url) as prompts:
        while True:
            if (key := served(prompts)) != last:
                print(json.dumps([time(), key]), flush=True)
                last = key
            await asyncio.sleep(0.002)


async def made(prompts: PromptsInUse) -> PromptVersion:
    [first] = load_version("answer", "v2").content.variants
    content = Content(variants=(replace(first, format=f"{first.format} {time()}"),))
    return await prompts.ledger.create(TENANT, "answer", content, rationale="", by="user:bench")


async def rollbacks(url: str, count: int) -> dict[str, Any]:
    here: list[float] = []
    there: list[float] = []
    async with prompts_at(url) as prompts:
        version = await made(prompts)
        other = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--watch", url, stdout=asyncio.subprocess.PIPE
        )
        stream = other.stdout
        if stream is None:
            raise RuntimeError("the other process says nothing")
        await stream.readline()
        for number in range(count):
            told("rollback", number, count)
            await prompts.ledger.set_label(version, PRODUCTION, tenant=TENANT, by="user:bench")
            await prompts.look()
            await stream.readline()
            # At any moment between two looks of the other process.
            await asyncio.sleep(random.random())
            began = time()
            await prompts.ledger.roll_back(TENANT, "answer", by="user:bench", reason="measured")
            await prompts.look()
            here.append(time() - began)
            moment, _ = json.loads(await stream.readline())
            there.append(moment - began)
        other.kill()
        await other.wait()
        began = perf_counter()
        for _ in range(CHOICES):
            served(prompts)
        chosen = (perf_counter() - began) / CHOICES
    return {
        "rollbacks": count,
        "this_process_s": {"median": round(median(here), 3), "most": round(max(here), 3)},
        "other_process_s": {"median": round(median(there), 3), "most": round(max(there), 3)},
        "choose_us": round(chosen * 1e6, 1),
    }


def minutes(seed: int, control: float, candidate: float, share: float) -> list[Block]:
    rolls = random.Random(seed)
    drawn: list[Block] = []
    for _ in range(1_000):
        block = Block()
        for _ in range(rolls.randint(1, 8)):
            if rolls.random() < share:
                block += Block(candidate_good=rolls.random() < candidate, candidate=1)
            else:
                block += Block(control_good=rolls.random() < control, control=1)
        drawn.append(block)
    return drawn


def winners(tests: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for control, candidate, share in ARMS:
        told(f"{control} against {candidate}", 0, 0)
        results = [compare(minutes(seed, control, candidate, share)) for seed in range(tests)]
        named = [result.arm for result in results if isinstance(result, Winner)]
        found.append(
            {
                "control": control,
                "candidate": candidate,
                "share": share,
                "tests": tests,
                "winners": len(named),
                "candidate_wins": named.count("candidate"),
            }
        )
    return found


async def measured(url: str, count: int, tests: int) -> dict[str, Any]:
    await migrate(url)
    return {**await rollbacks(url, count), "winners": winners(tests)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url")
    parser.add_argument("--rollbacks", type=int, default=25)
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.watch:
        asyncio.run(watch(arguments.watch))
        return
    with TemporaryDirectory() as folder:
        url = arguments.database_url or f"sqlite:///{folder}/rag.db"
        figures = asyncio.run(measured(url, arguments.rollbacks, arguments.tests))
    report(figures, arguments.out)


if __name__ == "__main__":
    main()
