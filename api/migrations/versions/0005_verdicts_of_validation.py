"""Verdicts of validation."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("quarantine", sa.String(length=64)))
    op.add_column("documents", sa.Column("release", sa.Text()))
    op.create_index(
        "ix_documents_quarantine",
        "documents",
        ["tenant", "id"],
        sqlite_where=sa.text("quarantine IS NOT NULL"),
        postgresql_where=sa.text("quarantine IS NOT NULL"),
    )
    op.create_table(
        "validations",
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("standing", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("verdicts", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        _of_document("validations"),
        sa.PrimaryKeyConstraint("document", "generation", name=op.f("pk_validations")),
    )
    op.create_table(
        "document_profiles",
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        _of_document("document_profiles"),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_document_profiles")),
    )
    op.create_table(
        "similarity_bands",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("band", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        _of_document("similarity_bands"),
        sa.PrimaryKeyConstraint("tenant", "band", "document", name=op.f("pk_similarity_bands")),
    )
    op.create_index("ix_similarity_bands_document", "similarity_bands", ["document"])


def downgrade() -> None:
    op.drop_table("similarity_bands")
    op.drop_table("document_profiles")
    op.drop_table("validations")
    op.drop_index("ix_documents_quarantine", table_name="documents")
    # Before this revision no document could be hidden: it is one that could not be taken in.
    op.execute("UPDATE documents SET state = 'failed' WHERE state = 'quarantined'")
    op.drop_column("documents", "release")
    op.drop_column("documents", "quarantine")


def _of_document(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["document"], ["documents.id"], name=op.f(f"fk_{table}_document"), ondelete="CASCADE"
    )
