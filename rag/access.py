"""Who is asking, who may read, and the one place where the two meet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

TenantId = NewType("TenantId", str)
PrincipalId = NewType("PrincipalId", str)
"""`user:1042`, `group:<immutable id>`, `app:<key id>` or `everyone`. Never a name or an e-mail address."""

EVERYONE = PrincipalId("everyone")
"""The identity that every principal of a tenant holds; what it may read is public inside the tenant."""

MAX_CLAUSES = 4
"""How many clauses an access list may have; an index filters that many inside its own query."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, as the key or the identity provider vouches for them."""

    tenant: TenantId
    id: PrincipalId
    groups: frozenset[PrincipalId] = frozenset()


@dataclass(frozen=True, slots=True)
class Membership:
    """That `member`, a principal or another group, belongs to `group`; from `until` on no more."""

    member: PrincipalId
    group: PrincipalId
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Expiry:
    """The end of a grant: from `at` on, `principal` counts no more in the clause of that number."""

    clause: int
    principal: PrincipalId
    at: datetime
    """Aware."""


@dataclass(frozen=True, slots=True)
class AccessList:
    """Who may read a document: an AND of ORs of principal ids, with a deny that wins.

    A reader must hold an identity from every one of `clauses` and none from `denied`. No clause
    at all, or an empty clause, admits nobody: what a source cannot tell us is private. A grant
    that ends stands in its clause all the same, and in `expiries` with its end.
    """

    clauses: tuple[frozenset[PrincipalId], ...] = ()
    denied: frozenset[PrincipalId] = frozenset()
    expiries: frozenset[Expiry] = frozenset()

    def __post_init__(self) -> None:
        if len(self.clauses) > MAX_CLAUSES:
            raise ValueError(f"an access list has at most {MAX_CLAUSES} clauses")
        if self.expiries:
            self._check_expiries()

    def _check_expiries(self) -> None:
        named = {(expiry.clause, expiry.principal) for expiry in self.expiries}
        if len(named) < len(self.expiries):
            raise ValueError("a grant ends once")
        for expiry in self.expiries:
            if expiry.at.tzinfo is None:
                raise ValueError("a grant ends at an aware moment")
            if not 0 <= expiry.clause < len(self.clauses):
                raise ValueError("a grant that ends is one of a clause that is there")
            if expiry.principal not in self.clauses[expiry.clause]:
                raise ValueError("a grant that ends is one of its clause")

    def at(self, moment: datetime) -> "AccessList":
        """What of it is left at `moment`. A clause whose grants have all ended admits nobody."""
        ended = {(each.clause, each.principal) for each in self.expiries if each.at <= moment}
        if not ended:
            return self
        clauses = tuple(
            frozenset(one for one in clause if (number, one) not in ended)
            for number, clause in enumerate(self.clauses)
        )
        lasting = frozenset(expiry for expiry in self.expiries if expiry.at > moment)
        return AccessList(clauses, self.denied, lasting)

    @property
    def next_expiry(self) -> datetime | None:
        """When the first of its grants ends; None where none does."""
        return min((expiry.at for expiry in self.expiries), default=None)


NOBODY = AccessList()


def readable_by(
    readers: Iterable[str],
    *,
    denied: Iterable[str] = (),
    until: Mapping[str, datetime] | None = None,
) -> AccessList:
    """The access list of one clause that most sources have; no reader at all means nobody.

    `until` says of some of the readers when their grants end.
    """
    clause = frozenset(map(PrincipalId, readers))
    expiries = (Expiry(0, PrincipalId(one), at) for one, at in (until or {}).items())
    return AccessList(
        (clause,) if clause else (), frozenset(map(PrincipalId, denied)), frozenset(expiries)
    )


@dataclass(frozen=True, slots=True)
class AccessScope:
    """What a principal may read. Only `scope_of` makes one, and every read demands one."""

    tenant: TenantId
    identities: frozenset[PrincipalId]

    def admits(self, tenant: TenantId, access: AccessList, *, at: datetime) -> bool:
        """Whether a document of `tenant` under `access` may be read in this scope at that moment."""
        if access.expiries:
            access = access.at(at)
        return (
            tenant == self.tenant
            and bool(access.clauses)
            and not any(self.identities.isdisjoint(clause) for clause in access.clauses)
            and self.identities.isdisjoint(access.denied)
        )


def scope_of(principal: Principal) -> AccessScope:
    return AccessScope(principal.tenant, frozenset({EVERYONE, principal.id}) | principal.groups)
