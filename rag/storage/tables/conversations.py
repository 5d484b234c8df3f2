"""Conversations, and what was asked and answered in each."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import ID_LENGTH, Base, SourceText


class ConversationRow(Base):
    """A conversation of one person, whom nobody else reads over the shoulder of."""

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH))
    owner: Mapped[str] = mapped_column(Text)
    turns: Mapped[int]
    """How many it has: the next turn's number."""
    began_at: Mapped[datetime]
    used_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_conversations_tenant_owner", "tenant", "owner"),
        Index("ix_conversations_used_at", "used_at"),
    )


class TurnRow(Base):
    """One question with what was answered. It names no document: what was cited then must be found,
    and be readable, anew."""

    __tablename__ = "conversation_turns"

    conversation: Mapped[str] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    question: Mapped[str] = mapped_column(SourceText)
    standalone: Mapped[str] = mapped_column(SourceText)
    answer: Mapped[str] = mapped_column(SourceText)
    asked_at: Mapped[datetime]


class SummaryRow(Base):
    """What a model made of the older turns of a conversation; a later one takes its place."""

    __tablename__ = "conversation_summaries"

    conversation: Mapped[str] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    through: Mapped[int]
    """The number of the last turn that it tells of."""
    text: Mapped[str] = mapped_column(SourceText)
    made_at: Mapped[datetime]
