"""Budgets, reservations and what was used."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    op.create_table(
        "budgets",
        *_names("tenant:64", "level:16", "subject:255", "window:16", "use_case:16"),
        sa.Column("money", sa.BigInteger(), nullable=True),
        sa.Column("tokens", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "level", "subject", "window", "use_case", name=op.f("pk_budgets")
        ),
    )
    op.create_table(
        "budget_counters",
        *_names("tenant:64", "counter:400"),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        *_numbers("spent_money", "spent_tokens", "reserved_money", "reserved_tokens"),
        sa.PrimaryKeyConstraint("tenant", "counter", name=op.f("pk_budget_counters")),
    )
    op.create_index("ix_budget_counters_ends_at", "budget_counters", ["ends_at"])
    op.create_table(
        "reservations",
        *_names("tenant:64", "id:255", "state:16"),
        *_numbers("money", "tokens"),
        sa.Column("counters", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_reservations")),
    )
    op.create_index("ix_reservations_expires_at", "reservations", ["expires_at"])
    op.create_index(
        "ix_reservations_open",
        "reservations",
        ["tenant", "expires_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_table(
        "budget_alerts",
        *_names("tenant:64", "counter:400"),
        sa.Column("percent", sa.Integer(), autoincrement=False, nullable=False),
        *_numbers("money", "tokens"),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "counter", "percent", name=op.f("pk_budget_alerts")),
    )
    op.create_table(
        "usage",
        *_names("id:64", "tenant:64"),
        sa.Column("day", sa.Date(), nullable=False),
        *_names("team:255", "application:255", "user_id:255", "use_case:16"),
        *_names("endpoint:255", "model:255", "prompt:255"),
        *_numbers("requests", "answers", "cache_hits", "calls"),
        *_numbers("input_tokens", "output_tokens", "cached_tokens", "cost", "saved"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage")),
    )
    op.create_index("ix_usage_tenant_day", "usage", ["tenant", "day"])


def downgrade() -> None:
    for table in ("usage", "budget_alerts", "reservations", "budget_counters", "budgets"):
        op.drop_table(table)


def _names(*named: str) -> list[sa.Column[str]]:
    pairs = (each.split(":") for each in named)
    return [sa.Column(name, sa.String(length=int(size)), nullable=False) for name, size in pairs]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]
