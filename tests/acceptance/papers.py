"""A small world of papers for the access property: its state, a simple reference, and its writes."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from connectors.protocols import AccessChanged, Deleted, Upserted
from ingestion.expiring import drop_ended_grants
from ingestion.outcomes import AccessUpdated, Indexed, Outcome, Removed, Unchanged
from ingestion.pipeline import IngestPipeline
from rag.access import AccessList, AccessScope, Expiry, Membership, PrincipalId, TenantId
from rag.protocols import Index, IndexPoint
from rag.storage.access.groups import Groups
from rag.storage.documents.ended_grants import EndedGrants
from rag.storage.documents.ledger import Documents
from rag.storage.records import document_id_of
from rag.types import ChunkId, DocumentId, Filters, IndexHit, Metadata, SourceId, Vector
from tests.ingestion.standins import FolderInMemory

TENANTS = (TenantId("north"), TenantId("south"))
SOURCE_OF = {tenant: SourceId(f"papers-of-{tenant}") for tenant in TENANTS}
WORDS = (
    "amber", "birch", "cobalt", "dahlia", "ember", "fjord",
    "garnet", "hazel", "indigo", "jasmine", "kelp", "lilac",
)  # fmt: skip
DEPARTMENTS = ("finance", "engineering", "legal")

OF_ONE_CHUNK, OF_TWO_CHUNKS = 92, 4
PAPERS_OF_A_TENANT = OF_ONE_CHUNK + OF_TWO_CHUNKS
"""100 chunks: as many as one search may show, so that a search can be asked for all there is."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read a paper, in the reference's own words."""

    clauses: tuple[frozenset[str], ...]
    denied: frozenset[str] = frozenset()
    ends: frozenset[tuple[int, str, int]] = frozenset()
    """(clause, identity, minute) of grants that end."""

    def as_access_list(self) -> AccessList:
        return AccessList(
            tuple(frozenset(map(PrincipalId, clause)) for clause in self.clauses),
            frozenset(map(PrincipalId, self.denied)),
            frozenset(
                Expiry(clause, PrincipalId(identity), moment_of(minute))
                for clause, identity, minute in self.ends
            ),
        )

    def at(self, minute: int) -> "Readers":
        """Without the grants that ended."""
        ended = {(clause, identity) for clause, identity, end in self.ends if end <= minute}
        return Readers(
            tuple(
                frozenset(identity for identity in clause if (number, identity) not in ended)
                for number, clause in enumerate(self.clauses)
            ),
            self.denied,
            frozenset(end for end in self.ends if end[2] > minute),
        )


def moment_of(minute: int) -> datetime:
    return datetime(2026, 3, 31, tzinfo=UTC) + timedelta(minutes=minute)


@dataclass(slots=True)
class Minutes:
    """A clock that is set by hand."""

    minute: int = 0

    def __call__(self) -> datetime:
        return moment_of(self.minute)


@dataclass(frozen=True, slots=True)
class Edge:
    """That `member` belongs to `group`, until a minute or for good."""

    member: str
    group: str
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    tenant: TenantId
    user: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper in one revision, for those who may read it now."""

    tenant: TenantId
    number: int
    revision: int
    readers: Readers

    @property
    def uri(self) -> str:
        """The same in both tenants: only the tenant tells them apart."""
        return f"memory:/paper-{self.number:03}"

    @property
    def id(self) -> DocumentId:
        return document_id_of(self.tenant, SOURCE_OF[self.tenant], self.uri)

    @property
    def code(self) -> str:
        """Stands in every sentence of this paper's revision, and nowhere else."""
        return f"k{self.tenant[0]}{self.number:03}r{self.revision}"

    @property
    def words(self) -> tuple[str, str]:
        first = (self.number * 7 + self.revision) % len(WORDS)
        return WORDS[first], WORDS[(first + 1 + self.number % 5) % len(WORDS)]

    @property
    def department(self) -> str:
        return DEPARTMENTS[self.number % len(DEPARTMENTS)]

    @property
    def text(self) -> str:
        one, other = self.words
        first = f"The pump {self.code} runs with {one} oil."
        if self.number < OF_ONE_CHUNK:
            return f"{first[:-1]} and {other} grease."
        return f"{first}\nThe valve of {self.code} closes with {other} grease."


