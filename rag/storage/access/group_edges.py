"""The queries of group edges: along them upwards, downwards, and how often they changed."""

from sqlalchemy import CTE, ColumnElement, bindparam, delete, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from rag.storage.tables import GroupEdgeRow, PrincipalEpochRow

MAX_CLOSURE = 5_000
"""Groups that one principal may belong to: each of them is a part of every search's filter."""

EDGE = (GroupEdgeRow.group_id, GroupEdgeRow.member_id, GroupEdgeRow.expires_at)
_OF_TENANT = GroupEdgeRow.tenant == bindparam("tenant")
COUNTS = or_(
    GroupEdgeRow.expires_at.is_(None),
    GroupEdgeRow.expires_at > bindparam("moment", type_=GroupEdgeRow.expires_at.type),
)
UPWARD = select(*EDGE).where(
    _OF_TENANT, GroupEdgeRow.member_id.in_(bindparam("members", expanding=True))
)


def _closed(
    found: InstrumentedAttribute[str],
    by: InstrumentedAttribute[str],
    parameter: str,
    *where: ColumnElement[bool],
) -> CTE:
    """The ids of the `found` column that edges lead to from those in `parameter`. UNION without
    ALL meets each id once, so that a cycle ends."""
    first = select(found.label("id")).where(
        _OF_TENANT, by.in_(bindparam(parameter, expanding=True)), *where
    )
    closed = first.cte("closed", recursive=True)
    return closed.union(select(found).where(_OF_TENANT, by == closed.c.id, *where))


_above = _closed(GroupEdgeRow.group_id, GroupEdgeRow.member_id, "identities", COUNTS)
CLOSURE = select(_above.c.id).limit(MAX_CLOSURE + 1)
_below = _closed(GroupEdgeRow.member_id, GroupEdgeRow.group_id, "members")
BELOW = select(_below.c.id)

EPOCH = select(
    select(func.coalesce(func.sum(PrincipalEpochRow.epoch), 0))
    .where(
        PrincipalEpochRow.tenant == bindparam("tenant"),
        PrincipalEpochRow.principal.in_(bindparam("identities", expanding=True)),
    )
    .scalar_subquery()
    .label("epochs"),
    select(func.max(GroupEdgeRow.expires_at))
    .where(
        _OF_TENANT,
        GroupEdgeRow.expires_at <= bindparam("moment", type_=GroupEdgeRow.expires_at.type),
    )
    .scalar_subquery()
    .label("ended"),
)
FORGET = delete(GroupEdgeRow).where(
    GroupEdgeRow.tenant == bindparam("of_tenant"),
    GroupEdgeRow.source == bindparam("of_source"),
    GroupEdgeRow.group_id == bindparam("of_group"),
    GroupEdgeRow.member_id == bindparam("of_member"),
)
