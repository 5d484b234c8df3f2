"""Who belongs to which group: edges stored once, closed transitively when somebody asks.

Users are never expanded into documents. A change of membership is one transaction that also raises
the epoch of everybody whose groups it may alter, so that whoever remembers a closure finds it out
with the next question, in whichever process.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NewType

from sqlalchemy import Connection, distinct, func, select

from rag.access import EVERYONE, Membership, PrincipalId, TenantId
from rag.errors import InvalidRequest, NotFound, TooManyGroups
from rag.storage.access.group_changes import (
    GroupChange,
    change_edges,
    lock_groups,
    raise_epochs,
)
from rag.storage.access.group_edges import CLOSURE, EDGE, EPOCH, MAX_CLOSURE, UPWARD
from rag.storage.database import Database
from rag.storage.moments import now
from rag.storage.parts import in_parts
from rag.storage.tables import GroupEdgeRow
from rag.types import SourceId

BY_ADMINS = SourceId("admins")
"""The source of what administrators say. Registered sources have ids of another form."""

MAX_MEMBERSHIPS = 1_000_000
"""What one source may say."""

_FEW = 64
"""Identities whose epochs are looked up at once; of more, elsewhere."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""At that moment no edge had ended yet."""

Epoch = NewType("Epoch", str)
"""Opaque. While it is equal for the same identities, so are their groups."""

NO_EPOCH = Epoch("")
"""That of a principal whose groups nobody has asked for yet. No other is equal to it."""


@dataclass(frozen=True, slots=True)
class SaidMembership:
    """A membership, and who says so."""

    membership: Membership
    source: SourceId


@dataclass(frozen=True, slots=True)
class KnownGroup:
    id: PrincipalId
    members: int
    sources: int
    """How many sources say something of it."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The stored group edges. Errors: `StorageUnavailable`.

    An edge counts until its `until`; of edges that several sources give, each counts by itself.
    """

    database: Database
    clock: Callable[[], datetime] = now

    # --- writes -------------------------------------------------------------------------------------

    async def replace(
        self, tenant: TenantId, source: SourceId, memberships: Iterable[Membership]
    ) -> int:
        """All that `source` says, in place of what it said before; how many edges that changed.

        Raises `InvalidRequest` where there are too many, or an edge is none.
        """
        return await self._write(tenant, source, memberships, group=None)

    async def put_members(
        self,
        tenant: TenantId,
        group: PrincipalId,
        memberships: Iterable[Membership],
        *,
        source: SourceId = BY_ADMINS,
    ) -> int:
        """The same, of one group alone."""
        return await self._write(tenant, source, memberships, group=group)

    async def _write(
        self,
        tenant: TenantId,
        source: SourceId,
        memberships: Iterable[Membership],
        *,
        group: PrincipalId | None,
    ) -> int:
        wanted = _checked(memberships, group)
        # What changed is found out before the transaction: a directory says much, and changes
        # little of it, and on SQLite nobody else writes meanwhile.
        while True:
            seen = await self.epoch(tenant, [_speaker(source)])
            known = await self._known(tenant, source, group)
            gone = known.keys() - wanted.keys()
            new = {edge: end for edge, end in wanted.items() if _differs(known, edge, end)}
            change = GroupChange(tenant, source, gone=gone, new=new)
            if not change.members:
                return 0
            if await self.database.write(partial(self._change, change, seen)):
                return len(gone) + len(new)

    async def _known(
        self, tenant: TenantId, source: SourceId, group: PrincipalId | None
    ) -> dict[tuple[str, str], datetime | None]:
        statement = select(*EDGE).where(
            GroupEdgeRow.tenant == tenant, GroupEdgeRow.source == source
        )
        if group is not None:
            statement = statement.where(GroupEdgeRow.group_id == group)
        rows = await self.database.rows(statement)
        return {(row.group_id, row.member_id): row.expires_at for row in rows}

    def _change(self, change: GroupChange, seen: Epoch, connection: Connection) -> bool:
        """False, and nothing is changed, where somebody else spoke for the source since `seen`."""
        lock_groups(connection, self.database, change.tenant)
        speaker = [_speaker(change.source)]
        named = {"tenant": change.tenant, "identities": speaker, "moment": self.clock()}
        if _epoch_of(connection.execute(EPOCH, named).one()) != seen:
            return False
        change_edges(connection, self.database, change)
        raise_epochs(connection, self.database, change.tenant, {*change.members, *speaker})
        return True

    # --- what a principal belongs to --------------------------------------------------------------------

    async def epoch(self, tenant: TenantId, identities: Collection[PrincipalId]) -> Epoch:
        """Read it before the groups that shall be remembered under it."""
        named = {"tenant": tenant, "identities": sorted(identities), "moment": self.clock()}
        few = len(identities) <= _FEW
        [row] = await self.database.rows(EPOCH, named, by_key=few)
        return _epoch_of(row)

    async def closure(
        self, tenant: TenantId, identities: Collection[PrincipalId]
    ) -> frozenset[PrincipalId]:
        """Every group that one of `identities` belongs to now, through however many others.

        Raises `TooManyGroups` where they are more than `MAX_CLOSURE`: fewer would be a lie, and
        might leave out one that is denied.
        """
        return await self._closure(tenant, identities, self.clock())

    async def _closure(
        self, tenant: TenantId, identities: Collection[PrincipalId], moment: datetime
    ) -> frozenset[PrincipalId]:
        named = {"tenant": tenant, "identities": sorted(identities), "moment": moment}
        rows = await self.database.rows(CLOSURE, named)
        if len(rows) > MAX_CLOSURE:
            raise TooManyGroups(f"the principal belongs to more than {MAX_CLOSURE} groups")
        return frozenset(PrincipalId(row.id) for row in rows)

    async def edges_above(
        self, tenant: TenantId, identities: Collection[PrincipalId]
    ) -> list[Membership]:
        """All that lead up from `identities`, those that ended too: for explaining.

        Raises `TooManyGroups`.
        """
        members = {*identities, *await self._closure(tenant, identities, _LONG_AGO)}
        edges: list[Membership] = []
        for some in in_parts(sorted(members)):
            named = {"tenant": tenant, "members": some}
            edges += map(_membership_of, await self.database.rows(UPWARD, named))
        return edges

    # --- for administrators -----------------------------------------------------------------------------

    async def listed(
        self, tenant: TenantId, *, limit: int = 100, after: str = ""
    ) -> list[KnownGroup]:
        """Groups that have members, in the order of their ids, from the one after `after`."""
        statement = (
            select(
                GroupEdgeRow.group_id,
                func.count(distinct(GroupEdgeRow.member_id)).label("members"),
                func.count(distinct(GroupEdgeRow.source)).label("sources"),
            )
            .where(GroupEdgeRow.tenant == tenant, GroupEdgeRow.group_id > after)
            .group_by(GroupEdgeRow.group_id)
            .order_by(GroupEdgeRow.group_id)
            .limit(limit)
        )
        return [
            KnownGroup(PrincipalId(row.group_id), row.members, row.sources)
            for row in await self.database.rows(statement)
        ]

    async def members(self, tenant: TenantId, group: PrincipalId) -> list[SaidMembership]:
        """Its direct members, with those whose membership ended. Raises `NotFound`."""
        statement = (
            select(*EDGE, GroupEdgeRow.source)
            .where(GroupEdgeRow.tenant == tenant, GroupEdgeRow.group_id == group)
            .order_by(GroupEdgeRow.member_id, GroupEdgeRow.source)
        )
        rows = await self.database.rows(statement)
        if not rows:
            raise NotFound("there is no such group")
        return [SaidMembership(_membership_of(row), SourceId(row.source)) for row in rows]


