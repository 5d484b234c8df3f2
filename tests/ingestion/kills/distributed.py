"""Two workers over PostgreSQL and Redis, killed in turn on their way through the states of a world.

`python -m tests.ingestion.kills.distributed --help`. The ledger, Redis, arq's workers and the
filesystem connector are the real ones; `shared_index` stands in for a Qdrant server.
"""

import asyncio
import json
import os
import random
import select
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGKILL
from typing import Any

from api.generations import OpenGenerations
from api.migrations import migrate
from ingestion.dispatch import Bell, running
from ingestion.jobs import Work
from ingestion.upkeep import tidy
from ingestion.worker import Tickets, open_redis, take_tickets
from rag.storage.database import Database, open_database
from tests.ingestion.kills.doom import Doom, DoomedLedger, DoomedRemoval, doomed
from tests.ingestion.kills.final_state import final_state, plain
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
from tests.ingestion.kills.shared_index import SharedIndexes, reach_indexes, serve_index
from tests.ingestion.kills.watching import Place, Reader, watch_through
from tests.ingestion.kills.world import State, first, write

PEACE = Doom()
WORKERS = 2
LEASE = timedelta(seconds=2)
"""So long a killed worker's jobs lie; longer than a busy machine keeps a living one from work."""


# --- what the processes do --------------------------------------------------------------------------


async def work(place: Place, redis_url: str, doom: Doom, tell: Callable[[], None]) -> None:
    """What `ingestion.worker.serve` does, except that it looks for lost jobs more often."""
    async with _parts(place, redis_url, doom, lease=LEASE) as parts:
        dispatcher = dispatcher_of(parts.work, Bell())
        async with running(dispatcher, sole=False):
            tell()
            await take_tickets(dispatcher, redis_url)


async def ask_for_it(
    place: Place, redis_url: str, state: State, doom: Doom, tell: Callable[[], None]
) -> None:
    """What the API's process does: says what is wanted, and waits; here it looks at the end, too."""
    async with _parts(place, redis_url, doom) as parts:
        tell()
        await follow(state, place.source, parts.work, parts.database, parts.generations)
        await all_done(parts.work, dispatcher_of(parts.work, Bell()))
        reader = Reader(parts.database, parts.indexes.of)
        place.journal.add(await reader.faults_at_rest(state, place.source))


@dataclass(frozen=True, slots=True)
class _Parts:
    database: Database
    indexes: SharedIndexes
    generations: OpenGenerations
    work: Work


@asynccontextmanager
async def _parts(
    place: Place, redis_url: str, doom: Doom, *, lease: timedelta = timedelta(seconds=60)
) -> AsyncGenerator[_Parts]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(place.url))
        indexes = await stack.enter_async_context(reach_indexes(_socket_of(place)))
        redis = await open_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        watched = doomed(database, doom)
        ledger = DoomedLedger(watched, doom=doom)
        generations = await stack.enter_async_context(
            opened(Opener(database, indexes.open), ledger, DoomedRemoval(indexes.remove, doom))
        )
        all_of_it = work_over(
            watched,
            place,
            generations=generations,
            announce=Tickets(redis),
            doom=doom,
            lease=lease,
        )
        yield _Parts(watched, indexes, generations, all_of_it)


async def prepare(place: Place) -> None:
    await migrate(place.url)
    async with open_database(place.url) as database:
        await register(database)


async def take_stock(place: Place, redis_url: str) -> None:
    async with _parts(place, redis_url, PEACE) as parts:
        await tidy(parts.work, jobs_kept=timedelta(0), strays_after=timedelta(0))
        kept = await parts.work.originals.stored(before=datetime.now(UTC))
        state = await final_state(parts.database, kept, await parts.indexes.points())
    (place.root / "final.json").write_text(plain(state))


def _socket_of(place: Place) -> Path:
    return place.root / "index.sock"


