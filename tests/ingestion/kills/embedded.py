"""A platform in one process, killed again and again on its way through the states of a world.

`python -m tests.ingestion.kills.embedded --help`. SQLite, the Qdrant Edge indexes in their
processes, the in-process dispatcher and the filesystem connector are the real ones.
"""

import asyncio
import json
import os
import random
import select
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from signal import SIGKILL

from api.migrations import migrate
from ingestion.dispatch import Bell, running
from ingestion.upkeep import tidy
from rag.adapters.qdrant_edge import QdrantEdgeIndex, open_edge_index
from rag.protocols import Index
from rag.storage.database import open_database
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import GenerationId
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import JobState
from tests.ingestion.kills.doom import Doom, DoomedLedger, DoomedRemoval, doomed
from tests.ingestion.kills.final_state import final_state, plain, points_of_edge
from tests.ingestion.kills.generations import Opener, opened
from tests.ingestion.kills.platform import all_done, dispatcher_of, follow, register, work_over
from tests.ingestion.kills.processes import (
    LONGEST_RUN_S,
    Chance,
    arguments_of,
    end_of,
    ended_within,
    forked,
    must_succeed,
)
from tests.ingestion.kills.watching import (
    Memory,
    Place,
    Reader,
    Way,
    ask_round,
    watch,
    watch_through,
    way_between,
)
from tests.ingestion.kills.world import NOTHING, State, first, write

PEACE = Doom()
TARGETS = ("the process", "the process and its index", "the index alone")


# --- what a process does until it is killed ---------------------------------------------------------


