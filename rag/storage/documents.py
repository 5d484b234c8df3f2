"""The ledger of documents: what each one is, who may read it, and which version is shown.

How it is read stands in `rag.storage.document_reads`; here it is written.

Writing a document is optimistic: `begin` hands out a generation, every later write names it, and
a write whose generation was overtaken raises `Overtaken` and changes nothing.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, delete, exists, select, update

from rag.access import AccessList, TenantId
from rag.storage.database import Dialect, insert_for
from rag.storage.document_reads import DocumentReads
from rag.storage.document_rows import (
    COLUMNS,
    VALUES_OF_DELETED,
    Overtaken,
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
    SeenAs,
    StoredDocument,
    json_of_access,
)
from rag.storage.tables import ChunkRow, DocumentRow, JobRow
from rag.types import Chunk, ChunkId, DocumentId, DocumentRef, Metadata

__all__ = ["Documents", "Overtaken"]

_JOB_MAY_RUN = JobRow.state != JobState.DONE.value  # one that failed may be tried again
_IS_NOT_DELETED = DocumentRow.state != DocumentState.DELETED.value
_LOOKED_UP_AT_ONCE = 500


_TAKEN = select(*COLUMNS).where(DocumentRow.id == bindparam("this")).with_for_update(of=DocumentRow)


@cache
def _insertion(dialect: Dialect) -> Executable:
    return insert_for(dialect, DocumentRow).on_conflict_do_nothing().returning(*COLUMNS)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Documents(DocumentReads):
    """Errors: `StorageUnavailable`, and `Overtaken` where a generation is named."""

    clock: Callable[[], datetime] = _now
    _noted: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]], repr=False)
    """Sets of field names that the table of fields is known to have."""

    # --- writes, in the order in which an ingest makes them -----------------------------------------

    async def begin(self, ref: DocumentRef, *, access: AccessList) -> StoredDocument:
        """Take the document in hand: what is known of it. From here on it counts as unsettled;
        the `settled` that is returned is how it was before.

        One that was not there, or was deleted, is `NEW` under `access` and shown to nobody.
        """
        fresh = values_of_begun(ref, access, self.clock())
        insertion = _insertion(self.database.dialect)
        this = {"this": ref.id}

        def work(connection: Connection) -> StoredDocument:
            known = connection.execute(_TAKEN, this).one_or_none()
            if known is None:
                made = connection.execute(insertion, fresh).one_or_none()
                if made is None:
                    raise Overtaken("another ingest of this document came first")
                # Of a document that was never here, the index holds nothing either.
                return replace(document_of(made), settled=True)
            was_deleted = known.state == DocumentState.DELETED.value
            taken: dict[str, Any] = {"settled": False, "generation": known.generation + 1}
            write_document(
                connection, ref.id, known.generation, fresh | taken if was_deleted else taken
            )
            begun = document_of(connection.execute(_TAKEN, this).one())
            return replace(begun, settled=known.settled)

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
