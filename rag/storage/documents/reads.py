"""The ledger of documents as it is read: by the ingest side, by administrators and by people."""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, func, select

from rag.access import AccessScope, TenantId
from rag.errors import NotFound
from rag.storage.database import Database
from rag.storage.documents.admission import FRESHNESS, AgeLimit, StoredAccess, stored_access
from rag.storage.documents.contents import (
    CHUNK_COLUMNS,
    CHUNK_IDS,
    IS_SHOWN,
    RENDITIONS,
    SERVING,
    chunk_of,
    rendition_of,
)
from rag.storage.documents.records import DocumentState, ReadableDocument, StoredDocument
from rag.storage.documents.rows import COLUMNS, OF_DOCUMENT, document_of, lock_original
from rag.storage.generations.records import GenerationId, Rendition
from rag.storage.jobs.records import JobState
from rag.storage.moments import now
from rag.storage.records import Digest, access_of_json
from rag.storage.tables import (
    ChunkRow,
    DocumentRow,
    JobRow,
    MetadataFieldRow,
    RenditionRow,
    SourceRow,
)
from rag.types import Chunk, ChunkId, DocumentId, SourceId

_LOOKED_UP_AT_ONCE = 500
_JOB_IS_LIVE = JobRow.state.in_(("queued", "waiting", "running"))
_JOB_MAY_RUN = JobRow.state != JobState.DONE.value  # one that failed may be tried again
_IS_NOT_DELETED = DocumentRow.state != DocumentState.DELETED.value


