"""Budgets under crashes: reservations from processes that are killed -9 between reserving and
settling, on Redis and on PostgreSQL, with a watcher that looks at every limit all the time.

Servers are real and started here; with `--durable` PostgreSQL waits for the disk. Exits with 1 where anything was
overspent, miscounted, or still held when everything had been swept.

    python tests/benchmarks/bench_budgets.py [--reservations N] [--processes N] [--kill-every N]
        [--only redis|postgresql] [--durable] [--out FILE]
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import root
from reporting import report

from api.migrations import migrate
from rag.gateway.budgets import Reservation, ReservationId
from rag.storage.moments import now
from tests.budgets import ACME, amount, open_budgets
from tests.ports import free_port
from tests.services import postgres_server, redis_server
from tests.spenders import LEASE, Caps, Store, Watched, watch

ALONE = 300
"""Reservations that are timed one after the other, with nobody else there."""


def caps_for(reservations: int) -> Caps:
    """About half of what they ask for fits, so that many limits come to their end."""
    tenant = reservations * 12
    return Caps(tenant=tenant, team=tenant // 4, user=tenant // 45)


async def time_alone(store: Store) -> dict[str, float]:
    """Milliseconds of a reservation and its settlement, over three limits."""
    limits = Caps(tenant=10**9, team=10**9, user=10**9).of_user(1)
    times: list[float] = []
    async with open_budgets(store.database_url, store.redis_url, now) as counted:
        for number in range(ALONE):
            held = Reservation(
                id=ReservationId(f"alone-{number}"),
                tenant=ACME,
                limits=limits,
                amount=amount(1, 1),
                expires_at=now() + LEASE,
            )
            began = perf_counter()
            await counted.budgets.reserve(held)
            await counted.budgets.settle(held, amount(1, 1))
            times.append((perf_counter() - began) * 1_000)
    return {f"p{share}": round(float(np.percentile(times, share)), 2) for share in (50, 95, 99)}


def figures_of(watched: Watched) -> dict[str, Any]:
    return {
        "reservations asked for": watched.asked,
        "granted": watched.granted,
        "refused": watched.refused,
        "settled": watched.settled,
        "processes killed": watched.kills,
        "granted and never settled": watched.left_open,
        "swept": watched.swept,
        "times that every limit was looked at": watched.looks,
        "overspent": len(watched.overspent),
        "limits with a wrong sum": len(watched.wrong),
        "limits that hold something at the end": watched.held_at_the_end,
        "limits at their end": watched.full,
        "seconds": round(watched.seconds, 1),
        "asked for per second": round(watched.asked / watched.seconds, 1),
    }


async def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {"cores": os.cpu_count(), "processes": chosen.processes}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        stores: dict[str, tuple[Store, Store]] = {}
        if chosen.only in {None, "redis"}:
            port, file = free_port(), f"sqlite:///{folder / 'rag.db'}"
            stack.enter_context(redis_server(port))
            await migrate(file)
            one, other = (Store(file, f"redis://127.0.0.1:{port}/{each}") for each in (0, 1))
            stores["Redis"] = (one, other)
        if chosen.only in {None, "postgresql"}:
            server = stack.enter_context(postgres_server(durable=chosen.durable))
            for each in ("postgres", "template1"):
                await migrate(f"{server}/{each}")
            stores["PostgreSQL"] = (
                Store(f"{server}/postgres", None),
                Store(f"{server}/template1", None),
            )
        for store_name, (store, other) in stores.items():
            print(store_name, file=sys.stderr, flush=True)
            watched = await watch(
                store,
                folder / f"{store_name}.log",
                caps_for(chosen.reservations),
                processes=chosen.processes,
                reservations=chosen.reservations,
                kill_every=chosen.kill_every,
            )
            figures[store_name] = figures_of(watched)
            figures[store_name]["reserve and settle alone, ms"] = await time_alone(other)
    return figures


def is_right(figures: dict[str, Any]) -> bool:
    zeros = ("overspent", "limits with a wrong sum", "limits that hold something at the end")
    stores = ("Redis", "PostgreSQL")
    return all(figures[each][name] == 0 for each in stores if each in figures for name in zeros)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reservations", type=int, default=10_500)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--kill-every", type=int, default=300)
    parser.add_argument("--only", choices=["redis", "postgresql"])
    parser.add_argument("--durable", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    figures = asyncio.run(measure(chosen))
    report(figures, chosen.out)
    if not is_right(figures):
        sys.exit(1)


if __name__ == "__main__":
    os.chdir(root.ROOT)
    main(sys.argv[1:])
