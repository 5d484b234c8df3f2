"""Processes that are begun to be killed, and how a run of the world is told what to do."""

import argparse
import math
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

from tests.ingestion.kills.doom import POINTS, POINTS_OF_GENERATIONS, Doom

LONGEST_RUN_S = 180
_OF_GENERATIONS = 0.25
"""So often a point of few states is chosen."""


def forked(do: Callable[[], None]) -> int:
    """The process that does it, the leader of a group of its own."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    os.setsid()
    status = 1
    try:
        do()
        status = 0
    except BaseException as error:  # noqa: BLE001 - it must not go on as its parent would
        traceback.print_exception(error)
    sys.stderr.flush()
    os._exit(status)


def ended_within(process: int, seconds: float) -> int | None:
    """How it ended; None where it has not."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.002)


def end_of(process: int) -> int:
    ended = ended_within(process, LONGEST_RUN_S)
    if ended is None:
        os.kill(process, SIGKILL)
        os.waitpid(process, 0)
        sys.exit("a process did not come to its end")
    return ended


def must_succeed(do: Callable[[], None], what: str) -> None:
    if end_of(forked(do)):
        sys.exit(f"{what} failed")


@dataclass(slots=True)
class Chance:
    """When and where a process is killed, as a seed has it; and how often it was."""

    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter[str])
    longest_s: float = 1.5

    def doom(self, *, with_group: float = 0.0) -> Doom:
        """A named point. The first times that it is passed are the likelier ones."""
        if self.rng.random() < _OF_GENERATIONS:
            return self.doom_of_generations(with_group=with_group)
        return self._doom_of(POINTS, with_group)

    def doom_of_generations(self, *, with_group: float = 0.0) -> Doom:
        return self._doom_of(POINTS_OF_GENERATIONS, with_group)

    def _doom_of(self, points: Mapping[str, int], with_group: float) -> Doom:
        point = self.rng.choice(sorted(points))
        count = round(math.exp(self.rng.uniform(0, math.log(points[point]))))
        return Doom(point, count, with_group=self.rng.random() < with_group)

    def moment(self) -> float:
        """Seconds. Those soon after the beginning are the likelier ones: most goes on then."""
        return math.exp(self.rng.uniform(math.log(0.002), math.log(self.longest_s)))

    def is_even(self) -> bool:
        return self.rng.random() < 0.5


def arguments_of(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, required=True, help="an empty folder for the run")
    parser.add_argument("--source", type=Path, required=True, help="the folder that is ingested")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--files", type=int, default=26, help="in each state of the folder")
    parser.add_argument("--states", type=int, default=1_000, help="at most")
    parser.add_argument("--kills", type=int, default=0, help="none: go through all states in peace")
    parser.add_argument("--kills-a-state", type=int, default=8)
    return parser