@dataclass(frozen=True, slots=True)
class DocumentReads:
    """Errors: `StorageUnavailable`."""

    database: Database
    age_limit: AgeLimit = field(default_factory=AgeLimit)
    clock: Callable[[], datetime] = now

    # --- reads of the ingest side: no scope, nothing of it is for readers ---------------------------

    async def find(self, tenant: TenantId, document: DocumentId) -> StoredDocument | None:
        statement = select(*COLUMNS).where(DocumentRow.id == document, DocumentRow.tenant == tenant)
        rows = await self.database.rows(statement)
        return document_of(rows[0]) if rows else None

    async def listed(
        self,
        tenant: TenantId,
        *,
        source: SourceId | None = None,
        states: Sequence[DocumentState] = (DocumentState.ACTIVE, DocumentState.FAILED),
        limit: int = 100,
        after: DocumentId | None = None,
    ) -> list[StoredDocument]:
        """For administrators: in the order of ids, from the one after `after`."""
        statement = (
            select(*COLUMNS)
            .where(
                DocumentRow.tenant == tenant,
                DocumentRow.state.in_([state.value for state in states]),
            )
            .order_by(DocumentRow.id)
            .limit(limit)
        )
        if source is not None:
            statement = statement.where(DocumentRow.source == source)
        if after is not None:
            statement = statement.where(DocumentRow.id > after)
        return [document_of(row) for row in await self.database.rows(statement)]

    async def fields(self, tenant: TenantId, names: Collection[str]) -> frozenset[str]:
        """For administrators: those of `names` that some document of the tenant has had."""
        statement = select(MetadataFieldRow.name).where(
            MetadataFieldRow.tenant == tenant, MetadataFieldRow.name.in_(sorted(names))
        )
        return frozenset(row.name for row in await self.database.rows(statement.distinct()))

    async def unsettled(self, tenant: TenantId, source: SourceId) -> list[str]:
        """URIs of documents whose index entries may be off and that no job is about to mend."""
        job = exists().where(OF_DOCUMENT, _JOB_IS_LIVE)
        statement = select(DocumentRow.uri).where(
            DocumentRow.tenant == tenant,
            DocumentRow.source == source,
            DocumentRow.settled.is_(False),
            ~job,
        )
        return [row.uri for row in await self.database.rows(statement)]

    async def unsettled_members(self, tenant: TenantId, document: DocumentId) -> list[str]:
        """URIs of documents inside this one, at any depth, whose index entries may be off and that
        no job is about to mend."""
        job = exists().where(OF_DOCUMENT, _JOB_IS_LIVE)
        columns = (DocumentRow.id, DocumentRow.uri, DocumentRow.settled, job.label("has_job"))
        found: list[str] = []
        level: list[str] = [document]
        while level:
            below: list[str] = []
            for start in range(0, len(level), _LOOKED_UP_AT_ONCE):
                some = level[start : start + _LOOKED_UP_AT_ONCE]
                statement = select(*columns).where(
                    DocumentRow.tenant == tenant, DocumentRow.parent.in_(some)
                )
                for row in await self.database.rows(statement):
                    below.append(row.id)
                    if not row.settled and not row.has_job:
                        found.append(row.uri)
            level = below
        return found

    async def renditions(self, document: DocumentId) -> dict[GenerationId, Rendition]:
        """What the generations hold of it; what is dropped may still be among them."""
        rows = await self.database.rows(RENDITIONS, {"this": document})
        return {found.generation: found for found in map(rendition_of, rows)}

    async def held(self, document: DocumentId, generation: GenerationId) -> set[ChunkId]:
        """Chunks that the ledger holds of any version: the generation's index holds each too."""
        rows = await self.database.rows(CHUNK_IDS, {"this": document, "generation": generation})
        return {ChunkId(row.id) for row in rows}

    async def chunks(
        self, tenant: TenantId, document: DocumentId, generation: GenerationId | None = None
    ) -> list[ChunkId]:
        """The chunks of the current version in their order; of the generation that serves, unless
        another is named."""
        statement = (
            select(ChunkRow.id)
            .join(DocumentRow, DocumentRow.id == ChunkRow.document)
            .join(RenditionRow, IS_SHOWN)
            .where(
                DocumentRow.id == document,
                DocumentRow.tenant == tenant,
                ChunkRow.generation == (SERVING if generation is None else generation),
            )
            .order_by(ChunkRow.ordinal)
        )
        return [ChunkId(row.id) for row in await self.database.rows(statement)]

    async def contents(
        self, known: StoredDocument, generation: GenerationId
    ) -> list[tuple[Chunk, Digest]]:
        """The chunks of the current version as the generation holds them, each with the
        fingerprint of the text that was embedded for it."""
        statement = (
            select(*CHUNK_COLUMNS, ChunkRow.embedded_hash)
            .select_from(ChunkRow)
            .join(DocumentRow, DocumentRow.id == ChunkRow.document)
            .join(RenditionRow, IS_SHOWN)
            .where(DocumentRow.id == known.ref.id, ChunkRow.generation == generation)
            .order_by(ChunkRow.ordinal)
        )
        rows = await self.database.rows(statement)
        return [(chunk_of(row, known.ref), Digest(row.embedded_hash)) for row in rows]

    # --- whether the bytes of an original are needed --------------------------------------------------

    async def strays(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those of `digests` that no document and no job seems to need; `unreferenced` is sure."""
        needed: set[str] = set()
        for start in range(0, len(digests), _LOOKED_UP_AT_ONCE):
            some = digests[start : start + _LOOKED_UP_AT_ONCE]
            for column, in_use in (
                (DocumentRow.original, _IS_NOT_DELETED),
                (JobRow.original, _JOB_MAY_RUN),
            ):
                rows = await self.database.rows(select(column).where(column.in_(some), in_use))
                needed.update(filter(None, (row[0] for row in rows)))
        return [digest for digest in digests if digest not in needed]

    @asynccontextmanager
    async def unreferenced(self, digest: Digest) -> AsyncGenerator[bool]:
        """Whether no document and no job needs these bytes; that holds until the block ends."""
        by_document = exists().where(DocumentRow.original == digest, _IS_NOT_DELETED)
        by_job = exists().where(JobRow.original == digest, _JOB_MAY_RUN)
        async with self.database.writing() as connection:
            await connection.run_sync(lock_original, self.database, digest)
            yield not (await connection.execute(select(by_document | by_job))).scalar_one()

    # --- reads for people ---------------------------------------------------------------------------

    async def readable(self, document: DocumentId, *, scope: AccessScope) -> ReadableDocument:
        """Raises `NotFound`, whether it is not there or not for this scope."""
        chunks = (
            select(func.count())
            .select_from(ChunkRow)
            .join(RenditionRow, IS_SHOWN)
            .where(ChunkRow.document == DocumentRow.id, ChunkRow.generation == SERVING)
            .correlate(DocumentRow)
            .scalar_subquery()
        )
        alive = DocumentRow.state == DocumentState.ACTIVE.value
        one = _with_source(*COLUMNS, chunks.label("chunks")).where(
            DocumentRow.id == document, DocumentRow.tenant == scope.tenant, alive
        )
        newer = _with_source(DocumentRow.id, DocumentRow.tenant, DocumentRow.access).where(
            DocumentRow.supersedes == document, DocumentRow.tenant == scope.tenant, alive
        )
        moment = self.clock()
        rows = await self.database.rows(one)
        found = document_of(rows[0]) if rows else None
        if found is None or found.version is None:
            raise NotFound("there is no such document")
        stored = self._stored(rows[0])
        if not stored.admits(scope, at=moment):
            raise NotFound("there is no such document")
        replaced_by = [
            DocumentId(row.id)
            for row in await self.database.rows(newer)
            if self._stored(row).admits(scope, at=moment)
        ]
        return ReadableDocument(
            ref=found.ref,
            version=found.version,
            metadata=found.metadata,
            acl_as_of=stored.confirmed_at,
            original=found.original,
            media_type=found.media_type,
            size=found.size,
            chunks=rows[0].chunks,
            superseded_by=min(replaced_by, default=None),
            indexed_at=found.indexed_at,
        )

    async def access_of(self, tenant: TenantId, document: DocumentId) -> StoredAccess:
        """For administrators: who may read it and how fresh that is. Raises `NotFound`."""
        statement = _with_source(DocumentRow.tenant, DocumentRow.access)
        rows = await self.database.rows(
            statement.where(DocumentRow.id == document, DocumentRow.tenant == tenant)
        )
        if not rows:
            raise NotFound("there is no such document")
        return self._stored(rows[0])

    def _stored(self, row: Any) -> StoredAccess:
        return stored_access(row, access_of_json(row.access), self.age_limit)


def _with_source(*columns: Any) -> Select[*tuple[Any, ...]]:
    """`columns` of documents, with what says how fresh their access is."""
    more = [column for column in FRESHNESS if column not in set(columns)]
    return select(*columns, *more).join(SourceRow, SourceRow.id == DocumentRow.source)
