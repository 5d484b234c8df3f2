"""The rows of a source's documents: which they are, what a sync knows of each, and what is missing."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select, update

from rag.access import TenantId
from rag.storage.documents.records import DocumentState
from rag.storage.parts import in_parts
from rag.storage.sources.records import KnownDocument
from rag.storage.tables import DocumentRow
from rag.types import DocumentId, SourceId

TAKEN_IN = (
    DocumentState.ACTIVE.value,
    DocumentState.FAILED.value,
    DocumentState.QUARANTINED.value,
)
THERE = (*TAKEN_IN, DocumentState.NEW.value)
"""What can go: also a document whose first ingest never ended."""


def are_of(tenant: TenantId, source: SourceId, states: Iterable[str]) -> list[ColumnElement[bool]]:
    """What holds for the source's documents that are in one of `states`."""
    return [
        DocumentRow.tenant == tenant,
        DocumentRow.source == source,
        DocumentRow.state.in_(tuple(states)),
        DocumentRow.parent.is_(None),  # what lies in another document, no source lists
    ]


def documents_of(
    tenant: TenantId, source: SourceId, states: Iterable[str]
) -> Select[*tuple[Any, ...]]:
    """The rows that `known_of` reads."""
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
    ).where(*are_of(tenant, source, states))


def known_of(row: Any) -> KnownDocument:
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


def set_missing_since(
    connection: Connection,
    tenant: TenantId,
    source: SourceId,
    documents: Collection[DocumentId],
    since: datetime | None,
) -> None:
    """They are missing since then, or are there again where it is None."""
    # In one order everywhere, so that two writers cannot wait on each other.
    for some in in_parts(sorted(documents)):
        statement = update(DocumentRow).where(
            *are_of(tenant, source, THERE),
            DocumentRow.id.in_(some),
            DocumentRow.missing_since.is_(None)
            if since is not None
            else DocumentRow.missing_since.is_not(None),
        )
        connection.execute(statement.values(missing_since=since))
