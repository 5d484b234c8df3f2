"""One run with kills and one without, over the same states of the same folder, and what differs."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.storage.database import open_database
from tests.ingestion.kills.final_state import differences, digest_of, lost_and_doubled

LONGEST_S = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    mode: str
    seed: int
    states: int
    kills: Mapping[str, int]
    """How often at each point, or whose process at just any moment."""
    jobs_taken_back: int
    """Found running by the process that came after a killed one; counted in embedded mode."""
    searches: int
    checked_for_old_or_new: int
    """Searches of which each document had to be wholly old or wholly new, and never to come back."""
    faults: Sequence[str]
    """What readers were shown and should not have been, or not shown and should have been."""
    differences: Sequence[str]
    lost: int
    doubled: int
    digests: tuple[str, str]
    """Of the final states, with kills and without."""

    @property
    def told(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "kills": sum(self.kills.values()),
            "states of the folder": self.states,
            "kills by place": dict(self.kills),
            "running jobs taken back": self.jobs_taken_back,
            "searches meanwhile": self.searches,
            "of them checked for old or new": self.checked_for_old_or_new,
            "faults seen by readers": Counter(fault.partition(":")[0] for fault in self.faults),
            "the first of them": sorted(set(self.faults))[:10],
            "lost": self.lost,
            "doubled": self.doubled,
            "differences of the final states": list(self.differences[:20]),
            "final state, with kills": self.digests[0],
            "final state, without": self.digests[1],
        }


def compare_embedded(
    folder: Path, *, seed: int, kills: int, files: int = 26, a_state: int = 8
) -> Compared:
    return _compare(
        "embedded", folder, [[], []], seed=seed, kills=kills, files=files, a_state=a_state
    )


def compare_distributed(
    folder: Path,
    *,
    seed: int,
    kills: int,
    server: str,
    redis: str,
    files: int = 26,
    a_state: int = 8,
) -> Compared:
    """`server` is a PostgreSQL server's URL without a database's name, `redis` one of a Redis
    server of which two databases may be used."""
    names = [f"kills_{seed}_{kills}_{which}" for which in ("disturbed", "undisturbed")]
    for name in names:
        asyncio.run(_make_database(server, name))
    redis = redis.rpartition("/")[0]
    where = [
        ["--database", f"{server}/{name}", "--redis", f"{redis}/{number}"]
        for number, name in enumerate(names)
    ]
    return _compare(
        "distributed", folder, where, seed=seed, kills=kills, files=files, a_state=a_state
    )


def _compare(
    mode: str,
    folder: Path,
    where: Sequence[Sequence[str]],
    *,
    seed: int,
    kills: int,
    files: int,
    a_state: int,
) -> Compared:
    source = folder / "source"
    common = ["--source", str(source), "--seed", str(seed), "--files", str(files)]
    disturbed, undisturbed = folder / "disturbed", folder / "undisturbed"
    figures = _run(
        mode, disturbed, source, *common, *where[0],
        "--kills", str(kills), "--kills-a-state", str(a_state),
    )  # fmt: skip
    states = figures["states"]
    in_peace = _run(mode, undisturbed, source, *common, *where[1], "--states", str(states))
    finals = [json.loads((each / "final.json").read_text()) for each in (disturbed, undisturbed)]
    lost, doubled = lost_and_doubled(finals[0])
    return Compared(
        mode=mode,
        seed=seed,
        states=states,
        kills=figures["kills"],
        jobs_taken_back=figures["taken back"],
        searches=figures["searches"],
        checked_for_old_or_new=figures["strictly checked"],
        faults=[*figures["faults"], *in_peace["faults"]],
        differences=differences(*finals),
        lost=lost,
        doubled=doubled,
        digests=(digest_of(finals[0]), digest_of(finals[1])),
    )


def _run(mode: str, root: Path, source: Path, *arguments: str) -> dict[str, Any]:
    # The same path for both runs: it is part of what documents are called.
    for path in (*source.rglob("*.txt"), *source.rglob(".access.yaml")):
        path.unlink()
    source.mkdir(exist_ok=True)
    root.mkdir()
    command = [sys.executable, "-m", f"tests.ingestion.kills.{mode}", "--root", str(root)]
    with (root / "log").open("w") as log:
        ended = subprocess.run(
            [*command, *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            timeout=LONGEST_S,
            cwd=Path(__file__).parents[3],
        )
    if ended.returncode:
        raise RuntimeError(f"{mode}: {(root / 'log').read_text()[-4_000:]}")
    return dict(json.loads(ended.stdout))


async def _make_database(server: str, name: str) -> None:
    async with open_database(f"{server}/postgres") as database, database.reading() as connection:
        await connection.exec_driver_sql(f"CREATE DATABASE {name}")
