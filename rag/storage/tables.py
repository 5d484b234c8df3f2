"""The tables of the ledger, on SQLite and on PostgreSQL alike.

Every row belongs to a tenant. Access lists, metadata and the like are JSON text; what a query
must select by stands in a column or a table of its own.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from rag.storage.records import storable

ID_LENGTH = 64
NAME_LENGTH = 255


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, kept in UTC; SQLite knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SourceText(TypeDecorator[str]):
    """Text that came from outside: NUL and lone surrogates, which PostgreSQL refuses, become
    U+FFFD. The length in characters stays as it was, so that spans still fit."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else storable(value)


class JsonText(TypeDecorator[Any]):
    """JSON as text on every database: what a read path does not need, it need not decode."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else json.loads(value)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: UtcDateTime,
        Mapping[str, Any]: JsonText,
        list[Any]: JsonText,
        bytes: LargeBinary,
    }


class TenantRow(Base):
    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    created_at: Mapped[datetime]


class SourceRow(Base):
    """A registered connector. Its secrets are not in `settings`; those name where they are kept."""

    __tablename__ = "sources"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    kind: Mapped[str] = mapped_column(String(NAME_LENGTH))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    settings: Mapped[Mapping[str, Any]]
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    last_sync_at: Mapped[datetime | None]
    last_sync_error: Mapped[str | None] = mapped_column(SourceText)
    problems: Mapped[list[Any]]
    """What the last sync could not read: `[{"uri": ..., "reason": ...}]`."""
    batch: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """The last sync. Its jobs carry the same mark, and they are its progress."""
    weight: Mapped[float] = mapped_column(server_default="1")
    """Its share of its tenant's jobs, against those of the tenant's other sources."""
    max_running: Mapped[int | None]
    """How many of its jobs may run at a time; null as many as there are slots."""
    listing_since: Mapped[datetime | None]
    """When the last listing began."""
    listed_at: Mapped[datetime | None]
    """When the last complete listing began: it confirmed the access of all that it saw unchanged."""
    access_max_age_s: Mapped[int | None] = mapped_column(BigInteger)
    """After how long unconfirmed access hides a document; 0 never, null as the platform says."""
    cursors: Mapped[list[Any]] = mapped_column(server_default="[]")
    """How far the source's own word on changes was followed: `[{"cursor": ..., "at": ...}]`, the
    latest last. Earlier ones are kept for as long as windows may overlap."""
    reconciled_at: Mapped[datetime | None]
    """When a listing of everything last ended well."""
    rechecked_to: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """The last document that was fetched again although its source called it unchanged."""
    tally: Mapped[Mapping[str, Any]] = mapped_column(server_default="{}")
    """What the last sync found, by kind of change."""
    held_back: Mapped[int] = mapped_column(server_default="0")
    """Deletions that the mass-delete brake holds back until an administrator confirms them."""


class DocumentRow(Base):
    __tablename__ = "documents"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    source: Mapped[str] = mapped_column(ForeignKey("sources.id"), index=True)
    uri: Mapped[str] = mapped_column(SourceText)
    title: Mapped[str] = mapped_column(SourceText)
    source_title: Mapped[str] = mapped_column(SourceText)
    """What the source calls it; `title` is what the document calls itself."""
    revision: Mapped[str] = mapped_column(SourceText)
    identity: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """What stays the same when the resource moves, where its source tells it."""
    missing_since: Mapped[datetime | None]
    """When its source was first found not to list it; its deletion is decided by the sync."""
    access_fingerprint: Mapped[str] = mapped_column(SourceText)
    version: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """The version that readers see; null while there is none."""
    state: Mapped[str] = mapped_column(String(16))
    generation: Mapped[int]
    """Counts writes: who writes on what he read before must find it unchanged."""
    settled: Mapped[bool]
    """Whether the index is known to hold what the ledger holds, and no more."""
    access: Mapped[Mapping[str, Any]]
    access_until: Mapped[datetime | None]
    """When the next of its grants ends that the index still holds; null where none does."""
    acl_as_of: Mapped[datetime]
    """When `access` was read. A later complete listing confirms it, unless it is in doubt."""
    access_in_doubt: Mapped[bool] = mapped_column(server_default=false())
    """Whether the last complete listing saw a change, or a problem, that is not taken in yet."""
    fields: Mapped[Mapping[str, Any]]
    """The metadata that is shown and filtered by: the source's over the parser's."""
    source_fields: Mapped[Mapping[str, Any]]
    parsed_fields: Mapped[Mapping[str, Any]]
    document_type: Mapped[str | None] = mapped_column(SourceText)
    language: Mapped[str | None] = mapped_column(SourceText)
    content_hash: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    parser: Mapped[str | None] = mapped_column(Text)
    chunker: Mapped[str | None] = mapped_column(Text)
    embedder: Mapped[str | None] = mapped_column(Text)
    original: Mapped[str | None] = mapped_column(String(ID_LENGTH), index=True)
    """Digest of the bytes of `version`, as `Originals` knows them."""
    media_type: Mapped[str | None] = mapped_column(SourceText)
    size: Mapped[int | None] = mapped_column(BigInteger)
    supersedes: Mapped[str | None] = mapped_column(String(ID_LENGTH), index=True)
    """Id of the document that this one says it replaces."""
    warnings: Mapped[list[Any]]
    error_class: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    error: Mapped[str | None] = mapped_column(SourceText)
    """Why the last ingest failed. A document may be alive in its last good version all the same."""
    quarantine: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """The reason for which its newest version waits for an administrator."""
    release: Mapped[Mapping[str, Any] | None]
    """What an administrator has accepted of it."""
    indexed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
    parent: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """The document that it lies in: a zip's file, a mail's attachment."""
    room: Mapped[list[Any] | None]
    """How many levels, files and bytes may still come out of it; null as many as anywhere."""

    __table_args__ = (
        Index("ix_documents_source_identity", "source", "identity"),
        Index(
            "ix_documents_parent",
            "parent",
            sqlite_where=text("parent IS NOT NULL"),
            postgresql_where=text("parent IS NOT NULL"),
        ),
        Index(
            "ix_documents_access_until",
            "access_until",
            sqlite_where=text("access_until IS NOT NULL"),
            postgresql_where=text("access_until IS NOT NULL"),
        ),
        Index(
            "ix_documents_quarantine",
            "tenant",
            "id",
            sqlite_where=text("quarantine IS NOT NULL"),
            postgresql_where=text("quarantine IS NOT NULL"),
        ),
        Index(
            "ix_documents_in_doubt",
            "source",
            sqlite_where=text("access_in_doubt"),
            postgresql_where=text("access_in_doubt"),
        ),
    )


class ChunkRow(Base):
    """A chunk. Readers see it when its version is its document's."""

    __tablename__ = "chunks"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH))
    document: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    version: Mapped[str] = mapped_column(String(ID_LENGTH))
    ordinal: Mapped[int]
    text: Mapped[str] = mapped_column(SourceText)
    heading_path: Mapped[list[Any]]
    kind: Mapped[str] = mapped_column(String(16))
    span_start: Mapped[int]
    span_end: Mapped[int]
    page: Mapped[int | None]
    embedded_hash: Mapped[str] = mapped_column(String(ID_LENGTH))

    __table_args__ = (Index("ix_chunks_document_ordinal", "document", "ordinal"),)


