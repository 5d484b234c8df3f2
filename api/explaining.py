"""Why somebody may or may not read a document: by which groups, or what shuts them out."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rag.access import EVERYONE, AccessList, Membership, PrincipalId, scope_of
from rag.access import Principal as Asker
from rag.storage.documents.admission import StoredAccess
from rag.storage.documents.records import DocumentState

Paths = Mapping[PrincipalId, tuple[PrincipalId, ...]]
"""Of each identity that somebody holds, how: from themselves, through groups, to it."""


@dataclass(frozen=True, slots=True)
class Clause:
    any_of: tuple[PrincipalId, ...]
    """Those whose grant has not ended."""
    held: tuple[PrincipalId, ...]
    ended: tuple[tuple[PrincipalId, datetime], ...]
    """Grants that ended, and when; of those that the user holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    readable: bool
    reason: str
    clauses: tuple[Clause, ...]
    denied: tuple[PrincipalId, ...]
    """Those denied identities that the user holds."""
    paths: Paths
    """Of what the user holds and the access list names."""
    ended: tuple[Membership, ...]
    """Memberships that ended, and by which the user would hold more."""


def explain(
    asker: Asker,
    stored: StoredAccess,
    state: DocumentState,
    *,
    edges: Collection[Membership],
    moment: datetime,
) -> Explanation:
    """What the ledger says of `asker`, whose groups are those that came with the request.

    `edges` are all that lead up from them, those of memberships that ended too.
    """
    paths = paths_of(asker, [edge for edge in edges if not _has_ended(edge, moment)])
    scope = scope_of(Asker(asker.tenant, asker.id, frozenset(paths) - {asker.id, EVERYONE}))
    held = scope.identities
    named = stored.access.denied.union(*stored.access.clauses)
    readable = state is DocumentState.ACTIVE and stored.admits(scope, at=moment)
    return Explanation(
        readable=readable,
        reason=_reason(state, stored, held, moment),
        clauses=tuple(_clauses(stored.access, held, moment)),
        denied=tuple(sorted(stored.access.denied & held)),
        paths={one: paths[one] for one in sorted(named & held)},
        ended=tuple(edge for edge in edges if _has_ended(edge, moment) and edge.group not in held),
    )


def paths_of(
    asker: Asker, edges: Iterable[Membership]
) -> dict[PrincipalId, tuple[PrincipalId, ...]]:
    """A shortest way to everything that `asker` holds."""
    above: dict[PrincipalId, list[PrincipalId]] = {}
    for edge in edges:
        above.setdefault(edge.member, []).append(edge.group)
    paths: dict[PrincipalId, tuple[PrincipalId, ...]] = {
        asker.id: (asker.id,),
        EVERYONE: (asker.id, EVERYONE),
    }
    paths |= {group: (asker.id, group) for group in sorted(asker.groups)}
    waiting = deque(paths)
    while waiting:
        member = waiting.popleft()
        for group in sorted(above.get(member, ())):
            if group not in paths:
                paths[group] = (*paths[member], group)
                waiting.append(group)
    return paths


def _has_ended(edge: Membership, moment: datetime) -> bool:
    return edge.until is not None and edge.until <= moment


def _clauses(
    access: AccessList, held: frozenset[PrincipalId], moment: datetime
) -> Iterable[Clause]:
    for number, lasting in enumerate(access.at(moment).clauses):
        ended = [
            (expiry.principal, expiry.at)
            for expiry in access.expiries
            if expiry.clause == number and expiry.at <= moment and expiry.principal in held
        ]
        yield Clause(tuple(sorted(lasting)), tuple(sorted(lasting & held)), tuple(sorted(ended)))


def _reason(
    state: DocumentState, stored: StoredAccess, held: frozenset[PrincipalId], moment: datetime
) -> str:
    if state is not DocumentState.ACTIVE:
        return f"the document is {state.value}: nobody reads it"
    shut_out = _shut_out(stored.access, held, moment)
    if shut_out is None and stored.is_too_old(moment):
        return (
            f"its source last confirmed its access list at {stored.confirmed_at.isoformat()}, "
            "longer ago than is allowed: nobody reads it"
        )
    return shut_out or "the user holds an identity of every clause"


def _shut_out(access: AccessList, held: frozenset[PrincipalId], moment: datetime) -> str | None:
    """By what of the access list; None where it admits."""
    lasting = access.at(moment)
    if not access.clauses or not all(access.clauses):
        return "its access list names nobody"
    if not access.denied.isdisjoint(held):
        return "its access list denies an identity of the user"
    if any(clause.isdisjoint(held) for clause in access.clauses):
        return "the user holds none of the identities that a clause asks for"
    if any(clause.isdisjoint(held) for clause in lasting.clauses):
        return "the grant by which the user could read it has ended"
    return None
