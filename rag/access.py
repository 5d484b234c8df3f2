"""Who is asking, who may read, and the one place where the two meet."""

from collections.abc import Iterable
from dataclasses import dataclass
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
class AccessList:
    """Who may read a document: an AND of ORs of principal ids, with a deny that wins.

    A reader must hold an identity from every one of `clauses` and none from `denied`. No clause
    at all, or an empty clause, admits nobody: what a source cannot tell us is private.
    """

    clauses: tuple[frozenset[PrincipalId], ...] = ()
    denied: frozenset[PrincipalId] = frozenset()

    def __post_init__(self) -> None:
        if len(self.clauses) > MAX_CLAUSES:
            raise ValueError(f"an access list has at most {MAX_CLAUSES} clauses")


NOBODY = AccessList()


def readable_by(readers: Iterable[str], *, denied: Iterable[str] = ()) -> AccessList:
    """The access list of one clause that most sources have; no reader at all means nobody."""
    clause = frozenset(map(PrincipalId, readers))
    return AccessList((clause,) if clause else (), frozenset(map(PrincipalId, denied)))


@dataclass(frozen=True, slots=True)
class AccessScope:
    """What a principal may read. Only `scope_of` makes one, and every read demands one."""

    tenant: TenantId
    identities: frozenset[PrincipalId]

    def admits(self, tenant: TenantId, access: AccessList) -> bool:
        """Whether a document of `tenant` under `access` may be read in this scope."""
        return (
            tenant == self.tenant
            and bool(access.clauses)
            and not any(self.identities.isdisjoint(clause) for clause in access.clauses)
            and self.identities.isdisjoint(access.denied)
        )


def scope_of(principal: Principal) -> AccessScope:
    return AccessScope(principal.tenant, frozenset({EVERYONE, principal.id}) | principal.groups)