class TokenVectorsRow(Base):
    """A chunk's token vectors, int8, row by row."""

    __tablename__ = "token_vectors"

    chunk: Mapped[str] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True
    )
    dimensions: Mapped[int]
    vectors: Mapped[bytes]


class CachedEmbeddingRow(Base):
    """An embedding that was paid for once. Tenants share none: a hit would tell of a text."""

    __tablename__ = "embedding_cache"

    fingerprint: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    vector: Mapped[bytes]
    token_dimensions: Mapped[int | None]
    tokens: Mapped[bytes | None]
    used_at: Mapped[datetime] = mapped_column(index=True)


PENDING = text("state IN ('queued', 'waiting')")
QUEUED = text("state = 'queued'")
WAITING = text("state = 'waiting'")
RUNNING = text("state = 'running'")


class JobRow(Base):
    """A unit of work. Of one subject at most one job waits and at most one runs."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    source: Mapped[str] = mapped_column(ForeignKey("sources.id"))
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(ID_LENGTH))
    """What it works on: a document's id, or the name of a whole-source job."""
    uri: Mapped[str | None] = mapped_column(SourceText)
    payload: Mapped[Mapping[str, Any]]
    original: Mapped[str | None] = mapped_column(String(ID_LENGTH), index=True)
    """Digest of bytes that the job was given, kept until it is over."""
    batch: Mapped[str | None] = mapped_column(String(ID_LENGTH), index=True)
    state: Mapped[str] = mapped_column(String(16))
    priority: Mapped[int]
    attempts: Mapped[int]
    max_attempts: Mapped[int]
    lease_owner: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime]
    error_class: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    error: Mapped[str | None] = mapped_column(SourceText)
    outcome: Mapped[str | None] = mapped_column(SourceText)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    since: Mapped[datetime] = mapped_column(server_default="1970-01-01 00:00:00")
    """When it came into its state."""
    heartbeat_at: Mapped[datetime | None]
    """When whoever runs it was last heard of."""

    __table_args__ = (
        Index(
            "uq_jobs_pending",
            "source",
            "subject",
            unique=True,
            sqlite_where=PENDING,
            postgresql_where=PENDING,
        ),
        Index(
            "uq_jobs_running",
            "source",
            "subject",
            unique=True,
            sqlite_where=RUNNING,
            postgresql_where=RUNNING,
        ),
        Index(
            "ix_jobs_queued",
            "source",
            "priority",
            "created_at",
            sqlite_where=QUEUED,
            postgresql_where=QUEUED,
        ),
        Index("ix_jobs_waiting", "not_before", sqlite_where=WAITING, postgresql_where=WAITING),
        Index("ix_jobs_tenant_state", "tenant", "state", "created_at"),
        Index("ix_jobs_subject", "source", "subject", "created_at"),
        Index(
            "ix_jobs_lease_until",
            "lease_until",
            sqlite_where=RUNNING,
            postgresql_where=RUNNING,
        ),
    )


