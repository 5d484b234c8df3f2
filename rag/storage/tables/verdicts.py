"""What validation found of documents, and what people thought of answers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import (
    ID_LENGTH,
    NAME_LENGTH,
    Base,
    SourceText,
)


class ValidationRow(Base):
    """What the checks said of one version of a document; the last few versions' are kept."""

    __tablename__ = "validations"

    document: Mapped[str] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    fence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The document's, when it was ingested."""
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH))
    content_hash: Mapped[str] = mapped_column(String(ID_LENGTH))
    media_type: Mapped[str] = mapped_column(SourceText)
    size: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[str] = mapped_column(SourceText)
    standing: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(String(ID_LENGTH))
    verdicts: Mapped[list[Any]]
    recorded_at: Mapped[datetime]


class ProfileRow(Base):
    """What other documents, and later versions, are compared with."""

    __tablename__ = "document_profiles"

    document: Mapped[str] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    signature: Mapped[bytes]
    """MinHash values, 32 bits each, little-endian."""
    columns: Mapped[Mapping[str, Any]]


class SimilarityBandRow(Base):
    """A hash of a stretch of a document's signature: alike documents share one."""

    __tablename__ = "similarity_bands"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    band: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    document: Mapped[str] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class FeedbackRow(Base):
    __tablename__ = "feedback"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    trace_id: Mapped[str] = mapped_column(String(NAME_LENGTH), index=True)
    principal: Mapped[str] = mapped_column(String(NAME_LENGTH))
    rating: Mapped[str] = mapped_column(String(32))
    comment: Mapped[str | None] = mapped_column(SourceText)
    prompt: Mapped[str | None] = mapped_column(Text)
    """The prompt that made the answer; None where nobody knows any more."""
    created_at: Mapped[datetime]
