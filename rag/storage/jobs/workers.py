"""What the processes that run jobs say of themselves, for those who ask why a job waits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select

from rag.storage.database import Database, insert_into
from rag.storage.moments import now
from rag.storage.tables import WorkerRow

HEARD_OF_WITHIN = timedelta(seconds=60)
"""Whoever has said nothing for longer counts as gone."""
_GONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDone:
    """What was done, since a worker started or by all of them."""

    done: int = 0
    failed: int = 0
    dead: int = 0
    retried: int = 0
    claims: int = 0
    claim_seconds: float = 0.0

    def plus(self, other: "WorkDone") -> "WorkDone":
        names = [field.name for field in fields(WorkDone)]
        return WorkDone(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    owner: str
    started_at: datetime
    slots: int
    running: int
    resident_bytes: int | None
    paused: str | None
    """Why it begins no job, in words."""
    did: WorkDone
    seen_at: datetime | None = None
    """When it said so; None on its way there."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def report(self, worker: Worker) -> None:
        """In place of what it said before."""
        row = _row_of(worker, self.clock())
        new = insert_into(self.database, WorkerRow)
        kept = {name: new.excluded[name] for name in row if name != "owner"}
        statement = new.on_conflict_do_update(index_elements=["owner"], set_=kept)
        await self.database.write(lambda connection: connection.execute(statement, row))

    async def listed(self) -> list[Worker]:
        """Those who were heard of lately."""
        lately = WorkerRow.seen_at >= self.clock() - HEARD_OF_WITHIN
        rows = await self.database.rows(_ALL.where(WorkerRow.owner != _GONE, lately))
        return [_worker_of(row) for row in rows]

    async def total(self) -> WorkDone:
        """What all have done, those that are gone included: it never falls."""
        total = WorkDone()
        for row in await self.database.rows(_ALL):
            total = total.plus(_done_of(row))
        return total

    async def leave(self, owner: str) -> None:
        """It is gone; what it did stays counted."""
        await self.database.write(lambda connection: self._fold(connection, [owner]))

    async def forget_the_lost(self) -> None:
        """The same for those that said nothing for long."""
        silent = WorkerRow.seen_at < self.clock() - 10 * HEARD_OF_WITHIN
        statement = select(WorkerRow.owner).where(WorkerRow.owner != _GONE, silent)
        lost = [row.owner for row in await self.database.rows(statement)]
        if lost:
            await self.database.write(lambda connection: self._fold(connection, lost))

    def _fold(self, connection: Connection, owners: Sequence[str]) -> None:
        ended = delete(WorkerRow).where(WorkerRow.owner.in_(owners))
        gone = [_done_of(row) for row in connection.execute(ended.returning(*_COLUMNS))]
        if not gone:
            return
        moment = self.clock()
        nobody = Worker(
            owner=_GONE, started_at=moment, slots=0, running=0, resident_bytes=None, paused=None,
            did=WorkDone(),
        )  # fmt: skip
        insert = insert_into(self.database, WorkerRow)
        summed = {
            field.name: getattr(WorkerRow, field.name) + insert.excluded[field.name]
            for field in fields(WorkDone)
        }
        statement = insert.on_conflict_do_update(index_elements=["owner"], set_=summed)
        total = WorkDone()
        for did in gone:
            total = total.plus(did)
        row = _row_of(nobody, moment) | _values_of(total)
        connection.execute(statement, row)


_COLUMNS = tuple(WorkerRow.__table__.columns)
_ALL = select(*_COLUMNS)


def _done_of(row: Any) -> WorkDone:
    return WorkDone(**{field.name: getattr(row, field.name) for field in fields(WorkDone)})


def _values_of(did: WorkDone) -> dict[str, Any]:
    return {field.name: getattr(did, field.name) for field in fields(WorkDone)}


def _row_of(worker: Worker, moment: datetime) -> dict[str, Any]:
    return {
        "owner": worker.owner,
        "started_at": worker.started_at,
        "seen_at": moment,
        "slots": worker.slots,
        "running": worker.running,
        "resident_bytes": worker.resident_bytes,
        "paused": worker.paused,
    } | _values_of(worker.did)


def _worker_of(row: Any) -> Worker:
    return Worker(
        owner=row.owner,
        started_at=row.started_at,
        slots=row.slots,
        running=row.running,
        resident_bytes=row.resident_bytes,
        paused=row.paused,
        did=_done_of(row),
        seen_at=row.seen_at,
    )
