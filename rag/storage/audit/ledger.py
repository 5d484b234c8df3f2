"""Writing the audit: events that wait together are appended in one transaction."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby

from sqlalchemy import Connection, delete, insert, select, update

from rag.access import PrincipalId, TenantId
from rag.audit import AuditEvent
from rag.storage.audit.chain import NOTHING_BEFORE, Writing, hash_of, segment_of
from rag.storage.audit.sealing import PersonKey
from rag.storage.database import Database, Dialect, insert_for
from rag.storage.moments import now
from rag.storage.reviews.rows import flag_rows
from rag.storage.tables import AuditEntryRow, AuditHeadRow, AuditPersonRow, ReviewRow

AT_ONCE = 256
"""Events in one transaction at most."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    event: AuditEvent
    written: asyncio.Future[None]


class Audit:
    """The `AuditLog` of every tenant. Used from one event loop. Errors: `StorageUnavailable`."""

    def __init__(
        self, database: Database, writing: Writing, *, clock: Callable[[], datetime] = now
    ) -> None:
        self.database = database
        self.writing = writing
        self.clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def record(self, event: AuditEvent) -> None:
        waiting = _Waiting(event, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_waiting())
        await waiting.written

    async def erase(self, tenant: TenantId, principal: PrincipalId) -> bool:
        """Destroy the key of a person: what the audit holds of them cannot be read any more.

        False where it holds nothing of them. The chain stays as it is.
        """
        pseudonym = self.writing.key.pseudonym(tenant, principal)
        statement = delete(AuditPersonRow).where(
            AuditPersonRow.tenant == tenant, AuditPersonRow.pseudonym == pseudonym
        )
        async with self.database.writing() as connection:
            return (await connection.execute(statement)).rowcount > 0

    async def aclose(self) -> None:
        """Let what is being written end."""
        while self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            events = [each.event for each in batch]
            failure: Exception | None = None
            try:
                await self.database.write(partial(self.append, events))
            except Exception as error:  # noqa: BLE001 - it is whoever records that must know
                failure = error
            for each in batch:
                if (
                    each.written.done()
                ):  # whoever recorded was cancelled; it is written all the same
                    continue
                if failure is None:
                    each.written.set_result(None)
                else:
                    each.written.set_exception(failure)

    def append(self, events: Sequence[AuditEvent], connection: Connection) -> None:
        """As part of a transaction whose other writes they tell of. Where only what was done is to
        be told, `record` does it, many at once."""
        # Always in the same order, so that two processes never wait for each other.
        by_tenant = sorted(events, key=lambda event: event.tenant)
        for tenant, of_tenant in groupby(by_tenant, key=lambda event: event.tenant):
            self._append_to(tenant, list(of_tenant), connection)

    def _append_to(
        self, tenant: TenantId, events: Sequence[AuditEvent], connection: Connection
    ) -> None:
        dialect = self.database.dialect
        sequence, segment, previous = _held_head(connection, tenant, dialect)
        at = self.clock()
        segment = max(segment, segment_of(at))
        persons = self._persons(connection, tenant, events, at)
        rows: list[dict[str, object]] = []
        flagged: list[dict[str, object]] = []
        for event in events:
            sequence += 1
            flagged.extend(flag_rows(event, sequence=sequence, at=at))
            pseudonym = self.writing.pseudonym(event)
            body = self.writing.body(event, persons[pseudonym], sequence=sequence, at=at)
            digest = hash_of(previous, body)
            rows.append(
                {
                    "tenant": tenant,
                    "sequence": sequence,
                    "segment": segment,
                    "at": at,
                    "pseudonym": pseudonym,
                    "trace": event.trace,
                    "action": event.action,
                    "previous": previous,
                    "hash": digest,
                    "body": body,
                }
            )
            previous = digest
        connection.execute(insert(AuditEntryRow), rows)
        if flagged:
            connection.execute(insert(ReviewRow), flagged)
        connection.execute(
            update(AuditHeadRow)
            .where(AuditHeadRow.tenant == tenant)
            .values(sequence=sequence, segment=segment, hash=previous)
        )

    def _persons(
        self,
        connection: Connection,
        tenant: TenantId,
        events: Iterable[AuditEvent],
        at: datetime,
    ) -> Mapping[str, PersonKey]:
        """The key of everyone in `events`; who has none gets one."""
        pseudonyms = {self.writing.pseudonym(event) for event in events}
        wrapped = _wrapped_keys(connection, tenant, pseudonyms)
        if missing := pseudonyms - set(wrapped):
            rows = [
                {
                    "tenant": tenant,
                    "pseudonym": pseudonym,
                    "wrapped": self.writing.key.new_person_key()[1],
                    "created_at": at,
                }
                for pseudonym in sorted(missing)
            ]
            connection.execute(
                insert_for(self.database.dialect, AuditPersonRow)
                .values(rows)
                .on_conflict_do_nothing()
            )
            wrapped = _wrapped_keys(connection, tenant, pseudonyms)
        return {name: self.writing.key.unwrapped(key) for name, key in wrapped.items()}


def _held_head(connection: Connection, tenant: TenantId, dialect: Dialect) -> tuple[int, str, str]:
    """Where the chain ends: sequence, segment, hash. Nobody else appends until we are done."""
    head = select(AuditHeadRow.sequence, AuditHeadRow.segment, AuditHeadRow.hash).where(
        AuditHeadRow.tenant == tenant
    )
    row = connection.execute(head.with_for_update()).one_or_none()
    if row is None:
        first = {"tenant": tenant, "sequence": 0, "segment": "", "hash": NOTHING_BEFORE}
        connection.execute(insert_for(dialect, AuditHeadRow).values(first).on_conflict_do_nothing())
        row = connection.execute(head.with_for_update()).one()
    return row.sequence, row.segment, row.hash


def _wrapped_keys(
    connection: Connection, tenant: TenantId, pseudonyms: Iterable[str]
) -> dict[str, bytes]:
    query = select(AuditPersonRow.pseudonym, AuditPersonRow.wrapped).where(
        AuditPersonRow.tenant == tenant, AuditPersonRow.pseudonym.in_(sorted(pseudonyms))
    )
    return {row.pseudonym: row.wrapped for row in connection.execute(query)}
