"""Versions of prompts, the labels that choose among them, rollouts, and how questions went."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import ID_LENGTH, NAME_LENGTH, Base, SourceText

KEY_LENGTH = 128
"""Of a version's key: name, version and content."""


class PromptVersionRow(Base):
    """It never changes, but that a report may come later. An empty tenant is every tenant."""

    __tablename__ = "prompt_versions"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(ID_LENGTH))
    version: Mapped[str] = mapped_column(String(ID_LENGTH))
    digest: Mapped[str] = mapped_column(String(64))
    content: Mapped[Mapping[str, Any]]
    rationale: Mapped[str] = mapped_column(SourceText)
    report: Mapped[Mapping[str, Any] | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))

    __table_args__ = (Index("ix_prompt_versions_name", "name", "tenant"),)


class PromptLabelRow(Base):
    __tablename__ = "prompt_labels"

    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    label: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    version: Mapped[str] = mapped_column(String(KEY_LENGTH))
    revision: Mapped[int]
    """Of the change that set it."""


class PromptChangeRow(Base):
    """What was done, in order; the highest number tells processes whether they are up to date."""

    __tablename__ = "prompt_changes"

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(ID_LENGTH))
    kind: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(String(ID_LENGTH))
    version: Mapped[str | None] = mapped_column(String(KEY_LENGTH))
    before: Mapped[str | None] = mapped_column(String(KEY_LENGTH))
    reason: Mapped[str] = mapped_column(SourceText)
    against: Mapped[list[Any]]
    """What the gate said, where somebody forced it."""
    made_at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(String(NAME_LENGTH))

    __table_args__ = (Index("ix_prompt_changes_name", "tenant", "name", "revision"),)


class PromptRolloutRow(Base):
    __tablename__ = "prompt_rollouts"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(ID_LENGTH))
    plan: Mapped[str] = mapped_column(String(16))
    lane: Mapped[str] = mapped_column(String(16))
    candidate: Mapped[Mapping[str, Any]]
    share: Mapped[float]
    salt: Mapped[str] = mapped_column(String(64))
    budget: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    started_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    stopped_at: Mapped[datetime | None]
    stopped_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    reason: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ix_prompt_rollouts_name", "tenant", "name"),)


class PromptOutcomeRow(Base):
    """Outcomes of one minute, added up. `rollout` is 0 for those of the version as such."""

    __tablename__ = "prompt_outcomes"

    name: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    version: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    rollout: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    arm: Mapped[str] = mapped_column(String(16), primary_key=True)
    asked: Mapped[int]
    failed: Mapped[int]
    judged: Mapped[int]
    grounded: Mapped[int]
    slow: Mapped[int]
    latency_ms: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_prompt_outcomes_rollout", "rollout", "minute"),)
