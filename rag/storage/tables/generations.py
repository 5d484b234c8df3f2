"""Generations of the index, and what documents are in each of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import ID_LENGTH, Base, SourceText


class GenerationRow(Base):
    __tablename__ = "generations"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(16))
    recipe: Mapped[Mapping[str, Any] | None]
    created_at: Mapped[datetime]
    serving_since: Mapped[datetime | None]
    report: Mapped[Mapping[str, Any] | None]

    __table_args__ = (
        Index(
            "uq_generations_serving",
            "state",
            unique=True,
            sqlite_where=text("state = 'serving'"),
            postgresql_where=text("state = 'serving'"),
        ),
    )


class RenditionRow(Base):
    """A document in one generation. Readers see it when its content is the document's version."""

    __tablename__ = "renditions"

    document: Mapped[str] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[str] = mapped_column(String(ID_LENGTH))
    version: Mapped[str] = mapped_column(String(ID_LENGTH))
    parser: Mapped[str] = mapped_column(Text)
    chunker: Mapped[str] = mapped_column(Text)
    embedder: Mapped[str] = mapped_column(Text)


class ChunkRow(Base):
    """A chunk. Readers see it when its version is its rendition's."""

    __tablename__ = "chunks"

    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH))
    document: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    version: Mapped[str] = mapped_column(String(ID_LENGTH))
    ordinal: Mapped[int]
    text: Mapped[str] = mapped_column(SourceText)
    heading_path: Mapped[list[Any]]
    kind: Mapped[str] = mapped_column(String(16))
    span_start: Mapped[int]
    span_end: Mapped[int]
    page: Mapped[int | None]
    embedded_hash: Mapped[str] = mapped_column(String(ID_LENGTH))

    __table_args__ = (Index("ix_chunks_document_ordinal", "document", "generation", "ordinal"),)


class TokenVectorsRow(Base):
    """A chunk's token vectors, int8, row by row."""

    __tablename__ = "token_vectors"

    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chunk: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    dimensions: Mapped[int]
    vectors: Mapped[bytes]

    __table_args__ = (
        ForeignKeyConstraint(
            ["generation", "chunk"], ["chunks.generation", "chunks.id"], ondelete="CASCADE"
        ),
    )
