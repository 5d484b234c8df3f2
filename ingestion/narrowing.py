"""The access list that admits those whom two lists both admit."""

from rag.access import MAX_CLAUSES, NOBODY, AccessList, PrincipalId


def narrowed(first: AccessList, second: AccessList) -> AccessList:
    """Admits nobody whom either list does not admit, and whom both admit, as far as
    `MAX_CLAUSES` lets it be said; past that it errs on the private side."""
    if not all(first.clauses) or not all(second.clauses) or not (first.clauses and second.clauses):
        return NOBODY
    clauses = list(dict.fromkeys(first.clauses + second.clauses))
    while len(clauses) > MAX_CLAUSES:
        # Who holds an identity that two clauses share satisfies both.
        clauses.append(clauses.pop() & clauses.pop())
    if not all(clauses):
        return NOBODY
    denied: frozenset[PrincipalId] = first.denied | second.denied
    return AccessList(tuple(clauses), denied)
