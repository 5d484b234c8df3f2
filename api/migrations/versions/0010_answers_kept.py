"""Answers that may be given again."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | Sequence[str] | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "kept_answers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("partition", sa.String(length=64), nullable=False),
        sa.Column("question_digest", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.String(length=255), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("asker", sa.Text(), nullable=False),
        sa.Column("shareable", sa.Boolean(), nullable=False),
        *(
            sa.Column(name, sa.DateTime(timezone=True), nullable=False)
            for name in ("made_at", "kept_at", "expires_at", "used_at")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_answers")),
    )
    for columns in (
        ("partition", "question_digest"),
        ("partition", "kept_at"),
        ("tenant", "used_at"),
    ):
        op.create_index(f"ix_kept_answers_{'_'.join(columns)}", "kept_answers", columns)
    op.create_table(
        "kept_answer_documents",
        sa.Column("answer", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer"],
            ["kept_answers.id"],
            name=op.f("fk_kept_answer_documents_answer"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("answer", "document", name=op.f("pk_kept_answer_documents")),
    )
    op.create_index("ix_kept_answer_documents_document", "kept_answer_documents", ["document"])
    # Every cached answer asks when a document of its tenant last changed.
    op.create_index("ix_documents_tenant_updated_at", "documents", ["tenant", "updated_at"])


def downgrade() -> None:
    op.drop_index("ix_documents_tenant_updated_at", table_name="documents")
    op.drop_table("kept_answer_documents")
    op.drop_table("kept_answers")
