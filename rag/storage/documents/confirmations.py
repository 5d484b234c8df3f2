"""What a complete listing says of access: who may read all that it saw unchanged is as known."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, or_, select, union, update
from sqlalchemy.orm import aliased

from rag.access import TenantId
from rag.storage.jobs.records import JobKind, JobState
from rag.storage.records import document_id_of
from rag.storage.tables import PENDING, RUNNING, DocumentRow, JobRow, SourceRow
from rag.types import SourceId

_AT_ONCE = 500
_CHANGES = (JobKind.UPSERT.value, JobKind.ACCESS.value, JobKind.DELETE.value)
_CAME_TO_NOTHING = (JobState.FAILED.value, JobState.DEAD.value)


def confirm_access(
    connection: Connection, tenant: TenantId, source: SourceId, *, problems: Iterable[str]
) -> None:
    """Note that the listing that began last saw everything of `source` but `problems` (URIs).

    It confirms no document that it missed, that it saw changed and that is not taken in yet, or
    whose change could not be taken in: what is known of those stays as old as it was.
    """
    row = connection.execute(_SOURCE.where(SourceRow.id == source)).one()
    own = DocumentRow.source == source
    doubtful = [
        DocumentRow.missing_since.is_not(None),
        DocumentRow.id.in_(_changing(source, row.batch)),
    ]
    settled = update(DocumentRow).where(own, DocumentRow.access_in_doubt, ~or_(*doubtful))
    connection.execute(settled.values(access_in_doubt=False))
    connection.execute(update(DocumentRow).where(own, or_(*doubtful)).values(access_in_doubt=True))
    unread = sorted(document_id_of(tenant, source, uri) for uri in problems)
    for start in range(0, len(unread), _AT_ONCE):
        some = DocumentRow.id.in_(unread[start : start + _AT_ONCE])
        connection.execute(update(DocumentRow).where(some).values(access_in_doubt=True))
    _spread_to_members(connection, source)
    listed = update(SourceRow).where(SourceRow.id == source)
    connection.execute(listed.values(listed_at=_later(row.listing_since, row.listed_at)))


def _spread_to_members(connection: Connection, source: SourceId) -> None:
    """What lies inside a document has the document's readers, and is as doubtful."""
    outer = aliased(DocumentRow)
    doubtful = select(outer.id).where(outer.source == source, outer.access_in_doubt)
    inside = update(DocumentRow).where(
        DocumentRow.parent.in_(doubtful), ~DocumentRow.access_in_doubt
    )
    while connection.execute(inside.values(access_in_doubt=True)).rowcount:
        continue


_SOURCE = select(SourceRow.batch, SourceRow.listing_since, SourceRow.listed_at)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _changing(source: SourceId, batch: str | None) -> Select[Any]:
    """Documents with a change that is still to be made, or that this listing's batch failed at."""
    live = select(JobRow.subject).where(JobRow.source == source, JobRow.kind.in_(_CHANGES))
    failed = select(JobRow.subject).where(
        JobRow.batch == batch, JobRow.kind.in_(_CHANGES), JobRow.state.in_(_CAME_TO_NOTHING)
    )
    changing = union(live.where(PENDING), live.where(RUNNING), failed).subquery()
    return select(changing.c.subject)