def _epoch_of(row: Any) -> Epoch:
    # An edge that ended changes groups as well, and nobody wrote anything then.
    ended = "" if row.ended is None else row.ended.isoformat()
    return Epoch(f"{row.epochs}/{ended}")


def _speaker(source: SourceId) -> PrincipalId:
    """By whose epoch it is known that a source said something: nobody's identity."""
    return PrincipalId(f"source:{source}")


def _membership_of(row: Any) -> Membership:
    return Membership(PrincipalId(row.member_id), PrincipalId(row.group_id), row.expires_at)


def _differs(
    known: Mapping[tuple[str, str], datetime | None],
    edge: tuple[str, str],
    end: datetime | None,
) -> bool:
    return edge not in known or known[edge] != end


def _checked(
    memberships: Iterable[Membership], group: PrincipalId | None
) -> dict[tuple[str, str], datetime | None]:
    edges: dict[tuple[str, str], datetime | None] = {}
    for each in memberships:
        if not each.group.startswith("group:") or (group is not None and each.group != group):
            raise InvalidRequest(f"{each.group!r} is not the group whose members these are")
        if each.member != EVERYONE and not each.member.startswith(("user:", "app:", "group:")):
            raise InvalidRequest(f"{each.member!r} is no principal and no group")
        if each.until is not None and each.until.tzinfo is None:
            raise InvalidRequest("a membership ends at an aware moment")
        if (each.group, each.member) in edges:
            raise InvalidRequest(f"{each.member!r} is twice a member of {each.group!r}")
        edges[each.group, each.member] = each.until
        if len(edges) > MAX_MEMBERSHIPS:
            raise InvalidRequest(f"one source says at most {MAX_MEMBERSHIPS} memberships")
    return edges