async def live(place: Place, way: Way, doom: Doom, tell: Callable[[Sequence[int]], None]) -> None:
    """All the work of a state, searched meanwhile, and checked against the world in the end."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(place.url))
        opener = Opener(database, partial(_open_index, place))
        watched, bell = doomed(database, doom), Bell()
        remove = DoomedRemoval(partial(_remove_index, place), doom)
        generations = await stack.enter_async_context(
            opened(opener, DoomedLedger(watched, doom=doom), remove)
        )
        reader = Reader(database, opener.index_of)
        # As the kill before has left it.
        await ask_round(reader, Memory(way), place.journal)
        left = (await Jobs(database).counts()).get(JobState.RUNNING, 0)
        place.journal.add((), taken_back=left)
        work = work_over(watched, place, generations=generations, announce=bell, doom=doom)
        dispatcher = dispatcher_of(work, bell)
        watching = asyncio.create_task(watch(reader, way, place.journal))
        async with running(dispatcher, sole=True):
            tell([_process_of(index) for index in opener.indexes.values()])
            await follow(way.after, place.source, work, watched, generations)
            await all_done(work, dispatcher)
        watching.cancel()
        await asyncio.wait({watching})
        if not watching.cancelled():
            watching.result()
        place.journal.add(await reader.faults_at_rest(way.after, place.source))


async def prepare(place: Place) -> None:
    await migrate(place.url)
    async with open_database(place.url) as database:
        await register(database)


async def take_stock(place: Place) -> None:
    async with open_database(place.url) as database:
        ledger = Generations(database)
        opener = Opener(database, partial(_open_index, place))
        async with opened(opener, ledger, partial(_remove_index, place)) as generations:
            work = work_over(database, place, generations=generations, announce=Bell(), doom=PEACE)
            await tidy(work, jobs_kept=timedelta(0), strays_after=timedelta(0))
            kept = await work.originals.stored(before=datetime.now(UTC))
        points = {
            GenerationId(int(path.name.removeprefix(_INDEX))): points_of_edge(path)
            for path in place.root.glob(f"{_INDEX}*")
        }
        state = await final_state(database, kept, points)
    (place.root / "final.json").write_text(plain(state))


_INDEX = "index-"


def _folder_of(place: Place, generation: GenerationId) -> Path:
    return place.root / f"{_INDEX}{generation}"


def _open_index(place: Place, generation: GenerationId) -> AbstractAsyncContextManager[Index]:
    return open_edge_index(_folder_of(place, generation), dimensions=8)


async def _remove_index(place: Place, generation: GenerationId) -> None:
    await asyncio.to_thread(shutil.rmtree, _folder_of(place, generation), ignore_errors=True)


def _process_of(index: Index) -> int:
    assert isinstance(index, QdrantEdgeIndex)
    assert index.process_id is not None
    return index.process_id


# --- killing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Killer:
    """Begins processes and kills them, at moments and points that chance has chosen."""

    place: Place
    chance: Chance

    def begin(self, way: Way, doom: Doom = PEACE) -> tuple[int, Sequence[int]]:
        """A process at work, and those that hold its indexes; none where it ended before."""
        listening, telling = os.pipe()

        def tell(indexes: Sequence[int]) -> None:
            os.write(telling, " ".join(map(str, indexes)).encode())

        child = forked(lambda: asyncio.run(live(self.place, way, doom, tell)))
        os.close(telling)
        ready, _, _ = select.select([listening], [], [], LONGEST_RUN_S)
        said = os.read(listening, 100) if ready else b""
        os.close(listening)
        return child, [int(process) for process in said.split()]

    def in_peace(self, way: Way) -> None:
        child, _ = self.begin(way)
        began = time.monotonic()
        if end_of(child):
            sys.exit("a run that nobody killed failed")
        self.chance.longest_s = time.monotonic() - began

    def kill_one(self, way: Way) -> bool:
        """Whether the process had something left to do when it was killed."""
        return self._kill_at_a_point(way) if self.chance.is_even() else self._kill_any_time(way)

    def _kill_at_a_point(self, way: Way) -> bool:
        doom = self.chance.doom(with_group=0.3)
        child, _ = self.begin(way, doom)
        return self._counted(end_of(child), doom.point)

    def _kill_any_time(self, way: Way) -> bool:
        target = self.chance.rng.choices(TARGETS, (5, 3, 2))[0]
        child, indexes = self.begin(way)
        if indexes and target == TARGETS[2]:
            ended = ended_within(child, self.chance.moment())
            if ended is not None:
                return self._counted(ended, target)
            with suppress(ProcessLookupError):  # its generation was dropped meanwhile
                os.kill(self.chance.rng.choice(indexes), SIGKILL)
            self.chance.kills[target] += 1
            target = TARGETS[0]  # its index is begun anew, and then it is its own turn
        ended = ended_within(child, self.chance.moment())
        if ended is None:
            kill = os.killpg if target == TARGETS[1] else os.kill
            kill(child, SIGKILL)
            ended = end_of(child)
        return self._counted(ended, target)

    def _counted(self, ended: int, how: str) -> bool:
        if ended not in {0, -SIGKILL}:
            sys.exit(f"a process failed by itself: {ended}")
        if ended:
            self.chance.kills[how] += 1
        return bool(ended)


def through(worlds: Sequence[State], killer: Killer, *, kills: int, a_state: int) -> int:
    """From state to state, until there were so many kills or no state is left; the states seen."""
    place, done = killer.place, killer.chance.kills
    seen, way = 0, way_between(NOTHING, worlds[0], place.source)
    for seen, state in enumerate(worlds, 1):
        before = worlds[seen - 2] if seen > 1 else NOTHING
        way = way_between(before, state, place.source)
        place.sign.show(state.number)
        write(state, place.source)
        for _ in range(a_state):
            if done.total() >= kills or not killer.kill_one(way):
                break
        killer.in_peace(way)
        if kills and done.total() >= kills:
            break
    killer.in_peace(way)  # a last listing, which finds nothing, here as in a run without kills
    return seen


def main() -> None:
    chosen = arguments_of(__doc__).parse_args()
    place = Place(chosen.root, chosen.source, f"sqlite:///{chosen.root / 'rag.db'}")
    worlds = first(chosen.seed, min(chosen.states, max(40, chosen.kills)), files=chosen.files)
    chance = Chance(random.Random(chosen.seed))
    must_succeed(lambda: asyncio.run(prepare(place)), "making the database")
    place.journal.path.touch()
    place.sign.show(0)
    watcher = forked(lambda: asyncio.run(watch_through(worlds, place)))
    try:
        seen = through(
            worlds, Killer(place, chance), kills=chosen.kills, a_state=chosen.kills_a_state
        )
    finally:
        place.sign.show(None)
        watched = end_of(watcher)
    if watched:
        sys.exit("the watcher failed")
    must_succeed(lambda: asyncio.run(take_stock(place)), "taking stock")
    figures = {"states": seen, "kills": dict(sorted(chance.kills.items()))}
    print(json.dumps(figures | place.journal.read()))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
