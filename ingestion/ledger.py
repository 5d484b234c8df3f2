"""What the ingest flow needs of the ledger and of the place where originals are kept.

`rag.storage` has both; the flow itself knows of no database.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from rag.access import AccessList, TenantId
from rag.bodies import Body
from rag.storage.documents.records import HeldIn, NewVersion, SeenAs, StoredDocument
from rag.storage.generations.records import (
    GenerationId,
    NewChunk,
    NewRendition,
    Rendition,
)
from rag.storage.jobs.records import NewJob
from rag.storage.records import Digest
from rag.storage.verdicts.records import Validation
from rag.types import Chunk, ChunkId, DocumentId, DocumentRef, Metadata


class DocumentLedger(Protocol):
    """Every write names the fence that `begin` gave, and raises a `TransientError` without
    a trace when another ingest of the document has begun since."""

    async def begin(
        self, ref: DocumentRef, *, access: AccessList, held_in: HeldIn | None = None
    ) -> StoredDocument: ...

    async def find(self, tenant: TenantId, document: DocumentId) -> StoredDocument | None: ...

    async def take(self, tenant: TenantId, document: DocumentId) -> StoredDocument | None: ...

    async def renditions(self, document: DocumentId) -> Mapping[GenerationId, Rendition]: ...

    async def held(self, document: DocumentId, generation: GenerationId) -> set[ChunkId]: ...

    async def contents(
        self, known: StoredDocument, generation: GenerationId
    ) -> Sequence[tuple[Chunk, Digest]]: ...

    async def describe(
        self,
        tenant: TenantId,
        document: DocumentId,
        *,
        fence: int,
        access: AccessList,
        source_metadata: Metadata | None = None,
        metadata: Metadata | None = None,
        access_fingerprint: str | None = None,
        revision: str | None = None,
        identity: str | None = None,
        confirmed_at: datetime | None = None,
    ) -> None: ...

    async def stage(
        self, chunks: Sequence[NewChunk], *, generation: GenerationId, fence: int
    ) -> None: ...

    async def switch(
        self,
        new: NewVersion,
        renditions: Sequence[NewRendition],
        *,
        fence: int,
        settled_in: Collection[GenerationId] = (),
    ) -> Mapping[GenerationId, set[ChunkId]]: ...

    async def add_renditions(
        self, document: DocumentId, renditions: Sequence[NewRendition], *, fence: int
    ) -> Mapping[GenerationId, set[ChunkId]]: ...

    async def settle(
        self, document: DocumentId, *, fence: int, settled_in: Collection[GenerationId]
    ) -> None: ...

    async def fail(
        self,
        document: DocumentId,
        *,
        fence: int,
        seen: SeenAs,
        error: BaseException,
        tenant: TenantId | None = None,
        validation: Validation | None = None,
    ) -> None: ...

    async def quarantine(
        self,
        known: StoredDocument,
        *,
        seen: SeenAs,
        validation: Validation,
        detail: str,
        hides: bool,
    ) -> None: ...

    async def tombstone(
        self, tenant: TenantId, document: DocumentId, *, revision: str | None = None
    ) -> StoredDocument | None: ...

    async def unsettled_members(self, tenant: TenantId, document: DocumentId) -> list[str]: ...

    def unreferenced(self, digest: Digest) -> AbstractAsyncContextManager[bool]: ...


class JobQueue(Protocol):
    async def enqueue(self, jobs: Sequence[NewJob]) -> object: ...


class OriginalStore(Protocol):
    async def store(self, body: Body) -> Digest: ...

    async def body_of(self, digest: Digest) -> Body: ...

    async def holds(self, digest: Digest) -> bool: ...

    async def remove(self, digest: Digest) -> None: ...
