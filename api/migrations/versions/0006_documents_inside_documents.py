"""Documents inside documents."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("parent", sa.String(length=64), nullable=True))
    op.add_column("documents", sa.Column("room", sa.Text(), nullable=True))
    op.create_index(
        "ix_documents_parent",
        "documents",
        ["parent"],
        unique=False,
        sqlite_where=sa.text("parent IS NOT NULL"),
        postgresql_where=sa.text("parent IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_documents_parent", table_name="documents")
    # Not in a batch: SQLite would drop the table, and with it by cascade what hangs on its rows.
    op.drop_column("documents", "room")
    op.drop_column("documents", "parent")
