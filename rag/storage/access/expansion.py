"""A principal with all its groups, remembered for as long as nothing changed them."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

from rag.access import EVERYONE, Principal, PrincipalId, TenantId
from rag.storage.access.groups import Epoch

REMEMBERED = 2_000
"""Principals whose groups one process remembers."""


class GroupClosures(Protocol):
    """The stored groups, as whoever expands a principal sees them."""

    async def epoch(self, tenant: TenantId, identities: Collection[PrincipalId]) -> Epoch: ...

    async def closure(
        self, tenant: TenantId, identities: Collection[PrincipalId]
    ) -> frozenset[PrincipalId]: ...


@dataclass(frozen=True, slots=True)
class Expansion:
    """A principal with the groups it came with and all that those and itself belong to."""

    principal: Principal
    epoch: Epoch
    """What is remembered of this principal holds exactly while this stays the same."""


class Expansions:
    """Expands principals. Every time, it asks whether what it remembers still holds.

    Errors: `StorageUnavailable` and `TooManyGroups`; never fewer groups than there are.
    """

    def __init__(self, groups: GroupClosures, *, remembered: int = REMEMBERED) -> None:
        self._groups = groups
        self._size = remembered
        self._known: OrderedDict[Principal, Expansion] = OrderedDict()

    async def of(self, principal: Principal) -> Expansion:
        """`principal` as it stands now."""
        identities = {EVERYONE, principal.id} | principal.groups
        # Read first: groups that are newer than their epoch are found out, older ones would not be.
        epoch = await self._groups.epoch(principal.tenant, identities)
        known = self._known.get(principal)
        if known is None or known.epoch != epoch:
            groups = await self._groups.closure(principal.tenant, identities)
            known = Expansion(replace(principal, groups=principal.groups | groups), epoch)
        self._known[principal] = known
        self._known.move_to_end(principal)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return known