# --- the reference -----------------------------------------------------------------------------


def identities_of(reader: Reader, edges: Collection[Edge], minute: int) -> set[str]:
    """What the reader is, and all that can be reached from there."""
    held = {"everyone", reader.user, *reader.groups}
    while True:
        more = {
            edge.group
            for edge in edges
            if edge.member in held and (edge.until is None or minute < edge.until)
        }
        if more <= held:
            return held
        held |= more


def may_read(reader: Reader, held: Collection[str], paper: Paper) -> bool:
    """The rule as the access decision record says it, and nothing clever."""
    if paper.tenant != reader.tenant:
        return False
    for identity in paper.readers.denied:
        if identity in held:
            return False
    if len(paper.readers.clauses) == 0:
        return False
    for clause in paper.readers.clauses:
        if not [identity for identity in clause if identity in held]:
            return False
    return True


# --- the index, late ---------------------------------------------------------------------------


class IndexThatLags:
    """An index that, while it is behind, keeps what it is told for later and shows what it was."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._waiting: list[Callable[[], Awaitable[None]]] = []
        self.is_behind = False

    async def catch_up(self) -> None:
        self.is_behind = False
        for write in self._waiting:
            await write()
        self._waiting.clear()

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        await self._write(partial(self._index.upsert, tuple(points)))

    async def describe(
        self, tenant: TenantId, document: DocumentId, *, access: AccessList, metadata: Metadata
    ) -> None:
        await self._write(
            partial(self._index.describe, tenant, document, access=access, metadata=metadata)
        )

    async def delete(self, tenant: TenantId, chunks: Collection[ChunkId]) -> None:
        await self._write(partial(self._index.delete, tenant, frozenset(chunks)))

    async def delete_document(self, tenant: TenantId, document: DocumentId) -> None:
        await self._write(partial(self._index.delete_document, tenant, document))

    async def chunk_ids(self, tenant: TenantId, document: DocumentId) -> set[ChunkId]:
        return await self._index.chunk_ids(tenant, document)

    async def search_dense(
        self, vector: Vector, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        return await self._index.search_dense(vector, scope=scope, filters=filters, limit=limit)

    async def search_sparse(
        self, text: str, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        return await self._index.search_sparse(text, scope=scope, filters=filters, limit=limit)

    async def count(self, tenant: TenantId) -> int:
        return await self._index.count(tenant)

    async def aclose(self) -> None:
        await self._index.aclose()

    async def _write(self, write: Callable[[], Awaitable[None]]) -> None:
        if self.is_behind:
            self._waiting.append(write)
        else:
            await write()


# --- the world ---------------------------------------------------------------------------------

PaperKey = tuple[TenantId, int]


@dataclass(slots=True)
class World:
    """What the ledger holds and what the index holds of it, changed through the real pipeline."""

    pipeline: IngestPipeline
    index: IndexThatLags
    documents: Documents
    groups: Groups
    clock: Minutes
    folders: dict[TenantId, FolderInMemory] = field(
        default_factory=lambda: {tenant: FolderInMemory(SOURCE_OF[tenant]) for tenant in TENANTS}
    )
    ledger: dict[PaperKey, Paper] = field(default_factory=dict[PaperKey, Paper])
    indexed: dict[PaperKey, Paper] = field(default_factory=dict[PaperKey, Paper])
    """What the index holds: without the grants that were taken out of it when they had ended."""
    edges: dict[TenantId, tuple[Edge, ...]] = field(
        default_factory=lambda: dict.fromkeys(TENANTS, ())
    )
    _followed: dict[PaperKey, Paper] = field(default_factory=dict[PaperKey, Paper])
    """What the ledger said when the index last followed."""

    async def put(self, paper: Paper) -> None:
        """The paper is there as it now is: new, edited, or for other readers."""
        folder, before = self.folders[paper.tenant], self.ledger.get((paper.tenant, paper.number))
        if before == paper:
            return
        metadata: Metadata = {"department": paper.department}
        access = paper.readers.as_access_list()
        folder.put(paper.uri, paper.text, access=access, metadata=metadata)
        seen = folder.files[paper.uri].seen
        if before is not None and before.revision == paper.revision:
            change = AccessChanged(paper.uri, seen, access, metadata)
            await self._ingest(paper.tenant, change, AccessUpdated, Unchanged)
        else:
            change = Upserted(paper.uri, seen)
            await self._ingest(paper.tenant, change, Indexed, AccessUpdated, Unchanged)
        self.ledger[paper.tenant, paper.number] = paper
        self._index_follows()

    async def remove(self, paper: Paper) -> None:
        self.folders[paper.tenant].files.pop(paper.uri, None)
        await self._ingest(paper.tenant, Deleted(paper.uri), Removed)
        self.ledger.pop((paper.tenant, paper.number), None)
        self._index_follows()

    async def index_catches_up(self) -> None:
        await self.index.catch_up()
        self._index_follows()

    async def regroup(self, tenant: TenantId, edges: tuple[Edge, ...]) -> None:
        """These are the tenant's memberships from now on."""
        self.edges[tenant] = edges
        said = [
            Membership(
                PrincipalId(edge.member),
                PrincipalId(edge.group),
                None if edge.until is None else moment_of(edge.until),
            )
            for edge in edges
        ]
        await self.groups.replace(tenant, SOURCE_OF[tenant], said)

    async def sweep(self) -> None:
        """Grants that ended leave the index, unless it is behind with more than that."""
        if self.index.is_behind:
            return
        await drop_ended_grants(
            EndedGrants(self.documents.database, self.documents.clock),
            self.documents,
            await self.pipeline.generations.live(),
        )
        minute = self.clock.minute
        self.indexed = {
            key: replace(paper, readers=paper.readers.at(minute))
            for key, paper in self.indexed.items()
        }

    def opens(self, paper: Paper, reader: Reader) -> bool:
        """Whether the paper may be read: what the ledger says counts, whatever the index says."""
        now = self.ledger.get((paper.tenant, paper.number))
        return now is not None and self._admits(reader, now)

    def finds(self, paper: Paper, reader: Reader) -> bool:
        """Whether a search can come upon the paper: an index that is behind may not show it yet."""
        key = paper.tenant, paper.number
        now, indexed = self.ledger.get(key), self.indexed.get(key)
        if now is None or indexed is None or now.revision != indexed.revision:
            return False
        held = identities_of(reader, self.edges[reader.tenant], self.clock.minute)
        return self._admits(reader, now) and may_read(reader, held, indexed)

    def _admits(self, reader: Reader, paper: Paper) -> bool:
        minute = self.clock.minute
        held = identities_of(reader, self.edges[reader.tenant], minute)
        return may_read(reader, held, replace(paper, readers=paper.readers.at(minute)))

    async def _ingest(
        self,
        tenant: TenantId,
        change: AccessChanged | Upserted | Deleted,
        *expected: type[Outcome],
    ) -> None:
        outcome = await self.pipeline.ingest(change, self.folders[tenant], tenant=tenant)
        assert isinstance(outcome, expected), outcome

    def _index_follows(self) -> None:
        if self.index.is_behind:
            return
        for key in self._followed.keys() | self.ledger.keys():
            now = self.ledger.get(key)
            if now == self._followed.get(key):
                continue
            if now is None:
                del self._followed[key], self.indexed[key]
            else:
                self._followed[key] = self.indexed[key] = now
