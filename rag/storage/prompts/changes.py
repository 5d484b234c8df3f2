"""The list of changes to prompts: one at a time, each with the next number."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from rag.access import TenantId
from rag.prompts.versions import VersionKey
from rag.storage.prompts.records import ChangeKind
from rag.storage.tables import PromptChangeRow


def lock_prompts(connection: Connection) -> None:
    """Nobody else changes prompts until the transaction ends. SQLite has one writer."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE prompt_changes IN SHARE ROW EXCLUSIVE MODE")


def note_change(
    connection: Connection,
    kind: ChangeKind,
    *,
    tenant: TenantId,
    name: str,
    moment: datetime,
    by: str,
    label: str = "",
    version: VersionKey | None = None,
    before: VersionKey | None = None,
    reason: str = "",
    against: Sequence[str] = (),
) -> int:
    """The change's number. The transaction holds the lock."""
    newest = connection.execute(select(func.max(PromptChangeRow.revision))).scalar_one()
    revision = (newest or 0) + 1
    values = {
        "revision": revision,
        "tenant": tenant,
        "name": name,
        "kind": kind.value,
        "label": label,
        "version": version,
        "before": before,
        "reason": reason,
        "against": list(against),
        "made_at": moment,
        "made_by": by,
    }
    connection.execute(insert(PromptChangeRow), values)
    return revision
