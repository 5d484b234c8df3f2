"""Which model was chosen for what, and how that went."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | Sequence[str] | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "route_outcomes",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("request", sa.String(length=255), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("use_case", sa.String(length=32), nullable=False),
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("quality", sa.String(length=32), nullable=False),
        sa.Column("first", sa.String(length=255), nullable=False),
        sa.Column("answered_by", sa.String(length=255), nullable=False),
        sa.Column("tier", sa.String(length=32), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("complexity", sa.Double[float]()),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("confidence", sa.Double[float]()),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("total_ms", sa.Double[float](), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "request", "ordinal", name=op.f("pk_route_outcomes")),
    )
    op.create_index("ix_route_outcomes_at", "route_outcomes", ["tenant", "at"])


def downgrade() -> None:
    op.drop_table("route_outcomes")
