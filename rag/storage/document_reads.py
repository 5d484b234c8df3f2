"""The ledger of documents as it is read: by the ingest side, by administrators and by people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import exists, func, select

from rag.access import AccessScope, TenantId
from rag.errors import NotFound
from rag.storage.database import Database
from rag.storage.document_rows import COLUMNS, chunk_ids_of, document_of
from rag.storage.records import (
    DocumentState,
    ReadableDocument,
    SeenAs,
    StoredDocument,
    access_of_json,
)
from rag.storage.tables import ChunkRow, DocumentRow, JobRow
from rag.types import ChunkId, DocumentId, SourceId

_JOB_IS_LIVE = JobRow.state.in_(("queued", "waiting", "running"))


@dataclass(frozen=True, slots=True)
class DocumentReads:
    """Errors: `StorageUnavailable`."""

    database: Database

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

    async def snapshot(self, tenant: TenantId, source: SourceId) -> Mapping[str, SeenAs]:
        """URI to what was last taken in of it: alive documents, and those that cannot be read."""
        statement = select(
            DocumentRow.uri, DocumentRow.revision, DocumentRow.access_fingerprint
        ).where(
            DocumentRow.tenant == tenant,
            DocumentRow.source == source,
            DocumentRow.state.in_((DocumentState.ACTIVE.value, DocumentState.FAILED.value)),
        )
        rows = await self.database.rows(statement)
        return {row.uri: SeenAs(row.revision, row.access_fingerprint) for row in rows}

    async def unsettled(self, tenant: TenantId, source: SourceId) -> list[str]:
        """URIs of documents whose index entries may be off and that no job is about to mend."""
        job = exists().where(JobRow.subject == DocumentRow.id, _JOB_IS_LIVE)
        statement = select(DocumentRow.uri).where(
            DocumentRow.tenant == tenant,
            DocumentRow.source == source,
            DocumentRow.settled.is_(False),
            ~job,
        )
        return [row.uri for row in await self.database.rows(statement)]

    async def held(self, document: DocumentId) -> set[ChunkId]:
        """Chunks that the ledger holds of any version: the index holds each of them too."""
        rows = await self.database.rows(chunk_ids_of(document))
        return {ChunkId(row.id) for row in rows}

    async def chunks(self, tenant: TenantId, document: DocumentId) -> list[ChunkId]:
        """The chunks of the current version in their order."""
        statement = (
            select(ChunkRow.id)
            .join(
                DocumentRow,
                (DocumentRow.id == ChunkRow.document) & (DocumentRow.version == ChunkRow.version),
            )
            .where(DocumentRow.id == document, DocumentRow.tenant == tenant)
            .order_by(ChunkRow.ordinal)
        )
        return [ChunkId(row.id) for row in await self.database.rows(statement)]

    # --- reads for people ---------------------------------------------------------------------------

    async def readable(self, document: DocumentId, *, scope: AccessScope) -> ReadableDocument:
        """Raises `NotFound`, whether it is not there or not for this scope."""
        chunks = (
            select(func.count())
            .where(ChunkRow.document == DocumentRow.id, ChunkRow.version == DocumentRow.version)
            .scalar_subquery()
        )
        alive = DocumentRow.state == DocumentState.ACTIVE.value
        one = select(*COLUMNS, chunks.label("chunks")).where(
            DocumentRow.id == document, DocumentRow.tenant == scope.tenant, alive
        )
        newer = select(DocumentRow.id, DocumentRow.access).where(
            DocumentRow.supersedes == document, DocumentRow.tenant == scope.tenant, alive
        )
        rows = await self.database.rows(one)
        found = document_of(rows[0]) if rows else None
        if (
            found is None
            or found.version is None
            or not scope.admits(found.ref.tenant, found.access)
        ):
            raise NotFound("there is no such document")
        replaced_by = [
            DocumentId(row.id)
            for row in await self.database.rows(newer)
            if scope.admits(scope.tenant, access_of_json(row.access))
        ]
        return ReadableDocument(
            ref=found.ref,
            version=found.version,
            metadata=found.metadata,
            acl_as_of=found.acl_as_of,
            original=found.original,
            media_type=found.media_type,
            size=found.size,
            chunks=rows[0].chunks,
            superseded_by=min(replaced_by, default=None),
            indexed_at=found.indexed_at,
        )
