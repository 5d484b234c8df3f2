"""Which model was chosen for what, and how that went."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import ID_LENGTH, NAME_LENGTH, Base


class RouteOutcomeRow(Base):
    """One decision of one request. It holds nothing of what was asked or answered."""

    __tablename__ = "route_outcomes"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    request: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    use_case: Mapped[str] = mapped_column(String(32))
    step: Mapped[str] = mapped_column(String(ID_LENGTH))
    quality: Mapped[str] = mapped_column(String(32))
    first: Mapped[str] = mapped_column(String(NAME_LENGTH))
    answered_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    tier: Mapped[str] = mapped_column(String(32))
    reasons: Mapped[list[Any]]
    complexity: Mapped[float | None]
    outcome: Mapped[str] = mapped_column(String(32))
    confidence: Mapped[float | None]
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[int] = mapped_column(BigInteger)
    total_ms: Mapped[float]

    __table_args__ = (Index("ix_route_outcomes_at", "tenant", "at"),)
