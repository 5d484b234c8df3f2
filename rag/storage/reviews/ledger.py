"""The queue of reviews: listed, read, and decided once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Row, Select, and_, func, or_, select, update

from rag.access import TenantId
from rag.audit import AuditEvent
from rag.errors import Conflict, NotFound
from rag.reviews import Decided, Decision, Flag, Review, ReviewId, ReviewQuery
from rag.storage.audit.ledger import Audit
from rag.storage.audit.reading import ERASED, AuditQuery, Opened, entries_of
from rag.storage.reviews.rows import OPEN
from rag.storage.tables import AuditEntryRow, AuditHeadRow, AuditPersonRow, ReviewRow
from rag.trail import Direction, RequestId, UseCase


@dataclass(frozen=True, slots=True)
class Reviews:
    """Errors: `StorageUnavailable`, and `NotFound` alike for what is not there and for another
    tenant's."""

    audit: Audit

    async def listed(self, query: ReviewQuery) -> list[Review]:
        """The newest first."""
        rows = ReviewRow
        wanted = _with_keys().where(rows.tenant == query.tenant)
        use_case = None if query.use_case is None else query.use_case.value
        for column, value in (
            (rows.state, query.state),
            (rows.check_name, query.check),
            (rows.use_case, use_case),
        ):
            if value is not None:
                wanted = wanted.where(column == value)
        if query.since is not None:
            wanted = wanted.where(rows.at >= query.since)
        if query.until is not None:
            wanted = wanted.where(rows.at < query.until)
        if query.before is not None:
            wanted = wanted.where(_is_before(query.before))
        newest = wanted.order_by(rows.sequence.desc(), rows.ordinal.desc()).limit(query.limit)
        return await self._reviews(query.tenant, await self.audit.database.rows(newest))

    async def get(self, tenant: TenantId, review: ReviewId) -> Review:
        found = await self.audit.database.rows(_with_keys().where(*_is_this(tenant, review)))
        if not found:
            raise NotFound("there is no such review")
        return (await self._reviews(tenant, found))[0]

    async def entry_of(self, tenant: TenantId, review: ReviewId) -> Opened:
        """What the audit keeps of the request that was flagged."""
        entries = await self._entries(tenant, [review.sequence])
        if not entries:
            raise NotFound("there is no such review")
        return entries[0]

    async def decide(
        self, review: ReviewId, *, decision: Decision, note: str, told: AuditEvent
    ) -> Review:
        """Decide it, and tell the audit by `told`, whose person decides: both, or neither.

        The same again changes nothing and is no error; anything else raises `Conflict`. What is
        kept of `note` has no secrets and no personal data, and is sealed with the key of the person
        whose text was flagged.
        """
        work = partial(self._decide, review, decision, note.strip(), told)
        await self.audit.database.write(work)
        return await self.get(told.tenant, review)

    async def open_by_check(self) -> Mapping[str, int]:
        """How many wait for somebody, of all tenants together."""
        counted = (
            select(ReviewRow.check_name, func.count().label("waiting"))
            .where(ReviewRow.state == OPEN)
            .group_by(ReviewRow.check_name)
        )
        return {row.check_name: row.waiting for row in await self.audit.database.rows(counted)}

    def _decide(
        self,
        review: ReviewId,
        decision: Decision,
        note: str,
        told: AuditEvent,
        connection: Connection,
    ) -> None:
        mine = _is_this(told.tenant, review)
        held = select(ReviewRow.state, ReviewRow.note).where(*mine).with_for_update()
        row = connection.execute(held).one_or_none()
        if row is None:
            raise NotFound("there is no such review")
        wrapped = _wrapped_of(told.tenant, review, connection)
        kept = self.audit.writing.redact(note) if note else ""
        if row.state != OPEN:
            if row.state == decision and (not kept or kept == self._note_of(row.note, wrapped)):
                return
            raise Conflict(f"it was {row.state} already, and a decision stands as it was made")
        sealed = None
        if kept:
            if wrapped is None:
                raise Conflict("the person was erased: decide without a note on what they wrote")
            sealed = self.audit.writing.key.unwrapped(wrapped).seal(kept)
        self.audit.append([told], connection)
        ends = select(AuditHeadRow.sequence).where(AuditHeadRow.tenant == told.tenant)
        connection.execute(
            update(ReviewRow)
            .where(*mine)
            .values(
                state=decision,
                decided_at=self.audit.clock(),
                decided_in=connection.execute(ends).scalar_one(),
                note=sealed,
            )
        )

    def _note_of(self, sealed: str | None, wrapped: bytes | None) -> str:
        if sealed is None:
            return ""
        opened = None if wrapped is None else self.audit.writing.key.unwrapped(wrapped).open(sealed)
        return ERASED if opened is None else opened

    async def _reviews(self, tenant: TenantId, rows: Sequence[Row[Any]]) -> list[Review]:
        told_in = sorted({row.decided_in for row in rows if row.decided_in is not None})
        by = {
            entry.entry.sequence: entry.principal for entry in await self._entries(tenant, told_in)
        }
        return [self._review_of(row, by) for row in rows]

    async def _entries(self, tenant: TenantId, sequences: Sequence[int]) -> list[Opened]:
        if not sequences:
            return []
        query = AuditQuery(tenant=tenant, sequences=sequences, limit=len(sequences))
        return await entries_of(self.audit, query)

    def _review_of(self, row: Any, by: Mapping[int, str]) -> Review:
        decided = None
        if row.state != OPEN:
            decided = Decided(
                decision=cast("Decision", row.state),
                by=by[row.decided_in],
                at=row.decided_at,
                note=self._note_of(row.note, row.wrapped),
            )
        return Review(
            id=ReviewId(row.sequence, row.ordinal),
            at=row.at,
            trace=RequestId(row.trace),
            flag=Flag(
                use_case=UseCase(row.use_case),
                check=row.check_name,
                direction=cast("Direction", row.direction),
                score=row.score,
                kinds=tuple(row.kinds),
                policy=row.policy,
            ),
            decided=decided,
        )


def _with_keys() -> Select[Any]:
    """Reviews, each with the wrapped key of whoever's text was flagged."""
    rows, entries, persons = ReviewRow, AuditEntryRow, AuditPersonRow
    return (
        select(*rows.__table__.columns, persons.wrapped)
        .join(entries, (entries.tenant == rows.tenant) & (entries.sequence == rows.sequence))
        .outerjoin(
            persons,
            (persons.tenant == entries.tenant) & (persons.pseudonym == entries.pseudonym),
        )
    )


def _wrapped_of(tenant: TenantId, review: ReviewId, connection: Connection) -> bytes | None:
    """The key of whoever's text was flagged; None where they were erased."""
    entries, persons = AuditEntryRow, AuditPersonRow
    key = (
        select(persons.wrapped)
        .join(
            entries,
            (persons.tenant == entries.tenant) & (persons.pseudonym == entries.pseudonym),
        )
        .where(entries.tenant == tenant, entries.sequence == review.sequence)
    )
    return connection.execute(key).scalars().one_or_none()


def _is_this(tenant: TenantId, review: ReviewId) -> tuple[Any, ...]:
    return (
        ReviewRow.tenant == tenant,
        ReviewRow.sequence == review.sequence,
        ReviewRow.ordinal == review.ordinal,
    )


def _is_before(review: ReviewId) -> Any:
    rows = ReviewRow
    return or_(
        rows.sequence < review.sequence,
        and_(rows.sequence == review.sequence, rows.ordinal < review.ordinal),
    )
