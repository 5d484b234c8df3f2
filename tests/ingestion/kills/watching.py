"""Readers who never stop asking, and what of that which they were shown was forbidden.

While the platform is on its way from one state of the world to the next, a reader may be shown a
document as it is in the one or in the other, as a whole and to whom it is readable in just that
state. What was seen to be gone must not come back. They search the generation of the index that
serves at that moment, and are never shown a line of another.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import select

from rag.access import AccessScope, Principal, PrincipalId, scope_of
from rag.errors import IndexUnavailable
from rag.protocols import Index
from rag.storage.access.groups import Groups
from rag.storage.database import Database, open_database
from rag.storage.documents.passages import Passages
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import GenerationId
from rag.storage.tables import ChunkRow
from rag.types import ChunkId
from tests.ingestion.kills.generations import wanted_in
from tests.ingestion.kills.shared_index import reach_indexes
from tests.ingestion.kills.world import NOTHING, USERS, Shown, State
from tests.ingestion.marking import lines_of_chunk
from tests.ingestion.platform import TENANT

Seen = Mapping[str, frozenset[str]]
"""URI to texts."""
_EVERYTHING = np.full(8, 1 / np.sqrt(8), np.float32)
PAUSE_S = 0.05
"""Between two rounds: the one that is watched shall have the time to work."""
_MORE_THAN_THERE_ARE = 5_000
IndexOf = Callable[[GenerationId], Index]
"""The index of a generation. Raises `IndexUnavailable` where it is not open."""


@dataclass(frozen=True, slots=True)
class Way:
    """From one state of the world to the next."""

    before: State
    after: State
    old: Mapping[str, Shown]
    new: Mapping[str, Shown]

    def faults(self, identities: frozenset[str], seen: Seen) -> list[str]:
        """What none of the two states allows."""
        found: list[str] = []
        for uri, texts in seen.items():
            versions = [state[uri] for state in (self.old, self.new) if uri in state]
            if not any(one.admits(identities) and texts <= one.texts for one in versions):
                found.append(f"forbidden: {uri} shows {sorted(texts)} to {sorted(identities)}")
        return found

    def gaps(self, identities: frozenset[str], seen: Seen) -> list[str]:
        """What both states show, and was seen in neither version, or in a mixture."""
        old, new = self.old, self.new
        return [
            f"neither old nor new: {uri} shows {sorted(seen.get(uri, ()))} to {sorted(identities)}"
            for uri in old.keys() & new.keys()
            if old[uri].admits(identities) and new[uri].admits(identities)
            if seen.get(uri) not in {old[uri].texts, new[uri].texts}
        ]


def way_between(before: State, after: State, source: Path) -> Way:
    return Way(before, after, before.shown(source), after.shown(source))


@dataclass(slots=True)
class Memory:
    """What one reader saw on one way: what has gone once stays gone."""

    way: Way
    left: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By user, the documents that were not seen as before any more."""
    moved_on: set[str] = field(default_factory=set[str])
    """Users who were in their new groups."""

    def faults(self, user: str, identities: frozenset[str], seen: Seen) -> list[str]:
        found: list[str] = []
        if identities != self.way.before.identities(user):
            self.moved_on.add(user)
        elif user in self.moved_on and identities != self.way.after.identities(user):
            found.append(f"left groups came back: of {user}")
        for uri, old in self.way.old.items():
            if not old.admits(identities):
                continue
            if seen.get(uri) != old.texts:
                self.left[user].add(uri)
                continue
            new = self.way.new.get(uri)
            is_new_too = new is not None and new.admits(identities) and new.texts == old.texts
            if uri in self.left[user] and not is_new_too:
                found.append(f"came back: {uri} shows {sorted(old.texts)} to {user}")
        return found


