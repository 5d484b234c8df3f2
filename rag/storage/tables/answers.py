"""Answers that may be given again, and what each of them was made of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import ID_LENGTH, NAME_LENGTH, Base, SourceText


class KeptAnswerRow(Base):
    __tablename__ = "kept_answers"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH))
    partition: Mapped[str] = mapped_column(String(ID_LENGTH))
    """Digest of all that two questions must share before their words are compared."""
    question_digest: Mapped[str] = mapped_column(String(ID_LENGTH))
    """Of the normalised question."""
    generation: Mapped[int]
    prompt: Mapped[str] = mapped_column(String(NAME_LENGTH))
    question: Mapped[str] = mapped_column(SourceText)
    vector: Mapped[bytes]
    """float32, little-endian."""
    text: Mapped[str] = mapped_column(SourceText)
    told: Mapped[Mapping[str, Any]]
    """The model, the confidence, and the evidence and citations as ids and places: none of what the
    passages say."""
    cost: Mapped[int] = mapped_column(BigInteger)
    asker: Mapped[str] = mapped_column(Text)
    shareable: Mapped[bool]
    made_at: Mapped[datetime]
    kept_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_kept_answers_partition_question_digest", "partition", "question_digest"),
        Index("ix_kept_answers_partition_kept_at", "partition", "kept_at"),
        Index("ix_kept_answers_tenant_used_at", "tenant", "used_at"),
    )


class AnswerDocumentRow(Base):
    """A document that a kept answer was made of, cited or not: where it goes, the answer goes."""

    __tablename__ = "kept_answer_documents"

    answer: Mapped[str] = mapped_column(
        ForeignKey("kept_answers.id", ondelete="CASCADE"), primary_key=True
    )
    document: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, index=True)