class QueueShareRow(Base):
    """How far a tenant (`source` is empty), or a source within it, was served in a class of
    urgency; with both empty, the class as a whole. See `rag.storage.fairness`."""

    __tablename__ = "queue_shares"

    urgency: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    source: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    finish: Mapped[float]
    clock: Mapped[float]


class WorkerRow(Base):
    """What a process that runs jobs last said of itself. `owner` is empty for all that are gone:
    what they did stays counted."""

    __tablename__ = "workers"

    owner: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    slots: Mapped[int]
    running: Mapped[int]
    resident_bytes: Mapped[int | None] = mapped_column(BigInteger)
    paused: Mapped[str | None] = mapped_column(Text)
    """Why it begins no job."""
    done: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    dead: Mapped[int] = mapped_column(BigInteger)
    retried: Mapped[int] = mapped_column(BigInteger)
    claims: Mapped[int] = mapped_column(BigInteger)
    claim_seconds: Mapped[float]


class ApiKeyRow(Base):
    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    principal: Mapped[str] = mapped_column(String(NAME_LENGTH))
    groups: Mapped[list[Any]]
    secret_hash: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    prefix: Mapped[str] = mapped_column(String(32))
    """The first characters of the secret, by which a person knows the key again."""
    permissions: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class GroupEdgeRow(Base):
    """That a principal, or a group, is a member of a group, as one source says."""

    __tablename__ = "group_edges"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    source: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    group_id: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    expires_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_group_edges_up", "tenant", "member_id", "group_id"),
        Index("ix_group_edges_down", "tenant", "group_id", "member_id"),
        Index(
            "ix_group_edges_expires_at",
            "tenant",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
    )


class PrincipalEpochRow(Base):
    """How often a change may have altered the groups of a principal. It only ever grows."""

    __tablename__ = "principal_epochs"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    principal: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)


class MetadataFieldRow(Base):
    """A metadata field that documents of the tenant have had, for those who could read them: what
    a filter may name."""

    __tablename__ = "metadata_fields"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    audience: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    """A digest of `access`."""
    access: Mapped[Mapping[str, Any]]


class FeedbackRow(Base):
    __tablename__ = "feedback"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    trace_id: Mapped[str] = mapped_column(String(NAME_LENGTH), index=True)
    principal: Mapped[str] = mapped_column(String(NAME_LENGTH))
    rating: Mapped[str] = mapped_column(String(32))
    comment: Mapped[str | None] = mapped_column(SourceText)
    created_at: Mapped[datetime]


class ValidationRow(Base):
    """What the checks said of one version of a document; the last few versions' are kept."""

    __tablename__ = "validations"

    document: Mapped[str] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The document's, when it was ingested."""
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH))
    content_hash: Mapped[str] = mapped_column(String(ID_LENGTH))
    media_type: Mapped[str] = mapped_column(SourceText)
    size: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[str] = mapped_column(SourceText)
    standing: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(String(ID_LENGTH))
    verdicts: Mapped[list[Any]]
    recorded_at: Mapped[datetime]


class ProfileRow(Base):
    """What other documents, and later versions, are compared with."""

    __tablename__ = "document_profiles"

    document: Mapped[str] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    signature: Mapped[bytes]
    """MinHash values, 32 bits each, little-endian."""
    columns: Mapped[Mapping[str, Any]]


class SimilarityBandRow(Base):
    """A hash of a stretch of a document's signature: alike documents share one."""

    __tablename__ = "similarity_bands"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    band: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    document: Mapped[str] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True, index=True
    )
