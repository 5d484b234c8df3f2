"""The ledger of documents: what each one is, who may read it, and which version is shown.

How it is read stands in `rag.storage.documents.reads`, how an ingest ends in
`rag.storage.documents.endings`; here a version is written and shown.

Writing a document is optimistic: `begin` hands out a fence, every later write names it, and
a write whose fence was overtaken raises `Overtaken` and changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable

from rag.access import AccessList, TenantId
from rag.storage.database import Dialect, insert_for
from rag.storage.documents.containment import (
    check_container,
    check_place,
    locked_container,
    switch_members,
    tell_members,
)
from rag.storage.documents.contents import (
    are_all_live,
    gone_from,
    serving,
    write_chunks,
    write_rendition,
    write_token_vectors,
)
from rag.storage.documents.endings import DocumentEndings
from rag.storage.documents.records import DocumentState, HeldIn, NewVersion, StoredDocument
from rag.storage.documents.rows import (
    COLUMNS,
    NO_ERROR,
    TAKEN,
    Overtaken,
    audience_of,
    document_of,
    lock_original,
    note_fields,
    values_of_access,
    values_of_begun,
    values_of_metadata,
    values_of_version,
    write_document,
)
from rag.storage.generations.records import GenerationId, NewChunk, NewRendition
from rag.storage.tables import DocumentRow
from rag.storage.verdicts.rows import write_profile
from rag.types import ChunkId, DocumentId, DocumentRef, Metadata

__all__ = ["Documents", "Overtaken"]

_NOTED_AT_MOST = 10_000


@cache
def _insertion(dialect: Dialect) -> Executable:
    return insert_for(dialect, DocumentRow).on_conflict_do_nothing().returning(*COLUMNS)


@dataclass(frozen=True, slots=True)
class Documents(DocumentEndings):
    """Errors: `StorageUnavailable`, and `Overtaken` where a fence is named."""

    _noted: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]], repr=False)
    """Sets of field names, with whom they are for, that the table of fields is known to have."""

    # --- writes, in the order in which an ingest makes them -----------------------------------------

    async def begin(
        self, ref: DocumentRef, *, access: AccessList, held_in: HeldIn | None = None
    ) -> StoredDocument:
        """Take the document in hand: what is known of it. From here on it counts as unsettled;
        the `settled` that is returned is how it was before.

        One that was not there, or was deleted, is `NEW` under `access` and shown to nobody. One
        that lies in another (`held_in`) is taken in hand only while that is as it was found.
        """
        parent = None if held_in is None else held_in.document
        fresh = values_of_begun(ref, access, self.clock()) | {"parent": parent}
        insertion = _insertion(self.database.dialect)
        this = {"this": ref.id}

        def work(connection: Connection) -> StoredDocument:
            # The container before its member: in that order every writer takes them.
            container = None if held_in is None else locked_container(connection, held_in)
            known = connection.execute(TAKEN, this).one_or_none()
            check_place(known, parent)
            if held_in is not None:
                check_container(container, held_in, access, member=known)
            if known is None:
                made = connection.execute(insertion, fresh).one_or_none()
                if made is None:
                    raise Overtaken("another ingest of this document came first")
                # Of a document that was never here, the index holds nothing either.
                return replace(document_of(made), settled=True)
            was_deleted = known.state == DocumentState.DELETED.value
            taken: dict[str, Any] = {"settled": False, "fence": known.fence + 1}
            write_document(connection, ref.id, known.fence, fresh | taken if was_deleted else taken)
            begun = document_of(connection.execute(TAKEN, this).one())
            return replace(begun, settled=known.settled)

        return await self.database.write(work)

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
    ) -> None:
        """Who may read it, and what is said of it; from now on, for every reader.

        What is None stays as it was. A `revision`, with its `identity`, says that this revision's content is what is
        shown, so that an error of an earlier one is forgotten. `confirmed_at` is when the source
        last meant `access`, where it was not asked just now.
        """
        moment = self.clock()
        values: dict[str, Any] = {
            **values_of_access(access, confirmed_at=confirmed_at, moment=moment),
            "updated_at": moment,
        }
        if source_metadata is not None:
            values["source_fields"] = dict(source_metadata)
        if metadata is not None:
            values |= values_of_metadata(metadata)
        if access_fingerprint is not None:
            values["access_fingerprint"] = access_fingerprint
        if revision is not None:
            values |= {"revision": revision, "identity": identity, **NO_ERROR}

        def work(connection: Connection) -> None:
            write_document(connection, document, fence, values)
            if metadata is not None:
                note_fields(connection, self.database, tenant, metadata, access)
            tell_members(
                connection,
                self.database,
                document,
                access=access,
                source_metadata=source_metadata,
                confirmed_at=confirmed_at,
                moment=moment,
            )

        await self.database.write(work)

    async def stage(
        self, chunks: Sequence[NewChunk], *, generation: GenerationId, fence: int
    ) -> None:
        """Hold chunks of a version that is still being embedded; no reader sees them."""
        if not chunks:
            return

        def work(connection: Connection) -> None:
            write_document(connection, chunks[0].chunk.document.id, fence, {})
            write_chunks(
                connection,
                self.database,
                [each.chunk for each in chunks],
                generation=generation,
                only_new=True,
            )
            write_token_vectors(connection, self.database, chunks, generation=generation)

        await self.database.write(work)

    async def switch(
        self,
        new: NewVersion,
        renditions: Sequence[NewRendition],
        *,
        fence: int,
        settled_in: Collection[GenerationId] = (),
    ) -> dict[GenerationId, set[ChunkId]]:
        """Show the new version instead of the old, in one transaction and in every generation of
        `renditions`; the chunks that are gone from each. What another generation holds of the
        document is shown to nobody until it has a rendition of this version.

        The indexes of the generations `settled_in` need no more work unless chunks are gone: the
        document is settled when there are no others. Raises `Overtaken` also where none of `renditions` is for the generation that readers search.
        """
        document = new.ref.id
        moment = self.clock()
        values = values_of_version(new, moment)
        fields = (new.ref.tenant, audience_of(new.access), *sorted(new.metadata))
        noted = fields in self._noted

        def work(connection: Connection) -> dict[GenerationId, set[ChunkId]]:
            lock_original(connection, self.database, new.original)
            if serving(connection) not in {each.rendition.generation for each in renditions}:
                raise Overtaken("readers search another generation since")
            gone = gone_from(connection, document, renditions)
            settled = not any(gone.values()) and are_all_live(connection, settled_in)
            write_document(connection, document, fence, values | {"settled": settled})
            self._write_renditions(connection, document, renditions, gone)
            switch_members(connection, self.database, new, moment=moment)
            self._write_verdicts(connection, new, fence)
            if not noted:
                note_fields(connection, self.database, new.ref.tenant, new.metadata, new.access)
            return gone

        gone = await self.database.write(work)
        if len(self._noted) >= _NOTED_AT_MOST:
            self._noted.clear()
        self._noted.add(fields)
        return gone

    async def take(self, tenant: TenantId, document: DocumentId) -> StoredDocument | None:
        """Take in hand, like `begin`, a document that readers see; None where they see none."""

        def work(connection: Connection) -> StoredDocument | None:
            row = connection.execute(TAKEN, {"this": document}).one_or_none()
            if row is None or row.tenant != tenant or row.state != DocumentState.ACTIVE.value:
                return None
            taken = {"settled": False, "fence": row.fence + 1}
            write_document(connection, document, row.fence, taken)
            return replace(document_of(row), fence=row.fence + 1)

        return await self.database.write(work)

    async def add_renditions(
        self, document: DocumentId, renditions: Sequence[NewRendition], *, fence: int
    ) -> dict[GenerationId, set[ChunkId]]:
        """Give generations that lack the document what they hold of the version that is shown; the
        chunks that are gone from each. Readers of the others see no change."""

        def work(connection: Connection) -> dict[GenerationId, set[ChunkId]]:
            write_document(connection, document, fence, {})
            gone = gone_from(connection, document, renditions)
            self._write_renditions(connection, document, renditions, gone)
            return gone

        return await self.database.write(work)

    def _write_renditions(
        self,
        connection: Connection,
        document: DocumentId,
        renditions: Sequence[NewRendition],
        gone: Mapping[GenerationId, Collection[ChunkId]],
    ) -> None:
        for each in renditions:
            of_this = gone[each.rendition.generation]
            write_rendition(connection, self.database, document, each, gone=of_this)

    def _write_verdicts(self, connection: Connection, new: NewVersion, fence: int) -> None:
        tenant, document = new.ref.tenant, new.ref.id
        if new.profile is not None:
            write_profile(
                connection,
                self.database,
                tenant,
                document,
                new.profile,
                is_first=fence == 1,
            )
        if new.validation is not None:
            self._write_validation(connection, tenant, document, new.validation, fence)
