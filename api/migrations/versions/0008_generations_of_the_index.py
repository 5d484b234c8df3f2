"""Generations of the index: chunks are in one of them, and a document has a rendition in each."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | Sequence[str] | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CHUNK = "tenant, document, version, ordinal, text, heading_path, kind, span_start, span_end, page, embedded_hash"
_SERVING = "(SELECT id FROM generations WHERE state = 'serving')"


def upgrade() -> None:
    op.create_table(
        "generations",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("serving_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generations")),
    )
    op.create_index(
        "uq_generations_serving",
        "generations",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'serving'"),
        postgresql_where=sa.text("state = 'serving'"),
    )
    op.execute(
        "INSERT INTO generations (id, state, created_at, serving_since)"
        " VALUES (1, 'serving', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    )
    op.create_table(
        "renditions",
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("parser", sa.Text(), nullable=False),
        sa.Column("chunker", sa.Text(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document"], ["documents.id"], name=op.f("fk_renditions_document"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document", "generation", name=op.f("pk_renditions")),
    )
    op.execute(
        "INSERT INTO renditions (document, generation, content, version, parser, chunker, embedder)"
        " SELECT id, 1, version, version, parser, chunker, embedder FROM documents"
        " WHERE version IS NOT NULL AND parser IS NOT NULL AND chunker IS NOT NULL"
        " AND embedder IS NOT NULL"
    )
    for column in ("parser", "chunker", "embedder"):
        op.drop_column("documents", column)

    _set_aside()
    op.create_table(
        "chunks",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        *_chunk_columns(),
        sa.PrimaryKeyConstraint("generation", "id", name=op.f("pk_chunks")),
    )
    op.create_index("ix_chunks_document_ordinal", "chunks", ["document", "generation", "ordinal"])
    op.create_table(
        "token_vectors",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        *_vector_columns(),
        sa.ForeignKeyConstraint(
            ["generation", "chunk"],
            ["chunks.generation", "chunks.id"],
            name=op.f("fk_token_vectors_generation_chunk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("generation", "chunk", name=op.f("pk_token_vectors")),
    )
    op.execute(
        f"INSERT INTO chunks (generation, id, {_CHUNK}) SELECT 1, id, {_CHUNK} FROM old_chunks"
    )
    op.execute(
        "INSERT INTO token_vectors (generation, chunk, dimensions, vectors)"
        " SELECT 1, chunk, dimensions, vectors FROM old_token_vectors"
    )
    _forget_what_was_set_aside()


def downgrade() -> None:
    """What the generation that serves holds is kept; of the others nothing is."""
    _set_aside()
    op.create_table(
        "chunks", *_chunk_columns(), sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks"))
    )
    op.create_index("ix_chunks_document_ordinal", "chunks", ["document", "ordinal"])
    op.create_table(
        "token_vectors",
        *_vector_columns(),
        sa.ForeignKeyConstraint(
            ["chunk"], ["chunks.id"], name=op.f("fk_token_vectors_chunk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("chunk", name=op.f("pk_token_vectors")),
    )
    op.execute(
        f"INSERT INTO chunks (id, {_CHUNK}) SELECT id, {_CHUNK} FROM old_chunks"
        f" WHERE generation = {_SERVING}"
    )
    op.execute(
        "INSERT INTO token_vectors (chunk, dimensions, vectors)"
        f" SELECT chunk, dimensions, vectors FROM old_token_vectors WHERE generation = {_SERVING}"
    )
    _forget_what_was_set_aside()
    # There, a document shows the chunks of its own version.
    op.execute(
        "UPDATE documents SET version = (SELECT renditions.version FROM renditions"
        f" WHERE renditions.document = documents.id AND renditions.generation = {_SERVING})"
        " WHERE version IS NOT NULL"
    )
    for column in ("parser", "chunker", "embedder"):
        op.add_column("documents", sa.Column(column, sa.Text(), nullable=True))
        op.execute(
            f"UPDATE documents SET {column} = (SELECT renditions.{column} FROM renditions"
            f" WHERE renditions.document = documents.id AND renditions.generation = {_SERVING})"
        )
    op.drop_table("renditions")
    op.drop_table("generations")


def _set_aside() -> None:
    """The tables under other names; what names belong to them is free again."""
    op.drop_index("ix_chunks_document_ordinal", table_name="chunks")
    op.rename_table("token_vectors", "old_token_vectors")
    op.rename_table("chunks", "old_chunks")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE old_token_vectors DROP CONSTRAINT pk_token_vectors")
        op.execute("ALTER TABLE old_chunks DROP CONSTRAINT pk_chunks CASCADE")
        op.execute("ALTER TABLE old_chunks DROP CONSTRAINT fk_chunks_document")


def _forget_what_was_set_aside() -> None:
    # The vectors first: dropping the chunks would look for those that hang on each.
    op.drop_table("old_token_vectors")
    op.drop_table("old_chunks")


def _chunk_columns() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("heading_path", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("span_start", sa.Integer(), nullable=False),
        sa.Column("span_end", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("embedded_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["document"], ["documents.id"], name=op.f("fk_chunks_document"), ondelete="CASCADE"
        ),
    ]


def _vector_columns() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("chunk", sa.String(length=64), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
    ]
