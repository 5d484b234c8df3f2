"""Jobs, and who runs them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import (
    ID_LENGTH,
    NAME_LENGTH,
    Base,
    SourceText,
)

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
    urgency; with both empty, the class as a whole. See `rag.storage.jobs.fairness`."""

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
