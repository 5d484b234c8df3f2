"""Documents, what filters may name of them, and the embeddings that were paid for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    String,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import (
    ID_LENGTH,
    NAME_LENGTH,
    Base,
    SourceText,
)


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
    """The version that readers see, in the rendition of the generation that serves them; null while
    there is none."""
    state: Mapped[str] = mapped_column(String(16))
    fence: Mapped[int]
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
        Index("ix_documents_tenant_updated_at", "tenant", "updated_at"),
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


class CachedEmbeddingRow(Base):
    """An embedding that was paid for once. Tenants share none: a hit would tell of a text."""

    __tablename__ = "embedding_cache"

    fingerprint: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    vector: Mapped[bytes]
    token_dimensions: Mapped[int | None]
    tokens: Mapped[bytes | None]
    used_at: Mapped[datetime] = mapped_column(index=True)


class MetadataFieldRow(Base):
    """A metadata field that documents of the tenant have had, for those who could read them: what
    a filter may name."""

    __tablename__ = "metadata_fields"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    audience: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    """A digest of `access`."""
    access: Mapped[Mapping[str, Any]]
