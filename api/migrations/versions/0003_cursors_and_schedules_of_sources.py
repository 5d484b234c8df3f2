"""Cursors and schedules of sources."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def of_sources() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("cursors", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("reconciled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rechecked_to", sa.String(length=64), nullable=True),
        sa.Column("tally", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("held_back", sa.Integer(), nullable=False, server_default="0"),
    )


def of_documents() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("identity", sa.String(length=64), nullable=True),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
    )


# Column by column: a batch on SQLite would drop and copy the table, and with it what cascades.


def upgrade() -> None:
    for column in of_sources():
        op.add_column("sources", column)
    for column in of_documents():
        op.add_column("documents", column)
    op.create_index("ix_documents_source_identity", "documents", ["source", "identity"])


def downgrade() -> None:
    op.drop_index("ix_documents_source_identity", table_name="documents")
    for column in of_documents():
        op.drop_column("documents", column.name)
    for column in of_sources():
        op.drop_column("sources", column.name)
