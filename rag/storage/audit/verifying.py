"""Whether an audit's chain is whole: the first entry that does not fit is named."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from rag.access import TenantId
from rag.storage.audit.anchors import Anchor
from rag.storage.audit.chain import NOTHING_BEFORE, hash_of
from rag.storage.audit.ledger import Audit
from rag.storage.audit.sealing import is_signed
from rag.storage.audit.segments import segment_statement
from rag.storage.tables import AuditEntryRow, AuditHeadRow, AuditSegmentRow

PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Intact:
    """Every entry from `first` to `last` is as it was written, and none is missing."""

    first: int
    last: int
    entries: int
    anchors: int
    """How many anchors bore it out."""


@dataclass(frozen=True, slots=True)
class Broken:
    sequence: int
    """The first entry that does not fit."""
    reason: str


async def verify(
    audit: Audit, tenant: TenantId, *, anchors: Sequence[Anchor] = ()
) -> Intact | Broken:
    """Reads the tenant's whole chain, a page at a time. Errors: `StorageUnavailable`.

    Anchors of other tenants are left aside; a forged one, or one by another key, is a break at
    the entry that it names. Entries of segments that were dropped are vouched for by their
    signed segment.
    """
    segments = await _segments(audit, tenant)
    ours = [anchor for anchor in anchors if anchor.tenant == tenant]
    known = {anchor.sequence: anchor.hash for anchor in ours}
    if (forged := _forged(audit.writing.key.public_key(), ours, segments)) is not None:
        return forged
    expected, previous = _start(segments)
    first = expected
    for segment in segments:
        if segment.last < first and known.get(segment.last, segment.hash) != segment.hash:
            return Broken(segment.last, "an anchor has another hash")
    sealed = {segment.last: segment.hash for segment in segments}
    async with aclosing(_rows(audit, tenant, expected)) as rows:
        async for row in rows:
            reason = _misfit(row, tenant, expected, previous) or _contradiction(row, known, sealed)
            if reason is not None:
                return Broken(expected, reason)
            previous = row.hash
            expected += 1
    return await _checked_end(audit, tenant, known, first=first, expected=expected, last=previous)


def _forged(
    public_key: str, anchors: Sequence[Anchor], segments: Sequence[Row[Any]]
) -> Broken | None:
    """The first anchor or seal that our key did not sign."""
    for anchor in anchors:
        if anchor.public_key != public_key or not anchor.is_genuine:
            return Broken(anchor.sequence, "the anchor's signature is not ours")
    for segment in segments:
        if not is_signed(segment_statement(segment), segment.signature, public_key):
            return Broken(segment.first, f"the seal of {segment.segment} is not ours")
    return None


def _contradiction(
    row: Row[Any], anchored: Mapping[int, str], sealed: Mapping[int, str]
) -> str | None:
    if anchored.get(row.sequence, row.hash) != row.hash:
        return "an anchor has another hash"
    if sealed.get(row.sequence, row.hash) != row.hash:
        return "the seal of its segment has another hash"
    return None


async def _checked_end(
    audit: Audit,
    tenant: TenantId,
    known: Mapping[int, str],
    *,
    first: int,
    expected: int,
    last: str,
) -> Intact | Broken:
    if any(sequence >= expected for sequence in known):
        return Broken(expected, "it is missing: an anchor names a later one")
    heads = select(AuditHeadRow.sequence, AuditHeadRow.hash).where(AuditHeadRow.tenant == tenant)
    [head] = await audit.database.rows(heads) or [None]
    # Entries may have been appended since the last page was read: only less is a break.
    if head is not None and head.sequence < expected - 1:
        return Broken(head.sequence + 1, "it stands behind the end of the chain")
    if head is not None and head.sequence == expected - 1 and head.hash != last:
        return Broken(head.sequence, "the end of the chain has another hash")
    if head is not None and head.sequence >= expected:
        async with aclosing(_rows(audit, tenant, expected)) as rows:
            newer = [row async for row in rows]
        if not newer or newer[0].sequence != expected:
            return Broken(expected, "it is missing")
    bearing_out = sum(1 for sequence in known if sequence < expected)
    return Intact(first=first, last=expected - 1, entries=expected - first, anchors=bearing_out)


def _misfit(row: Row[Any], tenant: TenantId, expected: int, previous: str) -> str | None:
    if row.sequence != expected:
        return "it is missing"
    if row.previous != previous:
        return "it does not follow the one before"
    if hash_of(row.previous, row.body) != row.hash:
        return "its content has another hash"
    body = json.loads(row.body)
    columns = (tenant, row.sequence, row.at.isoformat(), row.trace, row.action, row.pseudonym)
    told = (
        body["tenant"],
        body["sequence"],
        body["at"],
        body["trace"],
        body["action"],
        body["who"]["pseudonym"],
    )
    return None if columns == told else "its columns say other than its content"


def _start(segments: Sequence[Row[Any]]) -> tuple[int, str]:
    """The first entry that should be there, and the hash before it."""
    dropped = [segment for segment in segments if segment.dropped_at is not None]
    return (dropped[-1].last + 1, dropped[-1].hash) if dropped else (1, NOTHING_BEFORE)


async def _segments(audit: Audit, tenant: TenantId) -> Sequence[Row[Any]]:
    rows = AuditSegmentRow
    return await audit.database.rows(
        select(*rows.__table__.columns).where(rows.tenant == tenant).order_by(rows.first)
    )


async def _rows(audit: Audit, tenant: TenantId, first: int) -> AsyncGenerator[Row[Any]]:
    rows = AuditEntryRow
    while True:
        page = await audit.database.rows(
            select(*rows.__table__.columns)
            .where(rows.tenant == tenant, rows.sequence >= first)
            .order_by(rows.sequence)
            .limit(PAGE)
        )
        for row in page:
            yield row
        if len(page) < PAGE:
            return
        first = page[-1].sequence + 1
