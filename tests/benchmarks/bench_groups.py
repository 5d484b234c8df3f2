"""How long it takes to know all of somebody's groups: cold, and what each query pays once known.

    python tests/benchmarks/bench_groups.py [--database-url URL] [--edges N] [--out FILE]

Somebody is in 200 groups, 20 directly and each of those in 9 more, among N edges of others. Without
a URL the database is a SQLite file; with one it is used as it is, and migrated first.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from reporting import report

from api.migrations import migrate
from rag.access import Membership, Principal, PrincipalId, TenantId
from rag.storage.access.expansion import Expansions
from rag.storage.access.groups import Groups
from rag.storage.database import open_database
from rag.storage.sources.ledger import Sources
from rag.types import SourceId

TENANT, DIRECTORY = TenantId("bench"), SourceId("directory")
ASKER = Principal(TENANT, PrincipalId("user:asker"))
DIRECT, ABOVE = 20, 9
RUNS = 300


def memberships(edges: int) -> list[Membership]:
    own = [
        Membership(ASKER.id, PrincipalId(f"group:direct-{number}")) for number in range(DIRECT)
    ] + [
        Membership(PrincipalId(f"group:direct-{a}"), PrincipalId(f"group:above-{a}-{b}"))
        for a in range(DIRECT)
        for b in range(ABOVE)
    ]
    others = [
        Membership(PrincipalId(f"user:{n}"), PrincipalId(f"group:direct-{n % DIRECT}"))
        for n in range(edges - len(own))
    ]
    return own + others


async def milliseconds(
    run: Callable[[], Awaitable[object]], *, runs: int = RUNS
) -> dict[str, float]:
    took: list[float] = []
    for _ in range(runs):
        start = perf_counter()
        await run()
        took.append((perf_counter() - start) * 1_000)
    cuts = quantiles(took, n=20)
    return {"p50": round(cuts[9], 3), "p95": round(cuts[18], 3)}


async def measure(url: str, edges: int) -> dict[str, Any]:
    await migrate(url)
    async with open_database(url) as database:
        await Sources(database).add_tenant(TENANT)
        groups = Groups(database)
        said = memberships(edges)
        await groups.replace(TENANT, DIRECTORY, [])
        start = perf_counter()
        await groups.replace(TENANT, DIRECTORY, said)
        written = perf_counter() - start
        known, forgetful = Expansions(groups), Expansions(groups, remembered=0)
        found = (await known.of(ASKER)).principal.groups
        assert len(found) == DIRECT * (1 + ABOVE), len(found)

        turn = iter(range(RUNS))

        async def change_one() -> None:
            """A group with a share of all the others below it goes into another, or out again."""
            kept = said if next(turn) % 2 else said[:DIRECT] + said[DIRECT + 1 :]
            await groups.replace(TENANT, DIRECTORY, kept)

        return {
            "database": database.dialect,
            "edges": edges,
            "groups": len(found),
            "ms": {
                "cold": await milliseconds(lambda: forgetful.of(ASKER)),
                "remembered": await milliseconds(lambda: known.of(ASKER)),
                "replace all with one edge changed": await milliseconds(change_one, runs=20),
            },
            "seconds to write all": round(written, 3),
        }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url")
    parser.add_argument("--edges", type=int, default=2_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        url = given.database_url or f"sqlite+aiosqlite:///{Path(folder) / 'rag.db'}"
        report(await measure(url, given.edges), given.out)


if __name__ == "__main__":
    asyncio.run(main())
