"""Budgets, what counts against them, and what was used."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import ID_LENGTH, NAME_LENGTH, Base

COUNTER_LENGTH = 400
OPEN = text("state = 'open'")


class BudgetRow(Base):
    """A cap. `use_case` is empty where all count."""

    __tablename__ = "budgets"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    level: Mapped[str] = mapped_column(String(16), primary_key=True)
    subject: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    window: Mapped[str] = mapped_column(String(16), primary_key=True)
    use_case: Mapped[str] = mapped_column(String(16), primary_key=True)
    money: Mapped[int | None] = mapped_column(BigInteger)
    tokens: Mapped[int | None] = mapped_column(BigInteger)
    updated_at: Mapped[datetime]


class BudgetCounterRow(Base):
    """What was spent and is held in one window of one subject. Not used where Redis counts."""

    __tablename__ = "budget_counters"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    counter: Mapped[str] = mapped_column(String(COUNTER_LENGTH), primary_key=True)
    ends_at: Mapped[datetime]
    spent_money: Mapped[int] = mapped_column(BigInteger)
    spent_tokens: Mapped[int] = mapped_column(BigInteger)
    reserved_money: Mapped[int] = mapped_column(BigInteger)
    reserved_tokens: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_budget_counters_ends_at", "ends_at"),)


class ReservationRow(Base):
    """Kept for a while after it is over, so that settling it again counts nothing."""

    __tablename__ = "reservations"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    id: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    money: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger)
    counters: Mapped[list[Any]]
    expires_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_reservations_expires_at", "expires_at"),
        Index(
            "ix_reservations_open",
            "tenant",
            "expires_at",
            sqlite_where=OPEN,
            postgresql_where=OPEN,
        ),
    )


class BudgetAlertRow(Base):
    """That a share of a cap was spent: at most once for each share in a window."""

    __tablename__ = "budget_alerts"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    counter: Mapped[str] = mapped_column(String(COUNTER_LENGTH), primary_key=True)
    percent: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    money: Mapped[int] = mapped_column(BigInteger)
    """Spent at that time."""
    tokens: Mapped[int] = mapped_column(BigInteger)
    raised_at: Mapped[datetime]


class UsageRow(Base):
    """What one day of one combination of columns came to. `id` is a hash of them all."""

    __tablename__ = "usage"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH))
    day: Mapped[date]
    team: Mapped[str] = mapped_column(String(NAME_LENGTH))
    application: Mapped[str] = mapped_column(String(NAME_LENGTH))
    user_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    use_case: Mapped[str] = mapped_column(String(16))
    endpoint: Mapped[str] = mapped_column(String(NAME_LENGTH))
    model: Mapped[str] = mapped_column(String(NAME_LENGTH))
    prompt: Mapped[str] = mapped_column(String(NAME_LENGTH))
    requests: Mapped[int] = mapped_column(BigInteger)
    answers: Mapped[int] = mapped_column(BigInteger)
    cache_hits: Mapped[int] = mapped_column(BigInteger)
    calls: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[int] = mapped_column(BigInteger)
    saved: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_usage_tenant_day", "tenant", "day"),)
