"""What a source is compared with: its documents as the last sync left them, and how far that came.

The snapshot is the ledger of documents itself: what was never taken in is found to be new again.
It is asked for page by page, so that no sync holds all of a large source.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, or_, select, update

from rag.access import AccessList, TenantId
from rag.storage.database import Database
from rag.storage.documents.containment import shut_out_members
from rag.storage.documents.records import DocumentState
from rag.storage.documents.rows import write_document
from rag.storage.jobs.records import JobKind
from rag.storage.records import access_of_json, json_of_access
from rag.storage.sources.cursors import Followed, SyncState, ended_ones, follow, followed_of, needed
from rag.storage.tables import PENDING, RUNNING, DocumentRow, JobRow, SourceRow
from rag.types import DocumentId, SourceId

_AT_ONCE = 500
_PAGE = 5_000
_TAKEN_IN = (
    DocumentState.ACTIVE.value,
    DocumentState.FAILED.value,
    DocumentState.QUARANTINED.value,
)
_THERE = (*_TAKEN_IN, DocumentState.NEW.value)
"""What can go: also a document whose first ingest never ended."""
SHUT_OUT = "narrowed, and not yet told"
"""An access fingerprint that no source gives."""
_LIVE_CHANGES = select(JobRow.subject, JobRow.payload).where(
    JobRow.source == bindparam("source"),
    JobRow.subject.in_(bindparam("some", expanding=True)),
    JobRow.kind.in_((JobKind.UPSERT.value, JobKind.ACCESS.value, JobKind.DELETE.value)),
    or_(PENDING, RUNNING),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDocument:
    """A document as the last sync left it."""

    id: DocumentId
    uri: str
    revision: str
    access_fingerprint: str
    identity: str | None
    size: int | None
    sha256: str | None
    failed: bool
    """Its content was not taken in the last time: size and hash are those of an earlier version, if of any."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = _now

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
        for some in _slices(documents):
            states = _THERE if unread else _TAKEN_IN
            statement = _documents(tenant, source, states).where(DocumentRow.id.in_(some))
            rows = await self.database.rows(statement)
            found |= {DocumentId(row.id): _known_of(row) for row in rows}
        return found

    async def identities(
        self, tenant: TenantId, source: SourceId, identities: Collection[str]
    ) -> set[str]:
        """Those of `identities` that some document of the source has."""
        found: set[str] = set()
        for some in _slices(sorted(identities)):
            statement = select(DocumentRow.identity).where(
                *_of(tenant, source, _TAKEN_IN), DocumentRow.identity.in_(some)
            )
            found |= {row.identity for row in await self.database.rows(statement)}
        return found

    async def readers(
        self, tenant: TenantId, source: SourceId, documents: Sequence[DocumentId]
    ) -> dict[DocumentId, AccessList]:
        """Who may read each of `documents` that was taken in."""
        found: dict[DocumentId, AccessList] = {}
        for some in _slices(documents):
            statement = select(DocumentRow.id, DocumentRow.access).where(
                *_of(tenant, source, _TAKEN_IN), DocumentRow.id.in_(some)
            )
            rows = await self.database.rows(statement)
            found |= {DocumentId(row.id): access_of_json(row.access) for row in rows}
        return found

    async def ids(
        self, tenant: TenantId, source: SourceId, *, after: DocumentId | None = None
    ) -> AsyncGenerator[list[DocumentId]]:
        """Every document of the source that can go, in pages and in order."""
        while True:
            statement = select(DocumentRow.id).where(*_of(tenant, source, _THERE))
            if after is not None:
                statement = statement.where(DocumentRow.id > after)
            rows = await self.database.rows(statement.order_by(DocumentRow.id).limit(_PAGE))
            if not rows:
                return
            after = DocumentId(rows[-1].id)
            yield [DocumentId(row.id) for row in rows]

    async def count(self, tenant: TenantId, source: SourceId) -> int:
        statement = select(func.count().label("number")).where(*_of(tenant, source, _THERE))
        return (await self.database.rows(statement))[0].number

    async def missing(self, tenant: TenantId, source: SourceId) -> list[KnownDocument]:
        """The documents that the source was found not to list any more."""
        statement = _documents(tenant, source, _THERE).where(DocumentRow.missing_since.is_not(None))
        rows = await self.database.rows(statement.order_by(DocumentRow.uri))
        return [_known_of(row) for row in rows]

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
            .where(DocumentRow.id == bindparam("this"), *_of(tenant, source, _THERE))
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
        for some in _slices(sorted(listed)):
            for row in await self.database.rows(_LIVE_CHANGES, {"source": source, "some": some}):
                seen = row.payload.get("seen")
                said[DocumentId(row.subject)] = seen and (seen["revision"], seen["access"])
        others = {document for document, seen in said.items() if seen != listed[document]}
        if others:
            overtaken = (
                update(DocumentRow)
                .where(*_of(tenant, source, _THERE), DocumentRow.id.in_(sorted(others)))
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
            _mark(connection, tenant, source, missing, moment)
            _mark(connection, tenant, source, present, None)
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
            *_of(tenant, source, _THERE), DocumentRow.missing_since.is_not(None)
        )

        def work(connection: Connection) -> None:
            connection.execute(there.values(missing_since=None))
            _mark(connection, tenant, source, missing, moment)

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


# --- rows --------------------------------------------------------------------------------------


def _of(tenant: TenantId, source: SourceId, states: Iterable[str]) -> list[ColumnElement[bool]]:
    return [
        DocumentRow.tenant == tenant,
        DocumentRow.source == source,
        DocumentRow.state.in_(tuple(states)),
        DocumentRow.parent.is_(None),  # what lies in another document, no source lists
    ]


def _documents(
    tenant: TenantId, source: SourceId, states: Iterable[str]
) -> Select[*tuple[Any, ...]]:
    return select(
        DocumentRow.id,
        DocumentRow.uri,
        DocumentRow.revision,
        DocumentRow.access_fingerprint,
        DocumentRow.identity,
        DocumentRow.size,
        DocumentRow.content_hash,
        DocumentRow.error_class,
        DocumentRow.state,
    ).where(*_of(tenant, source, states))


def _known_of(row: Any) -> KnownDocument:
    return KnownDocument(
        id=DocumentId(row.id),
        uri=row.uri,
        revision=row.revision,
        access_fingerprint=row.access_fingerprint,
        identity=row.identity,
        size=row.size,
        sha256=row.content_hash,
        failed=row.error_class is not None or row.state != DocumentState.ACTIVE.value,
    )


def _mark(
    connection: Connection,
    tenant: TenantId,
    source: SourceId,
    documents: Collection[DocumentId],
    since: datetime | None,
) -> None:
    # In one order everywhere, so that two writers cannot wait on each other.
    for some in _slices(sorted(documents)):
        statement = update(DocumentRow).where(
            *_of(tenant, source, _THERE),
            DocumentRow.id.in_(some),
            DocumentRow.missing_since.is_(None)
            if since is not None
            else DocumentRow.missing_since.is_not(None),
        )
        connection.execute(statement.values(missing_since=since))


def _slices(documents: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (documents[at : at + _AT_ONCE] for at in range(0, len(documents), _AT_ONCE))
