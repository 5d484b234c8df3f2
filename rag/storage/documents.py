"""The ledger of documents: what each one is, who may read it, and which version is shown.

Writing a document is optimistic: `begin` hands out a generation, every later write names it, and
a write whose generation was overtaken raises `Overtaken` and changes nothing.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, select, update

from rag.access import AccessList, AccessScope, TenantId
from rag.errors import NotFound
from rag.storage.database import Database, insert_into
from rag.storage.document_rows import (
    COLUMNS,
    VALUES_OF_DELETED,
    Overtaken,
    chunk_ids_of,
    delete_chunks,
    document_of,
    held_chunks,
    lock_original,
    note_fields,
    values_of_begun,
    values_of_metadata,
    values_of_version,
    write_chunks,
    write_document,
    write_token_vectors,
)
from rag.storage.records import (
    Digest,
    DocumentState,
    JobState,
    NewChunk,
    NewVersion,
    ReadableDocument,
    SeenAs,
    StoredDocument,
    access_of_json,
    json_of_access,
)
from rag.storage.tables import ChunkRow, DocumentRow, JobRow
from rag.types import Chunk, ChunkId, DocumentId, DocumentRef, Metadata, SourceId

__all__ = ["Documents", "Overtaken"]

_JOB_IS_LIVE = JobRow.state.in_(("queued", "waiting", "running"))
_JOB_MAY_RUN = JobRow.state != JobState.DONE.value  # one that failed may be tried again
_IS_NOT_DELETED = DocumentRow.state != DocumentState.DELETED.value
_LOOKED_UP_AT_ONCE = 500


_TAKEN = select(*COLUMNS).where(DocumentRow.id == bindparam("this")).with_for_update(of=DocumentRow)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Documents:
    """Errors: `StorageUnavailable`, and `Overtaken` where a generation is named."""

    database: Database
    clock: Callable[[], datetime] = _now
    _noted: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]], repr=False)
    """Sets of field names that the table of fields is known to have."""

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

    # --- writes, in the order in which an ingest makes them -----------------------------------------

    async def begin(self, ref: DocumentRef, *, access: AccessList) -> StoredDocument:
        """Take the document in hand: what is known of it. From here on it counts as unsettled;
        the `settled` that is returned is how it was before.

        One that was not there, or was deleted, is `NEW` under `access` and shown to nobody.
        """
        fresh = values_of_begun(ref, access, self.clock())
        insertion = insert_into(self.database, DocumentRow).on_conflict_do_nothing()
        this = {"this": ref.id}

        def work(connection: Connection) -> StoredDocument:
            known = connection.execute(_TAKEN, this).one_or_none()
            if known is None:
                if not connection.execute(insertion.returning(DocumentRow.id), fresh).all():
                    raise Overtaken("another ingest of this document came first")
            else:
                was_deleted = known.state == DocumentState.DELETED.value
                taken: dict[str, Any] = {"settled": False, "generation": known.generation + 1}
                write_document(
                    connection, ref.id, known.generation, fresh | taken if was_deleted else taken
                )
            begun = document_of(connection.execute(_TAKEN, this).one())
            # Of a document that was never here, the index holds nothing either.
            return replace(begun, settled=True if known is None else known.settled)

        return await self.database.write(work)

    async def describe(
        self,
        tenant: TenantId,
        document: DocumentId,
        *,
        generation: int,
        access: AccessList,
        source_metadata: Metadata | None = None,
        metadata: Metadata | None = None,
        access_fingerprint: str | None = None,
        revision: str | None = None,
    ) -> None:
        """Who may read it, and what is said of it; from now on, for every reader.

        What is None stays as it was. A `revision` says that this revision's content is what is
        shown, so that an error of an earlier one is forgotten.
        """
        values: dict[str, Any] = {
            "access": json_of_access(access),
            "acl_as_of": self.clock(),
            "updated_at": self.clock(),
        }
        if source_metadata is not None:
            values["source_fields"] = dict(source_metadata)
        if metadata is not None:
            values |= values_of_metadata(metadata)
        if access_fingerprint is not None:
            values["access_fingerprint"] = access_fingerprint
        if revision is not None:
            values |= {"revision": revision, "error_class": None, "error": None}

        def work(connection: Connection) -> None:
            write_document(connection, document, generation, values)
            if metadata is not None:
                note_fields(connection, self.database, tenant, metadata)

        await self.database.write(work)

    async def stage(self, chunks: Sequence[NewChunk], *, generation: int) -> None:
        """Hold chunks of a version that is still being embedded; no reader sees them."""
        if not chunks:
            return

        def work(connection: Connection) -> None:
            write_document(connection, chunks[0].chunk.document.id, generation, {})
            write_chunks(connection, self.database, [each.chunk for each in chunks], only_new=True)
            write_token_vectors(connection, self.database, chunks)

        await self.database.write(work)

    async def switch(
        self,
        new: NewVersion,
        chunks: Sequence[Chunk],
        *,
        fresh: Sequence[NewChunk],
        generation: int,
        settles: bool = False,
    ) -> set[ChunkId]:
        """Show the new version instead of the old, in one transaction; the chunks that are gone.

        `chunks` is the whole version; `fresh` those of it that were not held before. `settles`
        says that the index needs no more work unless chunks are gone.
        """
        document = new.ref.id
        values = values_of_version(new, self.clock())
        fields = (new.ref.tenant, *sorted(new.metadata))
        noted = fields in self._noted

        def work(connection: Connection) -> set[ChunkId]:
            lock_original(connection, self.database, new.original)
            before = held_chunks(connection, document)
            gone = before - {chunk.id for chunk in chunks}
            settled = settles and not gone
            write_document(connection, document, generation, values | {"settled": settled})
            delete_chunks(connection, gone)
            write_chunks(connection, self.database, chunks)
            write_token_vectors(connection, self.database, fresh)
            if not noted:
                note_fields(connection, self.database, new.ref.tenant, new.metadata)
            return gone

        gone = await self.database.write(work)
        self._noted.add(fields)
        return gone

    async def settle(self, document: DocumentId, *, generation: int) -> None:
        """The index now holds what the ledger holds, and no more."""

        def work(connection: Connection) -> None:
            write_document(connection, document, generation, {"settled": True})

        await self.database.write(work)

    async def fail(
        self,
        document: DocumentId,
        *,
        generation: int,
        seen: SeenAs,
        error: BaseException,
    ) -> None:
        """Record why the content cannot be taken in. A version that was good stays shown."""
        values: dict[str, Any] = {
            "revision": seen.revision,
            "access_fingerprint": seen.access,
            "error_class": type(error).__name__,
            "error": str(error) or type(error).__name__,
            "updated_at": self.clock(),
        }

        def work(connection: Connection) -> None:
            write_document(connection, document, generation, values)
            connection.execute(
                update(DocumentRow)
                .where(DocumentRow.id == document, DocumentRow.version.is_(None))
                .values(state=DocumentState.FAILED.value)
            )

        await self.database.write(work)

    async def tombstone(self, tenant: TenantId, document: DocumentId) -> StoredDocument | None:
        """Show the document to nobody from now on; as it was before, or None if it never was."""
        if await self.find(tenant, document) is None:
            return None
        values = VALUES_OF_DELETED | {"updated_at": self.clock()}

        def work(connection: Connection) -> StoredDocument | None:
            row = connection.execute(_TAKEN, {"this": document}).one()
            taken = {"generation": row.generation + 1}
            write_document(connection, document, row.generation, values | taken)
            connection.execute(delete(ChunkRow).where(ChunkRow.document == document))
            return replace(document_of(row), generation=row.generation + 1)

        return await self.database.write(work)

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
