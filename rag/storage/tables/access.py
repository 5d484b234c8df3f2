"""Keys, and who belongs to which group."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from rag.storage.tables.base import ID_LENGTH, NAME_LENGTH, Base


class ApiKeyRow(Base):
    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    principal: Mapped[str] = mapped_column(String(NAME_LENGTH))
    groups: Mapped[list[Any]]
    secret_hash: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    prefix: Mapped[str] = mapped_column(String(32))
    """The first characters of the secret, by which a person knows the key again."""
    permissions: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class GroupEdgeRow(Base):
    """That a principal, or a group, is a member of a group, as one source says."""

    __tablename__ = "group_edges"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    source: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    group_id: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    expires_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_group_edges_up", "tenant", "member_id", "group_id"),
        Index("ix_group_edges_down", "tenant", "group_id", "member_id"),
        Index(
            "ix_group_edges_expires_at",
            "tenant",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
    )


class PrincipalEpochRow(Base):
    """How often a change may have altered the groups of a principal. It only ever grows."""

    __tablename__ = "principal_epochs"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    principal: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