@dataclass(frozen=True, slots=True)
class Reader:
    """Asks as people do: groups from the ledger, hits from the index, and the ledger's last word.

    Without an index everything the ledger knows is a hit, as from an index that never heard of
    any change: nothing but the ledger then keeps people out.
    """

    database: Database
    index_of: IndexOf | None = None

    async def identities(self, user: str) -> frozenset[str]:
        groups = await Groups(self.database).closure(TENANT, [PrincipalId(user)])
        return frozenset({user, "everyone", *groups})

    async def serving(self) -> GenerationId:
        serving, *_ = await Generations(self.database).live()
        return serving.id

    async def search(
        self, identities: frozenset[str], generation: GenerationId | None = None
    ) -> tuple[Seen, bool]:
        """What is seen, in the generation that serves where none is named; and whether the
        candidates were the same after as before, so that no switch of versions or of generations
        came between them and the ledger's word."""
        while True:
            asked = await self.serving() if generation is None else generation
            try:
                seen, is_steady = await self._search(identities, asked)
            except IndexUnavailable:
                if generation is None and asked != await self.serving():
                    continue  # it was left, and is gone since
                raise
            is_same = generation is not None or asked == await self.serving()
            return seen, is_steady and is_same

    async def _search(
        self, identities: frozenset[str], generation: GenerationId
    ) -> tuple[Seen, bool]:
        user, *_ = [one for one in identities if one.startswith("user:")]
        held = frozenset(PrincipalId(one) for one in identities if one.startswith("group:"))
        scope = scope_of(Principal(TENANT, PrincipalId(user), held))
        before = await self._candidates(scope, generation)
        passages = Passages(self.database, generation=generation)
        hits = await passages.readable(before, scope=scope)
        seen: defaultdict[str, set[str]] = defaultdict(set)
        for hit in hits.values():
            seen[hit.chunk.document.uri].update(lines_of_chunk(hit.chunk.text, generation))
        is_steady = self.index_of is None and before == await self._candidates(scope, generation)
        return {uri: frozenset(texts) for uri, texts in seen.items()}, is_steady

    async def _candidates(self, scope: AccessScope, generation: GenerationId) -> Sequence[ChunkId]:
        if self.index_of is None:
            held = select(ChunkRow.id).where(ChunkRow.generation == generation)
            rows = await self.database.rows(held.order_by(ChunkRow.id))
            return [ChunkId(row.id) for row in rows]
        hits = await self.index_of(generation).search_dense(
            _EVERYTHING, scope=scope, filters={}, limit=_MORE_THAN_THERE_ARE
        )
        return [hit.chunk for hit in hits]

    async def faults_at_rest(self, state: State, source: Path) -> list[str]:
        """What differs from `state` once all work is done: in the generation that serves, and in
        each that readers could be sent to."""
        found: list[str] = []
        live = frozenset(each.id for each in await Generations(self.database).live())
        wanted = wanted_in(state.number)
        if (await self.serving(), live) != (wanted.serving, wanted.live):
            found.append(f"at rest: of {sorted(live)}, {await self.serving()} serves")
        for user in USERS:
            identities = await self.identities(user)
            if identities != state.identities(user):
                found.append(f"at rest: {user} is {sorted(identities)}")
            shown = state.seen_by(user, source)
            for generation in sorted(live):
                seen, _ = await self.search(identities, generation)
                found += [
                    f"at rest: {uri} shows {sorted(seen.get(uri, ()))} to {user} in generation "
                    f"{generation}, not {sorted(shown.get(uri, ()))}"
                    for uri in seen.keys() | shown.keys()
                    if seen.get(uri) != shown.get(uri)
                ]
        return found


@dataclass(frozen=True, slots=True)
class Journal:
    """A file to which several processes add, each line at once: a kill takes none back."""

    path: Path

    def add(
        self, faults: Sequence[str], *, asked: int = 0, strictly: int = 0, taken_back: int = 0
    ) -> None:
        said = {"asked": asked, "strictly": strictly, "back": taken_back, "faults": [*faults]}
        with self.path.open("a") as file:
            file.write(json.dumps(said) + "\n")

    def take(self, other: "Journal") -> None:
        with self.path.open("a") as file:
            file.write(other.path.read_text())

    def read(self) -> dict[str, list[str] | int]:
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        return {
            "searches": sum(line["asked"] for line in lines),
            "strictly checked": sum(line["strictly"] for line in lines),
            "taken back": sum(line["back"] for line in lines),
            "faults": [fault for line in lines for fault in line["faults"]],
        }


async def watch(reader: Reader, way: Way, journal: Journal) -> None:
    """Ask as everybody, again and again, until cancelled or killed."""
    memory = Memory(way)
    while True:
        await ask_round(reader, memory, journal)
        await asyncio.sleep(PAUSE_S)


async def ask_round(reader: Reader, memory: Memory, journal: Journal) -> None:
    faults: list[str] = []
    steady = 0
    for user in USERS:
        identities = await reader.identities(user)
        seen, is_steady = await reader.search(identities)
        faults += memory.way.faults(identities, seen)
        if is_steady:
            steady += 1
            faults += memory.faults(user, identities, seen)
            faults += memory.way.gaps(identities, seen)
    journal.add(faults, asked=len(USERS), strictly=steady)


# --- a process that watches -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sign:
    """A file that says which state the world goes to; empty once nothing follows."""

    path: Path

    def show(self, number: int | None) -> None:
        new = self.path.with_suffix(".new")
        new.write_text("" if number is None else str(number))
        new.replace(self.path)

    def read(self) -> int | None:
        said = self.path.read_text()
        return int(said) if said else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run of the world keeps its things."""

    root: Path
    source: Path
    url: str
    """Of the ledger."""

    @property
    def originals(self) -> Path:
        return self.root / "originals"

    @property
    def journal(self) -> Journal:
        return Journal(self.root / "journal")

    @property
    def sign(self) -> Sign:
        return Sign(self.root / "sign")


async def watch_through(
    worlds: Sequence[State], place: Place, *, socket: Path | None = None
) -> None:
    """Through all kills and all states, until the sign is empty: as one whose index never heard of
    any change and, where one can be reached, with the index."""
    sign, journal = place.sign, place.journal
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(place.url))
        readers = [Reader(database)]
        if socket is not None:
            indexes = await stack.enter_async_context(reach_indexes(socket))
            readers.append(Reader(database, indexes.of))
        memory: Memory | None = None
        own = Journal(journal.path.with_suffix(".own"))
        while (number := sign.read()) is not None:
            if memory is None or memory.way.after.number != number:
                before = worlds[number - 1] if number else NOTHING
                memory = Memory(way_between(before, worlds[number], place.source))
            own.path.write_text("")
            for reader in readers:
                await ask_round(reader, memory, own)
            # A round during which the next state was begun belongs to neither way.
            if sign.read() == number:
                journal.take(own)
            await asyncio.sleep(PAUSE_S)
