"""Kill the platform hundreds of times while it ingests, and compare with a run that nobody killed.

In embedded mode (SQLite, the Edge index, one process) and in distributed mode (PostgreSQL, Redis,
two workers; qdrant-client's local engine in a process stands in for a Qdrant server). Meanwhile
readers search as several people, and what they see is checked against what they may see.

    python tests/benchmarks/bench_kills.py [--kills N] [--seed N] [--mode MODE] [--out FILE]
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import root
from reporting import report

from tests.ingestion.kills.runs import Compared, compare_distributed, compare_embedded
from tests.ports import free_port
from tests.services import postgres_server, redis_server


def embedded(folder: Path, *, kills: int, seed: int) -> Compared:
    return compare_embedded(folder, kills=kills, seed=seed)


def distributed(folder: Path, *, kills: int, seed: int) -> Compared:
    port = free_port()
    with postgres_server() as server, redis_server(port):
        return compare_distributed(
            folder, kills=kills, seed=seed, server=server, redis=f"redis://127.0.0.1:{port}/0"
        )


MODES: dict[str, Callable[..., Compared]] = {"embedded": embedded, "distributed": distributed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="in each mode")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mode", choices=MODES, help="this one alone")
    parser.add_argument("--keep", type=Path, help="a new folder for all that the runs leave behind")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    figures: dict[str, Any] = {"cores": os.cpu_count()}
    with ExitStack() as stack:
        folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for mode in [chosen.mode] if chosen.mode else MODES:
            here = folder / mode
            here.mkdir(parents=True)
            began = perf_counter()
            try:
                found = MODES[mode](here, kills=chosen.kills, seed=chosen.seed)
            except pytest.skip.Exception as missing:
                figures[mode] = {"left out": str(missing)}
                continue
            figures[mode] = {"seconds": round(perf_counter() - began, 1), **found.told}
    report(figures, chosen.out)
    failed = [
        mode
        for mode in MODES
        if (told := figures.get(mode, {})).get("faults seen by readers")
        or told.get("differences of the final states")
    ]
    if failed:
        sys.exit(f"not as an undisturbed run: {', '.join(failed)}")


if __name__ == "__main__":
    os.chdir(root.ROOT)
    main()
