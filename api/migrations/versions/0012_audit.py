"""What was asked, shown and decided, in a chain of hashes."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | Sequence[str] | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# An entry is never changed, and leaves only with a segment that is sealed and being dropped.
_SQLITE = (
    """CREATE TRIGGER audit_entries_stay BEFORE UPDATE ON audit_entries
       BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END""",
    """CREATE TRIGGER audit_entries_leave BEFORE DELETE ON audit_entries
       WHEN NOT EXISTS (SELECT 1 FROM audit_segments WHERE tenant = OLD.tenant
                        AND segment = OLD.segment AND dropped_at IS NOT NULL)
       BEGIN SELECT RAISE(ABORT, 'audit entries leave by sealed segments'); END""",
)
_POSTGRESQL = (
    """CREATE FUNCTION audit_entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'audit entries are never changed'; END $$""",
    """CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR TRUNCATE ON audit_entries
       FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_stay()""",
    """CREATE FUNCTION audit_entries_leave() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF NOT EXISTS (SELECT 1 FROM audit_segments WHERE tenant = OLD.tenant
                        AND segment = OLD.segment AND dropped_at IS NOT NULL) THEN
           RAISE EXCEPTION 'audit entries leave by sealed segments';
         END IF;
         RETURN OLD;
       END $$""",
    """CREATE TRIGGER audit_entries_leave BEFORE DELETE ON audit_entries
       FOR EACH ROW EXECUTE FUNCTION audit_entries_leave()""",
)


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("segment", sa.String(16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pseudonym", sa.String(64), nullable=False),
        sa.Column("trace", sa.String(64), nullable=False),
        sa.Column("action", sa.String(128), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sequence", name="pk_audit_entries"),
    )
    op.create_index("ix_audit_entries_tenant_pseudonym", "audit_entries", ["tenant", "pseudonym"])
    op.create_index("ix_audit_entries_tenant_trace", "audit_entries", ["tenant", "trace"])
    op.create_index("ix_audit_entries_tenant_segment", "audit_entries", ["tenant", "segment"])
    op.create_table(
        "audit_heads",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_audit_heads"),
    )
    op.create_table(
        "audit_segments",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("segment", sa.String(16), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "segment", name="pk_audit_segments"),
    )
    op.create_table(
        "audit_persons",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("pseudonym", sa.String(64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "pseudonym", name="pk_audit_persons"),
    )
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("audit_persons")
    op.drop_table("audit_segments")
    op.drop_table("audit_heads")
    op.drop_table("audit_entries")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION audit_entries_stay()")
        op.execute("DROP FUNCTION audit_entries_leave()")
