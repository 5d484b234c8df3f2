"""Verdicts on documents: what the next ones are compared with, and what administrators look at.

They are written with the documents, see `rag.storage.documents.ledger`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from rag.access import PrincipalId, TenantId
from rag.errors import NotFound
from rag.storage.database import Database
from rag.storage.documents.records import DocumentState
from rag.storage.jobs.records import JobId, JobKind, JobState
from rag.storage.moments import now
from rag.storage.tables import DocumentRow, JobRow, ProfileRow, SimilarityBandRow, ValidationRow
from rag.storage.verdicts.records import (
    Accept,
    Profile,
    Quarantined,
    RecordedValidation,
    Release,
    Result,
    Standing,
    json_of_release,
)
from rag.storage.verdicts.rows import unpacked, validation_of
from rag.types import DocumentId, SourceId

RESEMBLING_AT_MOST = 50
"""Documents that one is compared with: where thousands are alike, any of them will do."""
_VALIDATIONS = tuple(ValidationRow.__table__.columns)
_COLUMNS = select(ProfileRow.columns).where(ProfileRow.document == bindparam("this"))
_RESEMBLING = (
    select(ProfileRow.document, ProfileRow.signature)
    .where(
        ProfileRow.document.in_(
            select(SimilarityBandRow.document)
            .where(
                SimilarityBandRow.tenant == bindparam("tenant"),
                SimilarityBandRow.band.in_(bindparam("bands", expanding=True)),
                SimilarityBandRow.document != bindparam("this"),
            )
            .limit(RESEMBLING_AT_MOST)
        )
    )
    .limit(RESEMBLING_AT_MOST)
)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    # --- for the checks -----------------------------------------------------------------------------

    async def columns_of(self, document: DocumentId) -> Mapping[str, str]:
        """Columns and their types in the last accepted version; none where there is none."""
        rows = await self.database.rows(_COLUMNS, {"this": document})
        return rows[0].columns if rows else {}

    async def resembling(
        self, tenant: TenantId, document: DocumentId, profile: Profile
    ) -> Mapping[DocumentId, tuple[int, ...]]:
        """Signatures of shown documents of the tenant that share a band with `profile`: some of
        them, where there are very many."""
        if not profile.bands:
            return {}
        asked = {"tenant": tenant, "bands": list(profile.bands), "this": document}
        rows = await self.database.rows(_RESEMBLING, asked)
        return {DocumentId(row.document): unpacked(row.signature) for row in rows}

    # --- for administrators: no scope, and nothing of a document's text -----------------------------

    async def of_document(
        self, tenant: TenantId, document: DocumentId
    ) -> Sequence[RecordedValidation]:
        """The last versions' validations, the newest first. Raises `NotFound`."""
        known = select(DocumentRow.id).where(
            DocumentRow.id == document, DocumentRow.tenant == tenant
        )
        if not await self.database.rows(known):
            raise NotFound("there is no such document")
        statement = (
            select(*_VALIDATIONS)
            .where(ValidationRow.document == document, ValidationRow.tenant == tenant)
            .order_by(ValidationRow.fence.desc())
        )
        return [validation_of(row) for row in await self.database.rows(statement)]

    async def quarantined(
        self,
        tenant: TenantId,
        *,
        source: SourceId | None = None,
        reason: str | None = None,
        limit: int = 100,
        after: DocumentId | None = None,
    ) -> Sequence[Quarantined]:
        """In the order of ids, from the one after `after`."""
        statement = (
            select(*_WAITING)
            .where(DocumentRow.tenant == tenant, DocumentRow.quarantine.is_not(None))
            .order_by(DocumentRow.id)
            .limit(limit)
        )
        if source is not None:
            statement = statement.where(DocumentRow.source == source)
        if reason is not None:
            statement = statement.where(DocumentRow.quarantine == reason)
        if after is not None:
            statement = statement.where(DocumentRow.id > after)
        return [_quarantined_of(row) for row in await self.database.rows(statement)]

    async def release(
        self, tenant: TenantId, document: DocumentId, *, accept: Accept, by: PrincipalId
    ) -> Quarantined:
        """Note what an administrator accepts; the document as it waits. It is taken in when it is
        ingested again. Raises `NotFound` where it is not in quarantine."""
        waiting = await self._waiting(tenant, document)
        objections = await self._objections(tenant, document)

        def work(connection: Connection) -> None:
            release = Release(
                accept=accept,
                content_hash=objections.content_hash if objections else "",
                reasons=frozenset((waiting.reason, *(objections.reasons if objections else ()))),
                by=by,
                at=self.clock(),
            )
            told = None if accept is Accept.NOTHING else json_of_release(release)
            connection.execute(
                update(DocumentRow)
                .where(DocumentRow.id == document, DocumentRow.tenant == tenant)
                .values(release=told)
            )

        await self.database.write(work)
        return waiting

    async def last_ingest(self, tenant: TenantId, document: DocumentId) -> JobId | None:
        """The newest job that tried to take the document's content in, and did not."""
        rows = await self.database.rows(
            _LAST_INGEST.where(JobRow.subject == document, JobRow.tenant == tenant)
        )
        return JobId(rows[0].id) if rows else None

    async def _waiting(self, tenant: TenantId, document: DocumentId) -> Quarantined:
        statement = select(*_WAITING).where(
            DocumentRow.id == document,
            DocumentRow.tenant == tenant,
            DocumentRow.quarantine.is_not(None),
        )
        rows = await self.database.rows(statement)
        if not rows:
            raise NotFound("there is no such document in quarantine")
        return _quarantined_of(rows[0])

    async def _objections(self, tenant: TenantId, document: DocumentId) -> "_Objections | None":
        """Those of the newest version that was kept back: what an administrator saw, and so what
        is accepted."""
        quarantined = [
            each.validation
            for each in await self.of_document(tenant, document)
            if each.validation.standing is Standing.QUARANTINED
        ]
        if not quarantined:
            return None
        validation = quarantined[0]
        return _Objections(
            validation.content_hash,
            frozenset(
                verdict.reason
                for verdict in validation.verdicts
                if verdict.result is Result.QUARANTINED
            ),
        )


@dataclass(frozen=True, slots=True)
class _Objections:
    content_hash: str
    reasons: frozenset[str]


_LAST_INGEST = (
    select(JobRow.id)
    .where(
        JobRow.kind.in_((JobKind.UPSERT.value, JobKind.REINDEX.value)),
        JobRow.state != JobState.DONE.value,
    )
    .order_by(JobRow.created_at.desc(), JobRow.id)
    .limit(1)
)
_WAITING = (
    DocumentRow.id,
    DocumentRow.source,
    DocumentRow.uri,
    DocumentRow.state,
    DocumentRow.quarantine,
    DocumentRow.error,
    DocumentRow.updated_at,
)


def _quarantined_of(row: Any) -> Quarantined:
    return Quarantined(
        document=DocumentId(row.id),
        source=SourceId(row.source),
        uri=row.uri,
        reason=row.quarantine,
        detail=row.error or "",
        is_shown=row.state == DocumentState.ACTIVE.value,
        since=row.updated_at,
    )
