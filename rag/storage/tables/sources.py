"""Registered connectors."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import (
    ID_LENGTH,
    NAME_LENGTH,
    Base,
    SourceText,
)


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
