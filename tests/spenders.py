"""Processes that reserve and settle as fast as they can and are killed in the midst of it, and one
who watches that nothing is ever overspent.

Run as a program, `python -m tests.spenders DATABASE_URL REDIS_URL|- LOG TENANT_CAP TEAM_CAP USER_CAP`,
it becomes one of those processes for each line of its input, which is a seed, and says its id.
"""

import asyncio
import os
import random
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rag.errors import OverBudget
from rag.gateway.budgets import (
    NOTHING,
    Amount,
    Budgets,
    Level,
    Limit,
    Reservation,
    ReservationId,
    Standing,
    Window,
)
from tests.budgets import ACME, amount, limit, open_budgets

ROOT = Path(__file__).parents[1]
USERS, TEAMS = 40, 4
AT_ONCE = 25
"""Calls that one process has in the air."""
MOST = 100
"""Micro-currency that a call holds, at most."""
LEASE = timedelta(hours=1)
SWEEPS_AT_THE_END = 300
ABANDONED = timedelta(milliseconds=300)
"""The lease of a call that its process forgets, though it lives."""


@dataclass(frozen=True, slots=True)
class Caps:
    """Of the tenant as a whole, of each team and of each user, in micro-currency."""

    tenant: int
    team: int
    user: int

    @property
    def limits(self) -> list[Limit]:
        """In that order."""
        teams = (limit(Level.TEAM, f"group:{each}", money=self.team) for each in range(TEAMS))
        users = (limit(Level.USER, f"user:{each}", money=self.user) for each in range(USERS))
        return [limit(money=self.tenant, window=Window.MONTH), *teams, *users]

    def of_user(self, user: int) -> tuple[Limit, ...]:
        limits = self.limits
        mine = (limits[0], limits[1 + user % TEAMS], limits[1 + TEAMS + user])
        return tuple(sorted(mine, key=lambda each: each.counter))


@dataclass(frozen=True, slots=True)
class Store:
    database_url: str
    redis_url: str | None
    """None: the database counts."""


# --- one that spends -----------------------------------------------------------------------------


async def spend(store: Store, log: Path, seed: int, caps: Caps) -> None:
    """Until it is killed. Every step is in the log before and after it is made."""
    chance = random.Random(seed)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(*words: object) -> None:
        os.write(written, (" ".join(map(str, words)) + "\n").encode())

    async def one_after_the_other(budgets: Budgets) -> None:
        while True:
            user, held = chance.randrange(USERS), chance.randint(1, MOST)
            abandoned = chance.random() < 0.05
            reservation = Reservation(
                id=ReservationId(uuid.uuid4().hex),
                tenant=ACME,
                limits=caps.of_user(user),
                amount=amount(held, held),
                expires_at=datetime.now(UTC) + (ABANDONED if abandoned else LEASE),
            )
            note("ask", reservation.id)
            try:
                await budgets.reserve(reservation)
            except OverBudget:
                note("refused", reservation.id)
                continue
            note("granted", reservation.id)
            await asyncio.sleep(chance.random() * 0.01)
            if abandoned:
                continue
            # Seldom all that was held, and sometimes nothing.
            spent = 0 if chance.random() < 0.1 else chance.randint(1, held)
            note("settling", reservation.id, user, spent)
            await budgets.settle(reservation, amount(spent, spent))
            note("settled", reservation.id, user, spent)

    # The server goes on for a while with connections of the dead: it has not many.
    async with open_budgets(store.database_url, store.redis_url, _now, pool_size=3) as counted:
        await asyncio.gather(*(one_after_the_other(counted.budgets) for _ in range(AT_ONCE)))


# --- one that watches ----------------------------------------------------------------------------


@dataclass(slots=True)
class Watched:
    """What was seen while they spent, and what was left."""

    asked: int = 0
    granted: int = 0
    refused: int = 0
    settled: int = 0
    kills: int = 0
    left_open: int = 0
    """Granted and never settled, as far as anybody wrote down."""
    looks: int = 0
    overspent: list[Standing] = field(default_factory=list[Standing])
    swept: int = 0
    seconds: float = 0.0
    held_at_the_end: int = 0
    """Limits that still held something when everything had been swept."""
    wrong: list[str] = field(default_factory=list[str])
    """Limits whose sum is not what was written down."""
    full: int = 0
    """Limits that had no room for the largest call at the end."""


