"""Groups and ages of access."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_AT_ONCE = 1_000


def upgrade() -> None:
    op.create_table(
        "group_edges",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_group_edges_tenant")),
        sa.PrimaryKeyConstraint(
            "tenant", "source", "group_id", "member_id", name=op.f("pk_group_edges")
        ),
    )
    op.create_index("ix_group_edges_up", "group_edges", ["tenant", "member_id", "group_id"])
    op.create_index("ix_group_edges_down", "group_edges", ["tenant", "group_id", "member_id"])
    op.create_index(
        "ix_group_edges_expires_at",
        "group_edges",
        ["tenant", "expires_at"],
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_table(
        "principal_epochs",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant"], ["tenants.id"], name=op.f("fk_principal_epochs_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant", "principal", name=op.f("pk_principal_epochs")),
    )

    op.add_column("sources", sa.Column("listing_since", sa.DateTime(timezone=True)))
    op.add_column("sources", sa.Column("listed_at", sa.DateTime(timezone=True)))
    op.add_column("sources", sa.Column("access_max_age_s", sa.BigInteger()))
    op.add_column("documents", sa.Column("access_until", sa.DateTime(timezone=True)))
    op.add_column(
        "documents",
        sa.Column("access_in_doubt", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index(
        "ix_documents_access_until",
        "documents",
        ["access_until"],
        sqlite_where=sa.text("access_until IS NOT NULL"),
        postgresql_where=sa.text("access_until IS NOT NULL"),
    )
    op.create_index(
        "ix_documents_in_doubt",
        "documents",
        ["source"],
        sqlite_where=sa.text("access_in_doubt"),
        postgresql_where=sa.text("access_in_doubt"),
    )

    op.drop_table("metadata_fields")
    fields = op.create_table(
        "metadata_fields",
        *_field_columns(),
        sa.Column("audience", sa.String(length=64), nullable=False),
        sa.Column("access", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_metadata_fields_tenant")),
        sa.PrimaryKeyConstraint("tenant", "name", "audience", name=op.f("pk_metadata_fields")),
    )
    known: set[tuple[str, str, str]] = set()
    for document in _documents():
        audience = hashlib.sha256(document.access.encode()).hexdigest()[:32]
        new = {(document.tenant, name, audience) for name in json.loads(document.fields)} - known
        if new:
            known |= new
            rows = [
                {"tenant": tenant, "name": name, "audience": of, "access": document.access}
                for tenant, name, of in sorted(new)
            ]
            op.get_bind().execute(sa.insert(fields), rows)


def downgrade() -> None:
    op.drop_table("metadata_fields")
    fields = op.create_table(
        "metadata_fields",
        *_field_columns(),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_metadata_fields_tenant")),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_metadata_fields")),
    )
    names = {(each.tenant, name) for each in _documents() for name in json.loads(each.fields)}
    if names:
        rows = [{"tenant": tenant, "name": name} for tenant, name in sorted(names)]
        op.get_bind().execute(sa.insert(fields), rows)

    op.drop_index("ix_documents_in_doubt", table_name="documents")
    op.drop_index("ix_documents_access_until", table_name="documents")
    op.drop_column("documents", "access_in_doubt")
    op.drop_column("documents", "access_until")
    op.drop_column("sources", "access_max_age_s")
    op.drop_column("sources", "listed_at")
    op.drop_column("sources", "listing_since")
    op.drop_table("principal_epochs")
    op.drop_table("group_edges")


def _field_columns() -> tuple[sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
    )


def _documents() -> Iterator[Any]:
    """Every document's metadata and access list, a page at a time: a ledger may be large."""
    documents = sa.table(
        "documents",
        sa.column("id", sa.String),
        sa.column("tenant", sa.String),
        sa.column("fields", sa.Text),
        sa.column("access", sa.Text),
    )
    columns = documents.c
    after = ""
    while True:
        page = (
            op.get_bind()
            .execute(
                sa.select(columns.id, columns.tenant, columns.fields, columns.access)
                .where(columns.id > after)
                .order_by(columns.id)
                .limit(_AT_ONCE)
            )
            .all()
        )
        if not page:
            return
        yield from page
        after = page[-1].id
