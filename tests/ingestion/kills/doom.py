"""A process that kills itself at a named point: between one durable step and the next."""

import os
import signal
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from sqlalchemy import Connection

from ingestion.generations import LiveGeneration, LiveGenerations
from rag.access import AccessList, AccessScope, TenantId
from rag.bodies import Body
from rag.protocols import Index, IndexPoint
from rag.storage.database import Database
from rag.storage.documents.ledger import Documents
from rag.storage.documents.records import NewVersion
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import Generation, GenerationId, NewRendition, Recipe
from rag.storage.jobs.rows import Announce, Due
from rag.storage.originals import Originals
from rag.storage.records import Digest
from rag.types import ChunkId, DocumentId, Filters, IndexHit, Metadata, Vector

_T = TypeVar("_T")

POINTS = {
    "before a ledger write": 90,
    "after a ledger write": 90,
    "after jobs were enqueued, before the sync ends": 3,
    "before an index upsert": 20,
    "between index upsert and ledger switch": 20,
    "before chunks leave the index": 6,
    "after chunks left the index": 6,
    "before the index hears of access": 6,
    "after the index heard of access": 6,
    "between tombstone and index delete": 4,
    "after a document left the index": 4,
    "between original and ledger": 20,
    "before an original goes": 4,
    "before a document's switch": 20,
    "after a document's switch": 20,
    "between the upserts of two generations": 20,
}
"""Each with how often about a run passes it at most."""
POINTS_OF_GENERATIONS = {
    "before a generation begins": 1,
    "after a generation begins": 1,
    "before the generations' switch": 1,
    "after the generations' switch": 1,
    "before a generation is dropped": 1,
    "after a generation is dropped": 1,
    "before an erasing write": 3,
    "after an erasing write": 3,
    "before an index is removed": 1,
    "after an index is removed": 1,
}
"""Few states pass each of these."""


@dataclass(slots=True)
class Doom:
    """Ends the process at the `count`-th time that `point` is passed; with it, if `with_group`,
    the process that holds its index."""

    point: str = ""
    count: int = 0
    with_group: bool = False

    def passes(self, point: str) -> None:
        if point != self.point:
            return
        self.count -= 1
        if self.count == 0:
            if self.with_group:
                os.killpg(os.getpgrp(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoomedDatabase(Database):
    doom: Doom = field(default_factory=Doom)
    what: str = "a ledger write"

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        self.doom.passes(f"before {self.what}")
        # Named, for `super()` knows nothing of the class that slots put in this one's place.
        done = await Database.write(self, work)
        self.doom.passes(f"after {self.what}")
        return done


def doomed(database: Database, doom: Doom, what: str = "a ledger write") -> DoomedDatabase:
    parts = {each.name: getattr(database, each.name) for each in fields(Database)}
    return DoomedDatabase(**parts, doom=doom, what=what)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoomedDocuments(Documents):
    doom: Doom

    async def switch(
        self,
        new: NewVersion,
        renditions: Sequence[NewRendition],
        *,
        fence: int,
        settled_in: Collection[GenerationId] = (),
    ) -> dict[GenerationId, set[ChunkId]]:
        self.doom.passes("before a document's switch")
        gone = await Documents.switch(self, new, renditions, fence=fence, settled_in=settled_in)
        self.doom.passes("after a document's switch")
        return gone

    async def add_renditions(
        self, document: DocumentId, renditions: Sequence[NewRendition], *, fence: int
    ) -> dict[GenerationId, set[ChunkId]]:
        self.doom.passes("before a document's switch")
        gone = await Documents.add_renditions(self, document, renditions, fence=fence)
        self.doom.passes("after a document's switch")
        return gone


@dataclass(frozen=True, slots=True, kw_only=True)
class DoomedLedger(Generations):
    """The ledger of generations."""

    doom: Doom

    async def begin(self, recipe: Recipe) -> Generation:
        self.doom.passes("before a generation begins")
        begun = await Generations.begin(self, recipe)
        self.doom.passes("after a generation begins")
        return begun

    async def switch(self, to: GenerationId) -> None:
        self.doom.passes("before the generations' switch")
        await Generations.switch(self, to)
        self.doom.passes("after the generations' switch")

    async def drop(self, generation: GenerationId) -> None:
        self.doom.passes("before a generation is dropped")
        await Generations.drop(self, generation)
        self.doom.passes("after a generation is dropped")

    async def erase(self, generation: GenerationId) -> int:
        erasing = doomed(self.database, self.doom, "an erasing write")
        return await Generations(erasing).erase(generation)


@dataclass(frozen=True, slots=True)
class DoomedGenerations:
    """`LiveGenerations`."""

    generations: LiveGenerations
    doom: Doom

    async def live(self) -> Sequence[LiveGeneration]:
        return [
            replace(each, index=DoomedIndex(each.index, self.doom, is_first=each.serves))
            for each in await self.generations.live()
        ]


@dataclass(frozen=True, slots=True)
class DoomedRemoval:
    """Of what a dropped generation's index has left."""

    remove: Callable[[GenerationId], Awaitable[None]]
    doom: Doom

    async def __call__(self, generation: GenerationId) -> None:
        self.doom.passes("before an index is removed")
        await self.remove(generation)
        self.doom.passes("after an index is removed")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoomedOriginals(Originals):
    doom: Doom

    async def store(self, body: Body) -> Digest:
        digest = await Originals.store(self, body)
        self.doom.passes("between original and ledger")
        return digest

    async def remove(self, digest: Digest) -> None:
        self.doom.passes("before an original goes")
        await Originals.remove(self, digest)


@dataclass(frozen=True, slots=True)
class DoomedAnnouncement:
    announce: Announce
    doom: Doom

    async def __call__(self, jobs: Sequence[Due]) -> None:
        self.doom.passes("after jobs were enqueued, before the sync ends")
        await self.announce(jobs)


@dataclass(frozen=True, slots=True)
class DoomedIndex:
    """An `Index`."""

    index: Index
    doom: Doom
    is_first: bool
    """The one that readers search is written before the others."""

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        if not self.is_first:
            self.doom.passes("between the upserts of two generations")
        self.doom.passes("before an index upsert")
        await self.index.upsert(points)
        self.doom.passes("between index upsert and ledger switch")

    async def describe(
        self, tenant: TenantId, document: DocumentId, *, access: AccessList, metadata: Metadata
    ) -> None:
        self.doom.passes("before the index hears of access")
        await self.index.describe(tenant, document, access=access, metadata=metadata)
        self.doom.passes("after the index heard of access")

    async def delete(self, tenant: TenantId, chunks: Collection[ChunkId]) -> None:
        self.doom.passes("before chunks leave the index")
        await self.index.delete(tenant, chunks)
        self.doom.passes("after chunks left the index")

    async def delete_document(self, tenant: TenantId, document: DocumentId) -> None:
        self.doom.passes("between tombstone and index delete")
        await self.index.delete_document(tenant, document)
        self.doom.passes("after a document left the index")

    async def chunk_ids(self, tenant: TenantId, document: DocumentId) -> set[ChunkId]:
        return await self.index.chunk_ids(tenant, document)

    async def search_dense(
        self, vector: Vector, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        return await self.index.search_dense(vector, scope=scope, filters=filters, limit=limit)

    async def search_sparse(
        self, text: str, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        return await self.index.search_sparse(text, scope=scope, filters=filters, limit=limit)

    async def count(self, tenant: TenantId) -> int:
        return await self.index.count(tenant)

    async def aclose(self) -> None:
        await self.index.aclose()
