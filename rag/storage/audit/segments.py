"""Retention: a month that is over is sealed, and later dropped as a whole; its seal stays."""

import logging
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from rag.storage.audit.chain import canonical, segment_of
from rag.storage.audit.ledger import Audit
from rag.storage.tables import AuditEntryRow, AuditSegmentRow

log = logging.getLogger(__name__)


async def seal_what_is_over(audit: Audit) -> int:
    """Seal every month before this one; how many were. Errors: `StorageUnavailable`."""
    rows, sealed = AuditEntryRow, AuditSegmentRow
    over = (
        select(rows.tenant, rows.segment)
        .outerjoin(sealed, (sealed.tenant == rows.tenant) & (sealed.segment == rows.segment))
        .where(rows.segment < segment_of(audit.clock()), sealed.segment.is_(None))
        .distinct()
        .order_by(rows.tenant, rows.segment)
    )
    found = await audit.database.rows(over)
    for row in found:
        await audit.database.write(partial(_seal, audit, row.tenant, row.segment))
    return len(found)


async def drop_before(audit: Audit, month: str) -> int:
    """Drop the entries of sealed segments before `month` (`2026-11`); how many entries went.

    Errors: `StorageUnavailable`.
    """
    return await audit.database.write(partial(_drop, audit, month))


def segment_statement(segment: Row[Any]) -> bytes:
    """What a segment's seal is the signature of."""
    return _statement(
        segment.tenant,
        segment.segment,
        first=segment.first,
        last=segment.last,
        previous=segment.previous,
        digest=segment.hash,
    )


def _statement(
    tenant: str, segment: str, *, first: int, last: int, previous: str, digest: str
) -> bytes:
    return canonical(
        {
            "tenant": tenant,
            "segment": segment,
            "first": first,
            "last": last,
            "previous": previous,
            "hash": digest,
        }
    )


def _seal(audit: Audit, tenant: str, segment: str, connection: Connection) -> None:
    rows, sealed = AuditEntryRow, AuditSegmentRow
    already = select(sealed.segment).where(sealed.tenant == tenant, sealed.segment == segment)
    if connection.execute(already).first() is not None:  # by another process, just now
        return
    within = (rows.tenant == tenant, rows.segment == segment)
    first, last = connection.execute(
        select(func.min(rows.sequence), func.max(rows.sequence)).where(*within)
    ).one()
    entry = select(rows.previous, rows.hash).where(rows.tenant == tenant)
    previous = connection.execute(entry.where(rows.sequence == first)).one().previous
    digest = connection.execute(entry.where(rows.sequence == last)).one().hash
    statement = _statement(
        tenant, segment, first=first, last=last, previous=previous, digest=digest
    )
    connection.execute(
        insert(sealed).values(
            tenant=tenant,
            segment=segment,
            first=first,
            last=last,
            previous=previous,
            hash=digest,
            signature=audit.writing.key.sign(statement),
            sealed_at=audit.clock(),
        )
    )


def _drop(audit: Audit, month: str, connection: Connection) -> int:
    rows, sealed = AuditEntryRow, AuditSegmentRow
    connection.execute(
        update(sealed)
        .where(sealed.segment < month, sealed.dropped_at.is_(None))
        .values(dropped_at=audit.clock())
    )
    gone = delete(rows).where(
        select(sealed.segment)
        .where(
            sealed.tenant == rows.tenant,
            sealed.segment == rows.segment,
            sealed.dropped_at.is_not(None),
        )
        .exists()
    )
    count = connection.execute(gone).rowcount
    if count:
        log.info("audit entries dropped", extra={"entries": count, "before": month})
    return count
