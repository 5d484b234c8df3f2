"""Changing group edges, inside one transaction."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from rag.access import TenantId
from rag.storage.access.group_edges import BELOW, FORGET
from rag.storage.database import Database, insert_into
from rag.storage.parts import in_parts
from rag.storage.tables import GroupEdgeRow, PrincipalEpochRow
from rag.types import SourceId


@dataclass(frozen=True, slots=True)
class GroupChange:
    """Edges, as (group, member), that a source says no more, and that it says now."""

    tenant: TenantId
    source: SourceId
    gone: Collection[tuple[str, str]]
    new: Mapping[tuple[str, str], datetime | None]
    """With when each ends."""

    @property
    def members(self) -> set[str]:
        return {member for _, member in (*self.gone, *self.new)}


def lock_groups(connection: Connection, database: Database, tenant: TenantId) -> None:
    """Two who change a tenant's groups at once would each miss whom the other's edges reach.

    SQLite has one writer at a time as it is.
    """
    if database.dialect == "postgresql":
        statement = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        connection.execute(statement, {"name": f"groups of {tenant}"})


def change_edges(connection: Connection, database: Database, change: GroupChange) -> None:
    gone = [
        {
            "of_tenant": change.tenant,
            "of_source": change.source,
            "of_group": group,
            "of_member": member,
        }
        for group, member in sorted(change.gone)
    ]
    if gone:
        connection.execute(FORGET, gone)
    new = [
        {
            "tenant": change.tenant,
            "source": change.source,
            "group_id": group,
            "member_id": member,
            "expires_at": end,
        }
        for (group, member), end in sorted(change.new.items())
    ]
    if new:
        statement = insert_into(database, GroupEdgeRow)
        upsert = statement.on_conflict_do_update(
            index_elements=["tenant", "source", "group_id", "member_id"],
            set_={"expires_at": statement.excluded.expires_at},
        )
        connection.execute(upsert, new)


def raise_epochs(
    connection: Connection, database: Database, tenant: TenantId, changed: Collection[str]
) -> None:
    """Of `changed` and of all that reach one of them. An edge that is gone needs no path of its
    own: what led to its member leads there still, or is changed itself."""
    reaching = set(changed)
    for some in in_parts(sorted(one for one in changed if one.startswith("group:"))):
        named = {"tenant": tenant, "members": some}
        reaching.update(row.id for row in connection.execute(BELOW, named))
    statement = insert_into(database, PrincipalEpochRow)
    upsert = statement.on_conflict_do_update(
        index_elements=["tenant", "principal"],
        set_={"epoch": PrincipalEpochRow.epoch + 1},
    )
    rows = [{"tenant": tenant, "principal": one, "epoch": 1} for one in sorted(reaching)]
    connection.execute(upsert, rows)
