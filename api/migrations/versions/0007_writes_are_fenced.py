"""What counts the writes of a document is its fence; generations are those of the index."""

from collections.abc import Sequence

from alembic import op

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.alter_column("documents", "generation", new_column_name="fence")
    op.alter_column("validations", "generation", new_column_name="fence")


def downgrade() -> None:
    op.alter_column("validations", "fence", new_column_name="generation")
    op.alter_column("documents", "fence", new_column_name="generation")