@dataclass(slots=True)
class _Clock:
    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class _Nursery:
    """Where spenders come from: they are forked, for most of a new one's time would be imports."""

    def __init__(self, program: asyncio.subprocess.Process) -> None:
        self._program = program
        self._seeds = iter(range(1_000_000))
        self.running: list[int] = []

    async def begin(self) -> None:
        assert self._program.stdin is not None and self._program.stdout is not None
        self._program.stdin.write(f"{next(self._seeds)}\n".encode())
        self.running.append(int(await self._program.stdout.readline()))

    def kill_the_oldest(self) -> None:
        """Without a word: no `finally` of it runs. One that had ended by itself is a mistake."""
        os.kill(self.running.pop(0), signal.SIGKILL)

    def check(self) -> None:
        for process in self.running:
            assert _lives(process), "a spender failed"

    async def aclose(self) -> None:
        while self.running:
            if _lives(self.running[0]):
                self.kill_the_oldest()
            else:
                self.running.pop(0)
        self._program.kill()
        await self._program.wait()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def _open_nursery(store: Store, log: Path, caps: Caps) -> _Nursery:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.spenders", store.database_url, store.redis_url or "-",
        str(log), *map(str, (caps.tenant, caps.team, caps.user)), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    return _Nursery(program)


async def watch(
    store: Store, log: Path, caps: Caps, *, processes: int, reservations: int, kill_every: int
) -> Watched:
    """Runs `processes` until so many `reservations` were asked for, kills one whenever `kill_every`
    more were, and looks at every limit all the time."""
    watched, clock = Watched(), _Clock()
    nursery = await _open_nursery(store, log, caps)
    try:
        for _ in range(processes):
            await nursery.begin()
        began = time.perf_counter()
        async with open_budgets(store.database_url, store.redis_url, clock) as counted:
            limits = caps.limits
            while (asked := _asked(log)) < reservations:
                nursery.check()
                await _look(counted.budgets, limits, watched)
                watched.swept += (await counted.budgets.sweep(ACME)).reservations
                if asked >= (watched.kills + 1) * kill_every:
                    nursery.kill_the_oldest()
                    watched.kills += 1
                    await nursery.begin()
            while nursery.running:
                nursery.kill_the_oldest()
                watched.kills += 1
                await _look(counted.budgets, limits, watched)
            watched.seconds = time.perf_counter() - began
            clock.ahead = 2 * LEASE
            # A database may still end what the dead had begun; the next sweep finds it.
            for _ in range(SWEEPS_AT_THE_END):
                watched.swept += (await counted.budgets.sweep(ACME)).reservations
                standings = await counted.budgets.standing(limits)
                if all(each.reserved == NOTHING for each in standings):
                    break
                await asyncio.sleep(0.1)
            standings = await counted.budgets.standing(limits)
    finally:
        await nursery.aclose()
    watched.held_at_the_end = sum(each.reserved != NOTHING for each in standings)
    largest = amount(MOST)
    watched.full = sum(not each.limit.has_room(each.spent + largest) for each in standings)
    _compare(log, caps, standings, watched)
    return watched


async def _look(budgets: Budgets, limits: Sequence[Limit], watched: Watched) -> None:
    standings = await budgets.standing(limits)
    watched.overspent += [each for each in standings if not each.limit.has_room(each.used)]
    watched.looks += 1


def _asked(log: Path) -> int:
    return 0 if not log.exists() else log.read_bytes().count(b"ask ")


def _entries(log: Path) -> Iterator[list[str]]:
    return (line.split() for line in log.read_text().splitlines())


def _compare(log: Path, caps: Caps, standings: Sequence[Standing], watched: Watched) -> None:
    """What is counted as spent lies between what was surely settled and what may have been."""
    words: Counter[str] = Counter()
    surely: Counter[str] = Counter()
    perhaps: Counter[str] = Counter()
    for word, _, *more in _entries(log):
        words[word] += 1
        if more:
            user, spent = map(int, more)
            for each in caps.of_user(user):
                (surely if word == "settled" else perhaps)[each.counter] += spent
    watched.asked, watched.granted = words["ask"], words["granted"]
    watched.refused, watched.settled = words["refused"], words["settled"]
    watched.left_open = watched.granted - watched.settled
    for each in standings:
        name, spent = each.limit.counter, each.spent.money
        if not surely[name] <= spent <= perhaps[name]:
            watched.wrong.append(f"{name}: {surely[name]} <= {spent} <= {perhaps[name]}")
        if each.spent != Amount(each.spent.money, each.spent.money):
            watched.wrong.append(f"{name}: money and tokens differ")


def _now() -> datetime:
    return datetime.now(UTC)


def main(words: Sequence[str]) -> None:
    database_url, redis_url, log, *caps = words
    store = Store(database_url, None if redis_url == "-" else redis_url)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for seed in sys.stdin:
        process = os.fork()
        if process == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(spend(store, Path(log), int(seed), Caps(*map(int, caps))))
            os._exit(1)
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
