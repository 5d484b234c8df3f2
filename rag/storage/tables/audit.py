"""The audit's chain of entries, its sealed segments, and the keys of the persons in it."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import ID_LENGTH, Base


class AuditEntryRow(Base):
    """Never updated, and deleted only as part of a sealed segment: triggers see to it."""

    __tablename__ = "audit_entries"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    segment: Mapped[str] = mapped_column(String(16))
    """The month it was written in (UTC), `2026-11`."""
    at: Mapped[datetime]
    pseudonym: Mapped[str] = mapped_column(String(ID_LENGTH))
    trace: Mapped[str] = mapped_column(String(ID_LENGTH))
    action: Mapped[str] = mapped_column(String(ID_LENGTH * 2))
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        Index("ix_audit_entries_tenant_pseudonym", "tenant", "pseudonym"),
        Index("ix_audit_entries_tenant_trace", "tenant", "trace"),
        Index("ix_audit_entries_tenant_segment", "tenant", "segment"),
    )


class AuditHeadRow(Base):
    """Where a tenant's chain ends: whoever appends holds this row."""

    __tablename__ = "audit_heads"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    segment: Mapped[str] = mapped_column(String(16))
    """Of its last entry: a clock that was set back opens no month that is over."""
    hash: Mapped[str] = mapped_column(String(64))


class AuditSegmentRow(Base):
    """A month that is over: nothing can be added to it, and it may be dropped as a whole."""

    __tablename__ = "audit_segments"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    segment: Mapped[str] = mapped_column(String(16), primary_key=True)
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    previous: Mapped[str] = mapped_column(String(64))
    """Hash of the entry before its first."""
    hash: Mapped[str] = mapped_column(String(64))
    """Of its last entry."""
    signature: Mapped[str] = mapped_column(String(128))
    sealed_at: Mapped[datetime]
    dropped_at: Mapped[datetime | None]


class AuditPersonRow(Base):
    """A person's key, wrapped. Without this row nobody can read what they wrote, or who they were."""

    __tablename__ = "audit_persons"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    pseudonym: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
