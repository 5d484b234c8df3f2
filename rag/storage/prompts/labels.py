"""Versions and labels of prompts, inside a transaction that holds the lock."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select

from rag.access import TenantId
from rag.errors import NotFound
from rag.prompts.versions import EVERY_TENANT, PromptVersion, VersionKey, json_of_content
from rag.storage.database import Dialect, insert_for
from rag.storage.prompts.changes import note_change
from rag.storage.prompts.records import ChangeKind, version_of
from rag.storage.tables import PromptChangeRow, PromptLabelRow, PromptVersionRow


def seen_by(tenant: TenantId) -> ColumnElement[bool]:
    """Versions of the tenant and of every tenant."""
    return or_(PromptVersionRow.tenant == tenant, PromptVersionRow.tenant == EVERY_TENANT)


def insert_version(connection: Connection, version: PromptVersion, *, moment: datetime) -> bool:
    """Whether it was not there before."""
    values = {
        "tenant": version.tenant,
        "key": version.key,
        "name": version.name,
        "version": version.version,
        "digest": version.content.digest,
        "content": json_of_content(version.content),
        "rationale": version.rationale,
        "report": None,
        "created_at": version.created_at or moment,
        "created_by": version.created_by,
    }
    statement = insert_for(_dialect(connection), PromptVersionRow).values(values)
    return connection.execute(statement.on_conflict_do_nothing()).rowcount == 1


def version_named(connection: Connection, tenant: TenantId, key: VersionKey) -> PromptVersion:
    """The tenant's own, or every tenant's. Raises `NotFound`."""
    statement = select(PromptVersionRow).where(PromptVersionRow.key == key, seen_by(tenant))
    rows = connection.execute(statement).all()
    if not rows:
        raise NotFound(f"there is no prompt {key}")
    return version_of(min(rows, key=lambda row: row.tenant == EVERY_TENANT))


def put_label(
    connection: Connection,
    version: PromptVersion,
    label: str,
    *,
    tenant: TenantId,
    moment: datetime,
    by: str,
    reason: str = "",
    against: Sequence[str] = (),
) -> None:
    """`label` names `version`, and the change is noted; where it does already, nothing is."""
    named = label_of(connection, tenant, version.name, label)
    if named is not None and named.version == version.key:
        return
    note_change(
        connection,
        ChangeKind.PROMOTED,
        tenant=tenant,
        name=version.name,
        label=label,
        version=version.key,
        before=None if named is None else named.version,
        reason=reason,
        against=against,
        moment=moment,
        by=by,
    )
    write_label(connection, tenant, version.name, label, version.key)


def changed_by(connection: Connection, revision: int) -> str:
    """Who made the change of this number."""
    statement = select(PromptChangeRow.made_by).where(PromptChangeRow.revision == revision)
    return connection.execute(statement).scalar_one()


def label_of(connection: Connection, tenant: TenantId, name: str, label: str) -> Any:
    return connection.execute(select(PromptLabelRow).where(*_named(tenant, name, label))).first()


def _named(tenant: TenantId, name: str, label: str) -> tuple[Any, ...]:
    return (
        PromptLabelRow.tenant == tenant,
        PromptLabelRow.name == name,
        PromptLabelRow.label == label,
    )


def write_label(
    connection: Connection, tenant: TenantId, name: str, label: str, version: VersionKey | None
) -> None:
    """None takes the label away, so that every tenant's holds. The change is noted before."""
    connection.execute(delete(PromptLabelRow).where(*_named(tenant, name, label)))
    if version is None:
        return
    revision = connection.execute(select(func.max(PromptChangeRow.revision))).scalar_one()
    connection.execute(
        insert_for(_dialect(connection), PromptLabelRow).values(
            tenant=tenant, name=name, label=label, version=version, revision=revision
        )
    )


def label_before(
    connection: Connection, tenant: TenantId, name: str, label: str, version: VersionKey
) -> VersionKey | None:
    """What the label named when `version` was promoted, last of all."""
    statement = (
        select(PromptChangeRow.before)
        .where(
            PromptChangeRow.tenant == tenant,
            PromptChangeRow.name == name,
            PromptChangeRow.label == label,
            PromptChangeRow.kind == ChangeKind.PROMOTED.value,
            PromptChangeRow.version == version,
        )
        .order_by(PromptChangeRow.revision.desc())
        .limit(1)
    )
    before = connection.execute(statement).scalar_one_or_none()
    return None if before is None else VersionKey(before)


def _dialect(connection: Connection) -> Dialect:
    return "sqlite" if connection.dialect.name == "sqlite" else "postgresql"
