"""Documents as rows: the turning of one into the other, and the writes they share."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select, text, update

from rag.access import AccessList, TenantId
from rag.errors import TransientError
from rag.storage.database import Database, insert_into
from rag.storage.documents.records import DocumentState, NewVersion, StoredDocument
from rag.storage.records import Digest, access_of_json, fingerprint_of, json_of_access
from rag.storage.tables import DocumentRow, JobRow, MetadataFieldRow
from rag.storage.verdicts.records import release_of_json
from rag.types import DocumentId, DocumentRef, Metadata, SourceId, VersionId


class Overtaken(TransientError):  # noqa: N818 - an outcome with a name, like those in errors.py
    """Another ingest of the same document wrote first. The next attempt sees what it wrote."""


COLUMNS = (
    DocumentRow.id,
    DocumentRow.tenant,
    DocumentRow.source,
    DocumentRow.uri,
    DocumentRow.title,
    DocumentRow.source_title,
    DocumentRow.state,
    DocumentRow.fence,
    DocumentRow.settled,
    DocumentRow.version,
    DocumentRow.revision,
    DocumentRow.access_fingerprint,
    DocumentRow.access,
    DocumentRow.acl_as_of,
    DocumentRow.fields,
    DocumentRow.source_fields,
    DocumentRow.parsed_fields,
    DocumentRow.content_hash,
    DocumentRow.original,
    DocumentRow.media_type,
    DocumentRow.size,
    DocumentRow.supersedes,
    DocumentRow.warnings,
    DocumentRow.error_class,
    DocumentRow.error,
    DocumentRow.quarantine,
    DocumentRow.release,
    DocumentRow.indexed_at,
    DocumentRow.updated_at,
    DocumentRow.parent,
    DocumentRow.room,
    DocumentRow.missing_since,
    DocumentRow.identity,
)


OF_DOCUMENT = and_(JobRow.source == DocumentRow.source, JobRow.subject == DocumentRow.id)
"""Joins a document with the jobs for it. They are found by their source: every index begins with
it."""

NO_ERROR: dict[str, Any] = {"error_class": None, "error": None, "quarantine": None}

TAKEN = select(*COLUMNS).where(DocumentRow.id == bindparam("this")).with_for_update(of=DocumentRow)
"""One document, which nobody else may write until the transaction ends."""


def document_of(row: Any) -> StoredDocument:
    return StoredDocument(
        ref=DocumentRef(
            DocumentId(row.id), TenantId(row.tenant), SourceId(row.source), row.uri, row.title
        ),
        source_title=row.source_title,
        state=DocumentState(row.state),
        fence=row.fence,
        settled=row.settled,
        version=VersionId(row.version) if row.version else None,
        revision=row.revision,
        access_fingerprint=row.access_fingerprint,
        access=access_of_json(row.access),
        acl_as_of=row.acl_as_of,
        metadata=row.fields,
        source_metadata=row.source_fields,
        parsed_metadata=row.parsed_fields,
        content_hash=row.content_hash,
        original=Digest(row.original) if row.original else None,
        media_type=row.media_type,
        size=row.size,
        supersedes=DocumentId(row.supersedes) if row.supersedes else None,
        warnings=tuple(row.warnings),
        error_class=row.error_class,
        error=row.error,
        quarantine=row.quarantine,
        release=release_of_json(row.release),
        indexed_at=row.indexed_at,
        updated_at=row.updated_at,
        parent=DocumentId(row.parent) if row.parent else None,
        room=tuple(row.room) if row.room else None,
        is_missing=row.missing_since is not None,
        identity=row.identity,
    )


def values_of_begun(ref: DocumentRef, access: AccessList, moment: datetime) -> dict[str, Any]:
    """A document of which nothing is known yet but where it is and who may read it."""
    return {
        "id": ref.id,
        "tenant": ref.tenant,
        "source": ref.source,
        "uri": ref.uri,
        "title": ref.title,
        "source_title": ref.title,
        "revision": "",
        "access_fingerprint": "",
        "version": None,
        "state": DocumentState.NEW.value,
        "fence": 1,
        "settled": False,
        "access": json_of_access(access),
        "access_until": None,
        "acl_as_of": moment,
        "access_in_doubt": False,
        "fields": {},
        "source_fields": {},
        "parsed_fields": {},
        "warnings": [],
        "original": None,
        "size": None,
        "error_class": None,
        "error": None,
        "quarantine": None,
        "release": None,
        "updated_at": moment,
    }


def values_of_version(new: NewVersion, moment: datetime) -> dict[str, Any]:
    return {
        "title": new.ref.title,
        "source_title": new.source_title,
        "revision": new.revision,
        "identity": new.identity,
        "access_fingerprint": new.access_fingerprint,
        "version": new.version,
        "state": DocumentState.ACTIVE.value,
        **values_of_access(new.access, confirmed_at=new.confirmed_at, moment=moment),
        "source_fields": dict(new.source_metadata),
        "parsed_fields": dict(new.parsed_metadata),
        "content_hash": new.content_hash,
        "original": new.original,
        "media_type": new.media_type,
        "size": new.size,
        "supersedes": new.supersedes,
        "warnings": list(new.warnings),
        "indexed_at": moment,
        "updated_at": moment,
        **({} if new.is_old else NO_ERROR),
        "room": None if new.room is None else list(new.room),
    } | values_of_metadata(new.metadata)


def values_of_access(
    access: AccessList, *, confirmed_at: datetime | None, moment: datetime
) -> dict[str, Any]:
    """`confirmed_at` is None where the source was asked just now, which ends any doubt."""
    values: dict[str, Any] = {
        "access": json_of_access(access),
        "access_until": access.next_expiry,
        "acl_as_of": moment if confirmed_at is None else confirmed_at,
    }
    return values | {"access_in_doubt": False} if confirmed_at is None else values


def values_of_metadata(metadata: Metadata) -> dict[str, Any]:
    kind, language = metadata.get("document_type"), metadata.get("language")
    return {
        "fields": dict(metadata),
        "document_type": None if kind is None else str(kind),
        "language": None if language is None else str(language),
    }


VALUES_OF_DELETED: dict[str, Any] = {
    "state": DocumentState.DELETED.value,
    "version": None,
    "settled": False,
    "supersedes": None,
    "title": "",
    "source_title": "",
    "document_type": None,
    "language": None,
    "content_hash": None,
    "fields": {},
    "source_fields": {},
    "parsed_fields": {},
    "warnings": [],
    **NO_ERROR,
    "release": None,
    "access_until": None,
    "identity": None,
    "missing_since": None,
}
"""A tombstone keeps where the document was, and nothing that it said. The digest of its original
stays, for whoever removes the bytes."""


VALUES_OF_HIDDEN: dict[str, Any] = {
    "state": DocumentState.QUARANTINED.value,
    "version": None,
    "supersedes": None,
    "document_type": None,
    "language": None,
    "content_hash": None,
    "original": None,
    "size": None,
    "fields": {},
    "parsed_fields": {},
    "warnings": [],
}
"""In quarantine nothing that the document said is kept, only where it is and who may read it."""


_WRITE = update(DocumentRow).where(
    DocumentRow.id == bindparam("this"), DocumentRow.fence == bindparam("read")
)


def write_document(
    connection: Connection, document: DocumentId, fence: int, values: dict[str, Any]
) -> None:
    """Raises `Overtaken` unless the document is still of `fence`."""
    named = {"fence": fence, "this": document, "read": fence} | values
    if connection.execute(_WRITE, named).rowcount == 0:
        raise Overtaken("another ingest of this document came first")


def note_fields(
    connection: Connection,
    database: Database,
    tenant: TenantId,
    metadata: Metadata,
    access: AccessList,
) -> None:
    """For those whom `access` admits, a filter may name these fields from now on."""
    told, audience = json_of_access(access), audience_of(access)
    # In one order everywhere, so that two documents cannot wait on each other.
    rows = [
        {"tenant": tenant, "name": name, "audience": audience, "access": told}
        for name in sorted(metadata)
    ]
    if rows:
        statement = insert_into(database, MetadataFieldRow).on_conflict_do_nothing()
        connection.execute(statement, rows)


def audience_of(access: AccessList) -> str:
    """Equal exactly for equal access lists."""
    return fingerprint_of(json.dumps(json_of_access(access)))


def lock_original(connection: Connection, database: Database, digest: Digest) -> None:
    """Nobody else decides about these bytes until the transaction ends.

    SQLite has one writer at a time as it is.
    """
    if database.dialect == "postgresql":
        statement = text("SELECT pg_advisory_xact_lock(hashtextextended(:digest, 0))")
        connection.execute(statement, {"digest": digest})
