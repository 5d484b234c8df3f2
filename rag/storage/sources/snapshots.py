"""What a source is compared with: its documents as the last sync left them, and how far that came.

The snapshot is the ledger of documents itself: what was never taken in is found to be new again.
It is asked for page by page, so that no sync holds all of a large source.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select, update

from rag.access import AccessList, TenantId
from rag.storage.database import Database
from rag.storage.documents.containment import shut_out_members
from rag.storage.documents.rows import write_document
from rag.storage.jobs.records import JobKind
from rag.storage.moments import now
from rag.storage.parts import in_parts
from rag.storage.records import access_of_json, json_of_access
from rag.storage.sources.cursors import Followed, SyncState, ended_ones, follow, followed_of, needed
from rag.storage.sources.records import KnownDocument
from rag.storage.sources.rows import (
    TAKEN_IN,
    THERE,
    are_of,
    documents_of,
    known_of,
    set_missing_since,
)
from rag.storage.tables import PENDING, RUNNING, DocumentRow, JobRow, SourceRow
from rag.types import DocumentId, SourceId

_PAGE = 5_000
SHUT_OUT = "narrowed, and not yet told"
"""An access fingerprint that no source gives."""
_LIVE_CHANGES = select(JobRow.subject, JobRow.payload).where(
    JobRow.source == bindparam("source"),
    JobRow.subject.in_(bindparam("some", expanding=True)),
    JobRow.kind.in_((JobKind.UPSERT.value, JobKind.ACCESS.value, JobKind.DELETE.value)),
    or_(PENDING, RUNNING),
)


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    # --- what is known --------------------------------------------------------------------------

    async def known(
        self,
        tenant: TenantId,
        source: SourceId,
        documents: Sequence[DocumentId],
        *,
        unread: bool = False,
    ) -> dict[DocumentId, KnownDocument]:
        """Those of `documents` that were taken in, or that could not be read; with `unread` also
        those whose first ingest never ended."""
        found: dict[DocumentId, KnownDocument] = {}
        for some in in_parts(documents):
            states = THERE if unread else TAKEN_IN
            statement = documents_of(tenant, source, states).where(DocumentRow.id.in_(some))
            rows = await self.database.rows(statement)
            found |= {DocumentId(row.id): known_of(row) for row in rows}
        return found

    async def identities(
        self, tenant: TenantId, source: SourceId, identities: Collection[str]
    ) -> set[str]:
        """Those of `identities` that some document of the source has."""
        found: set[str] = set()
        for some in in_parts(sorted(identities)):
            statement = select(DocumentRow.identity).where(
                *are_of(tenant, source, TAKEN_IN), DocumentRow.identity.in_(some)
            )
            found |= {row.identity for row in await self.database.rows(statement)}
        return found

    async def readers(
        self, tenant: TenantId, source: SourceId, documents: Sequence[DocumentId]
    ) -> dict[DocumentId, AccessList]:
        """Who may read each of `documents` that was taken in."""
        found: dict[DocumentId, AccessList] = {}
        for some in in_parts(documents):
            statement = select(DocumentRow.id, DocumentRow.access).where(
                *are_of(tenant, source, TAKEN_IN), DocumentRow.id.in_(some)
            )
            rows = await self.database.rows(statement)
            found |= {DocumentId(row.id): access_of_json(row.access) for row in rows}
        return found

    async def ids(
        self, tenant: TenantId, source: SourceId, *, after: DocumentId | None = None
    ) -> AsyncGenerator[list[DocumentId]]:
        """Every document of the source that can go, in pages and in order."""
        while True:
            statement = select(DocumentRow.id).where(*are_of(tenant, source, THERE))
            if after is not None:
                statement = statement.where(DocumentRow.id > after)
            rows = await self.database.rows(statement.order_by(DocumentRow.id).limit(_PAGE))
            if not rows:
                return
            after = DocumentId(rows[-1].id)
            yield [DocumentId(row.id) for row in rows]

    async def count(self, tenant: TenantId, source: SourceId) -> int:
        statement = select(func.count().label("number")).where(*are_of(tenant, source, THERE))
        return (await self.database.rows(statement))[0].number

    async def missing(self, tenant: TenantId, source: SourceId) -> list[KnownDocument]:
        """The documents that the source was found not to list any more."""
        statement = documents_of(tenant, source, THERE).where(
            DocumentRow.missing_since.is_not(None)
        )
        rows = await self.database.rows(statement.order_by(DocumentRow.uri))
        return [known_of(row) for row in rows]

    async def shut_out(
        self, tenant: TenantId, source: SourceId, narrowed: Mapping[DocumentId, AccessList]
    ) -> None:
        """Let each document be read by no more than these from now on, in one transaction. The
        index is told by the jobs that follow; readers ask the ledger last.

        However the source says it is at the next sync, that counts as a change: should the jobs
        come to nothing, it is not left narrower than it should be.
        """
        if not narrowed:
            return
        taken = (
            select(DocumentRow.fence, DocumentRow.access)
            .where(DocumentRow.id == bindparam("this"), *are_of(tenant, source, THERE))
            .with_for_update()
        )

        def work(connection: Connection) -> None:
            for document in sorted(narrowed):
                row = connection.execute(taken, {"this": document}).one_or_none()
                if row is None:  # it was deleted meanwhile
                    continue
                access, before = narrowed[document], access_of_json(row.access)
                values: dict[str, Any] = {
                    "access": json_of_access(access),
                    "access_fingerprint": SHUT_OUT,
                    "settled": False,
                    "fence": row.fence + 1,
                }
                write_document(connection, document, row.fence, values)
                shut_out_members(connection, document, before=before, access=access)

        await self.database.write(work)

    async def contradicted(
        self, tenant: TenantId, source: SourceId, listed: Mapping[DocumentId, tuple[str, str]]
    ) -> set[DocumentId]:
        """Those of `listed`, each with its revision and the fingerprint of its access, that a job
        is about to change to something else: what it was made of is not so any more. One that is
        at it now is overtaken. To be asked before what is known."""
        said: dict[DocumentId, tuple[str, str] | None] = {}
        for some in in_parts(sorted(listed)):
            for row in await self.database.rows(_LIVE_CHANGES, {"source": source, "some": some}):
                seen = row.payload.get("seen")
                said[DocumentId(row.subject)] = seen and (seen["revision"], seen["access"])
        others = {document for document, seen in said.items() if seen != listed[document]}
        if others:
            overtaken = (
                update(DocumentRow)
                .where(*are_of(tenant, source, THERE), DocumentRow.id.in_(sorted(others)))
                .values(fence=DocumentRow.fence + 1)
            )
            await self.database.write(lambda connection: connection.execute(overtaken))
        return others

    # --- how far it came ------------------------------------------------------------------------

    async def state(self, tenant: TenantId, source: SourceId) -> SyncState:
        statement = select(
            SourceRow.cursors, SourceRow.reconciled_at, SourceRow.rechecked_to, SourceRow.held_back
        ).where(SourceRow.id == source, SourceRow.tenant == tenant)
        [row] = await self.database.rows(statement)
        return SyncState(
            followed=tuple(map(followed_of, row.cursors)),
            reconciled_at=row.reconciled_at,
            rechecked_to=DocumentId(row.rechecked_to) if row.rechecked_to else None,
            held_back=row.held_back,
        )

    async def turn_page(
        self,
        tenant: TenantId,
        source: SourceId,
        *,
        missing: Collection[DocumentId] = (),
        present: Collection[DocumentId] = (),
        cursor: str | None = None,
    ) -> None:
        """What a page said is gone or is there, and the cursor after it: all of it or nothing.

        Its other changes are to be kept before.
        """
        if not missing and not present and cursor is None:
            return
        moment = self.clock()

        def work(connection: Connection) -> None:
            set_missing_since(connection, tenant, source, missing, moment)
            set_missing_since(connection, tenant, source, present, None)
            if cursor is not None:
                reached = Followed(cursor, moment, ended=False)
                follow(
                    connection, tenant, source, lambda followed: [*ended_ones(followed), reached]
                )

        await self.database.write(work)

    async def mark_missing(
        self, tenant: TenantId, source: SourceId, missing: Collection[DocumentId]
    ) -> None:
        """These are the documents that the source does not list any more, and no others."""
        moment = self.clock()
        there = update(DocumentRow).where(
            *are_of(tenant, source, THERE), DocumentRow.missing_since.is_not(None)
        )

        def work(connection: Connection) -> None:
            connection.execute(there.values(missing_since=None))
            set_missing_since(connection, tenant, source, missing, moment)

        await self.database.write(work)

    async def ended(
        self,
        tenant: TenantId,
        source: SourceId,
        *,
        held_back: int,
        cursor: str | None = None,
        listed_everything: bool = False,
        rechecked_to: DocumentId | None = None,
        overlap: timedelta,
    ) -> None:
        """A run came to its end. `cursor` replaces every earlier one after a listing, and follows
        them after a run of changes; without one, the run's last page was the end."""
        moment = self.clock()
        values: dict[str, Any] = {"held_back": held_back}
        if listed_everything:
            values["reconciled_at"] = moment
        if rechecked_to is not None:
            values["rechecked_to"] = rechecked_to

        def moved_on(followed: list[Followed]) -> list[Followed]:
            kept = [] if listed_everything else [replace(each, ended=True) for each in followed]
            if cursor is not None:
                kept.append(Followed(cursor, moment, ended=True))
            return needed(kept, overlap)

        def work(connection: Connection) -> None:
            follow(connection, tenant, source, moved_on, **values)

        await self.database.write(work)
