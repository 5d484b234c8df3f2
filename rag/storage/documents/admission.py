"""Whether a document of the ledger may be read now: what is asked besides the access list itself.

Every read path decides here, by what the ledger and its source hold at the moment of the question.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import InstrumentedAttribute

from rag.access import AccessList, AccessScope, TenantId
from rag.storage.sources.records import PUSH
from rag.storage.tables import DocumentRow, SourceRow


@dataclass(frozen=True, slots=True)
class AgeLimit:
    """How old the last word on who may read a document may be before the document is hidden."""

    max_age: timedelta | None = None
    """Where a source says nothing else; None for any age."""

    def of(self, kind: str, own: timedelta | None) -> timedelta | None:
        """For a source of `kind` that has a limit of its own, zero for none; None is no limit.

        What an app pushed is never too old: the app is the authority, and would have said so.
        """
        if kind == PUSH:
            return None
        return self.max_age if own is None else own or None


@dataclass(frozen=True, slots=True)
class StoredAccess:
    """Who may read one document, and how fresh that knowledge is."""

    tenant: TenantId
    access: AccessList
    confirmed_at: datetime
    """The last moment at which the source is known to have meant this access list."""
    max_age: timedelta | None

    def is_too_old(self, at: datetime) -> bool:
        return self.max_age is not None and at - self.confirmed_at > self.max_age

    def admits(self, scope: AccessScope, *, at: datetime) -> bool:
        return scope.admits(self.tenant, self.access, at=at) and not self.is_too_old(at)


FRESHNESS: tuple[InstrumentedAttribute[Any], ...] = (
    DocumentRow.acl_as_of,
    DocumentRow.access_in_doubt,
    SourceRow.kind,
    SourceRow.listed_at,
    SourceRow.access_max_age_s,
)
"""What `stored_access` needs of a row besides the tenant and the access list."""


def stored_access(row: Any, access: AccessList, limit: AgeLimit) -> StoredAccess:
    """Of a row with `FRESHNESS` and the tenant."""
    own: int | None = row.access_max_age_s
    return StoredAccess(
        tenant=TenantId(row.tenant),
        access=access,
        confirmed_at=confirmed_at(row.acl_as_of, row.listed_at, in_doubt=row.access_in_doubt),
        max_age=limit.of(row.kind, None if own is None else timedelta(seconds=own)),
    )


def confirmed_at(acl_as_of: datetime, listed_at: datetime | None, *, in_doubt: bool) -> datetime:
    """A complete listing confirms what it saw unchanged; what it did not is as old as it was."""
    if in_doubt or listed_at is None:
        return acl_as_of
    return max(acl_as_of, listed_at)