# --- killing ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Killer:
    """Keeps workers at work, and kills them in turn."""

    place: Place
    redis_url: str
    chance: Chance
    workers: dict[int, Doom] = field(default_factory=dict[int, Doom])
    """By process."""

    def hire(self, *, is_doomed: bool) -> None:
        doom = self.chance.doom() if is_doomed and self.chance.is_even() else PEACE
        place, redis_url = self.place, self.redis_url
        worker = told(lambda tell: work(place, redis_url, doom, tell))
        self.workers[worker] = doom

    def through(self, state: State, *, kills: int) -> None:
        """Until all that the state asks for is done; with so many kills meanwhile, at most. Who
        asks for it may be killed, too, and asks again."""
        wanted = self.chance.kills.total() + kills
        while self._asked(state, wanted=wanted) == -SIGKILL:
            pass

    def _asked(self, state: State, *, wanted: int) -> int:
        """How the process that asked for it ended."""
        place, redis_url = self.place, self.redis_url
        is_doomed = self.chance.kills.total() < wanted and self.chance.is_even()
        doom = self.chance.doom_of_generations() if is_doomed else PEACE
        asking = told(lambda tell: ask_for_it(place, redis_url, state, doom, tell))
        while (ended := ended_within(asking, 0)) is None:
            is_over = self.chance.kills.total() >= wanted
            self._bury(is_doomed=not is_over)
            if is_over:
                time.sleep(0.01)
                continue
            ended = self._wait(asking)
            if ended is not None:
                break
            longest, *_ = self.workers
            os.kill(longest, SIGKILL)
            end_of(longest)
            self._count(longest, "a worker")
            self.hire(is_doomed=True)
        if ended == -SIGKILL:
            self.chance.kills[doom.point] += 1
        elif ended:
            sys.exit("who asked for it failed")
        return ended

    def _wait(self, asking: int) -> int | None:
        """For a moment; workers that end themselves meanwhile are replaced."""
        until = time.monotonic() + self.chance.moment()
        while time.monotonic() < until:
            if (ended := ended_within(asking, 0.002)) is not None:
                return ended
            self._bury(is_doomed=True)
        return None

    def _bury(self, *, is_doomed: bool) -> None:
        for worker, doom in list(self.workers.items()):
            ended = ended_within(worker, 0)
            if ended is None:
                continue
            if ended != -SIGKILL:
                sys.exit(f"a worker failed by itself: {ended}")
            self._count(worker, doom.point)
            self.hire(is_doomed=is_doomed)

    def _count(self, worker: int, how: str) -> None:
        del self.workers[worker]
        self.chance.kills[how] += 1

    def dismiss(self) -> None:
        for worker in self.workers:
            os.kill(worker, SIGKILL)
            os.waitpid(worker, 0)
        self.workers.clear()


def told(do: Callable[[Callable[[], None]], Coroutine[Any, Any, None]]) -> int:
    """The process that does it, once it has told that it is at it, or has ended."""
    listening, telling = os.pipe()

    def tell() -> None:
        os.close(telling)

    process = forked(lambda: asyncio.run(do(tell)))
    os.close(telling)
    select.select([listening], [], [], LONGEST_RUN_S)
    os.close(listening)
    return process


def through(worlds: Sequence[State], killer: Killer, *, kills: int, a_state: int) -> int:
    """From state to state, until there were so many kills or no state is left; the states seen."""
    place, done, seen = killer.place, killer.chance.kills, 0
    for _ in range(WORKERS):
        killer.hire(is_doomed=bool(kills))
    for seen, state in enumerate(worlds, 1):  # noqa: B007 - told when all is over
        place.sign.show(state.number)
        write(state, place.source)
        killer.through(state, kills=min(a_state, max(0, kills - done.total())))
        if kills and done.total() >= kills:
            break
    killer.dismiss()
    for _ in range(WORKERS):
        killer.hire(is_doomed=False)
    # A last listing, which finds nothing, here as in a run without kills.
    killer.through(worlds[seen - 1], kills=0)
    killer.dismiss()
    return seen


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--database", required=True, help="an empty one of PostgreSQL")
    parser.add_argument("--redis", required=True)
    chosen = parser.parse_args()
    place = Place(chosen.root, chosen.source, chosen.database)
    worlds = first(chosen.seed, min(chosen.states, max(40, chosen.kills)), files=chosen.files)
    chance = Chance(random.Random(chosen.seed))
    must_succeed(lambda: asyncio.run(prepare(place)), "making the database")
    place.journal.path.touch()
    place.sign.show(0)
    index = forked(lambda: asyncio.run(serve_index(_socket_of(place))))
    while not _socket_of(place).exists():
        time.sleep(0.01)
    watcher = forked(lambda: asyncio.run(watch_through(worlds, place, socket=_socket_of(place))))
    killer = Killer(place, chosen.redis, chance)
    try:
        seen = through(worlds, killer, kills=chosen.kills, a_state=chosen.kills_a_state)
        must_succeed(lambda: asyncio.run(take_stock(place, chosen.redis)), "taking stock")
    finally:
        killer.dismiss()
        place.sign.show(None)
        watched = end_of(watcher)
        os.kill(index, SIGKILL)
        os.waitpid(index, 0)
    if watched:
        sys.exit("the watcher failed")
    figures = {"states": seen, "kills": dict(sorted(chance.kills.items()))}
    print(json.dumps(figures | place.journal.read()))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
