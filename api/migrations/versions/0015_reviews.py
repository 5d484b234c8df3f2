"""What guardrails flagged for a person to look at, and summaries of long conversations."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | Sequence[str] | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("sequence", _large(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trace", sa.String(length=64), nullable=False),
        sa.Column("use_case", sa.String(length=32), nullable=False),
        sa.Column("check_name", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("score", sa.Double[float](), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("decided_in", _large()),
        sa.Column("note", sa.Text()),
        sa.ForeignKeyConstraint(
            ["tenant", "sequence"],
            ["audit_entries.tenant", "audit_entries.sequence"],
            name=op.f("fk_reviews_tenant_sequence"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "sequence", "ordinal", name=op.f("pk_reviews")),
    )
    op.create_index("ix_reviews_tenant_state", "reviews", ["tenant", "state", "sequence"])
    op.create_index("ix_reviews_state_check", "reviews", ["state", "check_name"])
    op.create_table(
        "conversation_summaries",
        sa.Column("conversation", sa.String(length=64), nullable=False),
        sa.Column("through", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation"],
            ["conversations.id"],
            name=op.f("fk_conversation_summaries_conversation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation", name=op.f("pk_conversation_summaries")),
    )


def downgrade() -> None:
    op.drop_table("conversation_summaries")
    op.drop_table("reviews")


def _large() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
