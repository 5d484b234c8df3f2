"""The access list that admits those whom two lists both admit."""

from collections.abc import Sequence
from datetime import datetime

from rag.access import MAX_CLAUSES, NOBODY, AccessList, Expiry, PrincipalId

Grants = dict[PrincipalId, datetime | None]
"""A clause: who counts in it, and until when."""


def narrowed(first: AccessList, second: AccessList) -> AccessList:
    """Admits nobody whom either list does not admit, and whom both admit, as far as
    `MAX_CLAUSES` lets it be said; past that it errs on the private side."""
    if not all(first.clauses) or not all(second.clauses) or not (first.clauses and second.clauses):
        return NOBODY
    clauses: list[Grants] = []
    for clause in (*_grants_of(first), *_grants_of(second)):
        if clause not in clauses:
            clauses.append(clause)
    while len(clauses) > MAX_CLAUSES:
        # Who holds an identity that two clauses share satisfies both.
        clauses.append(_shared(clauses.pop(), clauses.pop()))
    if not all(clauses):
        return NOBODY
    return _access_list(clauses, first.denied | second.denied)


def _grants_of(access: AccessList) -> list[Grants]:
    ends = {(expiry.clause, expiry.principal): expiry.at for expiry in access.expiries}
    return [
        {one: ends.get((number, one)) for one in clause}
        for number, clause in enumerate(access.clauses)
    ]


def _shared(one: Grants, other: Grants) -> Grants:
    """Those of both, each for as long as both say."""
    return {
        principal: min(
            (end for end in (one[principal], other[principal]) if end is not None), default=None
        )
        for principal in one.keys() & other.keys()
    }


def _access_list(clauses: Sequence[Grants], denied: frozenset[PrincipalId]) -> AccessList:
    return AccessList(
        tuple(frozenset(clause) for clause in clauses),
        denied,
        frozenset(
            Expiry(number, principal, end)
            for number, clause in enumerate(clauses)
            for principal, end in clause.items()
            if end is not None
        ),
    )
