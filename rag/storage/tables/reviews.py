"""The queue of what guardrails flagged for a person to look at."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import ID_LENGTH, Base, SourceText


class ReviewRow(Base):
    """One flag of one entry of the audit, which it goes with. Nothing of the text stands here."""

    __tablename__ = "reviews"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    """Of the entry."""
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    trace: Mapped[str] = mapped_column(String(ID_LENGTH))
    use_case: Mapped[str] = mapped_column(String(32))
    check_name: Mapped[str] = mapped_column(String(ID_LENGTH))
    direction: Mapped[str] = mapped_column(String(16))
    score: Mapped[float]
    kinds: Mapped[list[Any]]
    policy: Mapped[str] = mapped_column(String(ID_LENGTH))
    state: Mapped[str] = mapped_column(String(16))
    decided_at: Mapped[datetime | None]
    decided_in: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    """The entry of the audit that tells who decided."""
    note: Mapped[str | None] = mapped_column(SourceText)
    """Sealed with the key of the person whose text was flagged."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "sequence"],
            ["audit_entries.tenant", "audit_entries.sequence"],
            ondelete="CASCADE",
        ),
        Index("ix_reviews_tenant_state", "tenant", "state", "sequence"),
        Index("ix_reviews_state_check", "state", "check_name"),
    )
