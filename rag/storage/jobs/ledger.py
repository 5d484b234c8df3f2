"""The ledger of jobs, for those who have work and for those who look: what is to be done.

Of one subject (a document, or a source as a whole) at most one job waits and at most one runs; a
new job takes the place of the waiting one, for it knows more. `rag.storage.jobs.leases` runs them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import aliased

from rag.access import TenantId
from rag.errors import InvalidRequest, NotFound
from rag.storage.database import Database, insert_into
from rag.storage.jobs.records import Job, JobId, JobKind, JobState, NewJob
from rag.storage.jobs.rows import COLUMNS, Announce, Due, announce_to_nobody, job_of, row_of
from rag.storage.moments import now
from rag.storage.tables import PENDING, RUNNING, DocumentRow, JobRow, SourceRow
from rag.types import SourceId

_OF_ACCESS = 2
_OVER = (JobState.DONE.value, JobState.FAILED.value, JobState.DEAD.value)
_RETRYABLE = (JobState.FAILED.value, JobState.DEAD.value, JobState.WAITING.value)
_STATE_OF_A_DOCUMENT = (JobKind.UPSERT.value, JobKind.ACCESS.value, JobKind.DELETE.value)
"""Kinds that say what shall be true: done once, doing the same again changes nothing. Whoever
wants a source listed or a document indexed anew, though, wants it after what happened since."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """Errors: `StorageUnavailable`."""

    database: Database
    announce: Announce = announce_to_nobody
    clock: Callable[[], datetime] = now
    least_urgent: int | None = None
    """What is less urgent than this priority becomes so urgent: for a person who waits."""

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[JobId]:
        """All of them or none, announced once they are durable. Ids in the order of `jobs`.

        A change that is being made already, and that no later one waits behind, is not queued
        once more: its id is that of the running job.
        """
        if not jobs:
            return []
        moment = self.clock()
        rows = {
            (job.source, job.subject): row_of(job, moment) | {"priority": self._priority_of(job)}
            for job in jobs
        }
        # In one order everywhere, so that two who enqueue the same jobs cannot wait on each other.
        ordered = [rows[key] for key in sorted(rows)]

        def work(connection: Connection) -> tuple[dict[_Subject, JobId], list[Due]]:
            ids = _under_way(connection, ordered, moment)
            new = [row for row in ordered if _subject_of(row) not in ids]
            queued = self._queue(connection, new)
            ids |= {_subject_of(row): JobId(row["id"]) for row in queued}
            return ids, [(JobId(row["id"]), row["attempts"]) for row in queued]

        ids, due = await self.database.write(work)
        await self.announce(due)
        return [ids[job.source, job.subject] for job in jobs]

    def _priority_of(self, job: NewJob) -> int:
        return job.priority if self.least_urgent is None else min(job.priority, self.least_urgent)

    async def retry(self, tenant: TenantId, job: JobId) -> JobId:
        """Queue a job again that failed, died or waits. Raises `NotFound`, and `InvalidRequest`
        where a later job for the same subject has ended: what this one says is out of date.

        Where a later job for the same subject waits already, that one is meant.
        """
        found = await self.get(tenant, job)
        if found.state.value not in _RETRYABLE:
            return job
        if found.state is not JobState.WAITING:
            statement = select(JobRow.id).where(JobRow.id == job, has_ended_since())
            if await self.database.rows(statement):
                raise InvalidRequest("a later job has done the same document since")
        return (await self.enqueue([again(found)]))[0]

    async def get(self, tenant: TenantId, job: JobId) -> Job:
        """Raises `NotFound`."""
        statement = select(*COLUMNS).where(JobRow.id == job, JobRow.tenant == tenant)
        rows = await self.database.rows(statement)
        if not rows:
            raise NotFound("there is no such job")
        return job_of(rows[0])

    async def listed(
        self,
        tenant: TenantId,
        *,
        state: JobState | None = None,
        source: SourceId | None = None,
        error_class: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Job]:
        """The newest first."""
        statement = (
            select(*COLUMNS)
            .where(JobRow.tenant == tenant)
            .order_by(JobRow.created_at.desc(), JobRow.id)
            .limit(limit)
            .offset(offset)
        )
        if state is not None:
            statement = statement.where(JobRow.state == state.value)
        if source is not None:
            statement = statement.where(JobRow.source == source)
        if error_class is not None:
            statement = statement.where(JobRow.error_class == error_class)
        return [job_of(row) for row in await self.database.rows(statement)]

    async def nothing_to_do(self) -> bool:
        """Whether no job is queued, waiting or running."""
        # In one statement: a sync that ends between two would take its jobs past both.
        live = select(JobRow.id).where(PENDING).exists() | select(JobRow.id).where(RUNNING).exists()
        [row] = await self.database.rows(select(~live))
        return bool(row[0])

    async def counts(self, tenant: TenantId | None = None) -> dict[JobState, int]:
        statement = select(JobRow.state, func.count().label("jobs")).group_by(JobRow.state)
        if tenant is not None:
            statement = statement.where(JobRow.tenant == tenant)
        return {JobState(row.state): row.jobs for row in await self.database.rows(statement)}

    async def prune(self, *, before: datetime) -> int:
        """Forget jobs that were over before then, except those of a source's last sync and those
        whose document is in quarantine: they hold what it needs to be let out."""
        current = select(SourceRow.batch).where(SourceRow.batch.is_not(None))
        waits = exists().where(
            DocumentRow.id == JobRow.subject, DocumentRow.quarantine.is_not(None)
        )
        statement = delete(JobRow).where(
            JobRow.state.in_(_OVER),
            JobRow.finished_at < before,
            or_(JobRow.batch.is_(None), JobRow.batch.not_in(current)),
            ~waits,
        )
        return await self.database.write(lambda connection: connection.execute(statement).rowcount)

    def _queue(
        self, connection: Connection, rows: Sequence[Mapping[str, Any]]
    ) -> Sequence[RowMapping]:
        """Insert each, over the one that waits for the same subject."""
        if not rows:
            return ()
        insert = insert_into(self.database, JobRow)
        # A change of access or a reindexing never takes the place of content that is on its way.
        knows_more = _weight(insert.excluded["kind"]) >= _weight(JobRow.kind)
        statement = insert.on_conflict_do_update(
            index_elements=["source", "subject"],
            index_where=PENDING,
            set_={
                name: case((knows_more, insert.excluded[name]), else_=getattr(JobRow, name))
                for name in _REPLACED
            }
            | {
                "priority": _lesser(insert.excluded["priority"]),
                # Whoever is replaced leaves its place in line: what changes again and again
                # would otherwise never be served.
                "since": case(
                    (JobRow.state == JobState.QUEUED.value, JobRow.since),
                    else_=insert.excluded["since"],
                ),
            },
        ).returning(JobRow.id, JobRow.source, JobRow.subject, JobRow.attempts)
        return connection.execute(statement, rows).mappings().all()


def again(job: Job) -> NewJob:
    """The same work once more, from its first attempt on."""
    return NewJob(
        tenant=job.tenant,
        source=job.source,
        kind=job.kind,
        uri=job.uri,
        payload=job.payload,
        original=job.original,
        batch=job.batch,
        priority=job.priority,
        max_attempts=job.max_attempts,
    )


def has_ended_since() -> ColumnElement[bool]:
    """Whether a later job for the same subject is over that says as much.

    Whoever indexes anew, or fills a generation, does so from what was taken in before: what was
    listed and never taken in is not out of date by that.
    """
    later = aliased(JobRow)
    own = _weight(JobRow.kind)
    return exists().where(
        later.source == JobRow.source,
        later.subject == JobRow.subject,
        later.created_at > JobRow.created_at,
        later.state.in_(_OVER),
        _weight(later.kind) >= case((own > _OF_ACCESS, _OF_ACCESS), else_=own),
    )


_Subject = tuple[str, str]
"""A source, and what is worked on there."""


def _subject_of(row: Mapping[Any, Any]) -> _Subject:
    return row["source"], row["subject"]


def _under_way(
    connection: Connection, rows: Sequence[Mapping[str, Any]], moment: datetime
) -> dict[_Subject, JobId]:
    """Running jobs that do what `rows` say; they now count for the listing that asked last.

    Where another job waits, the newest word is the last: it takes the place of the waiting one.
    """
    wanted = {_subject_of(row): row for row in rows if row["kind"] in _STATE_OF_A_DOCUMENT}
    if not wanted:
        return {}
    waiting = aliased(JobRow)
    statement = select(
        JobRow.id,
        JobRow.source,
        JobRow.subject,
        JobRow.kind,
        JobRow.payload,
        JobRow.original,
        JobRow.batch,
    ).where(
        RUNNING,
        JobRow.source.in_({source for source, _ in wanted}),
        JobRow.lease_until > moment,
        ~exists().where(
            waiting.source == JobRow.source, waiting.subject == JobRow.subject, PENDING
        ),
    )
    found: dict[_Subject, JobId] = {}
    in_order = statement.order_by(JobRow.source, JobRow.subject)
    for running in connection.execute(in_order).mappings().all():
        row = wanted.get(_subject_of(running))
        if row is None or _change_of(row) != _change_of(running):
            continue
        found[_subject_of(running)] = JobId(running["id"])
        if row["batch"] not in {None, running["batch"]}:
            counted = update(JobRow).where(JobRow.id == running["id"])
            connection.execute(counted.values(batch=row["batch"]))
    return found


def _change_of(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    """What a job is to make true, as JSON has it."""
    return row["kind"], json.loads(json.dumps(row["payload"])), row["original"]


_REPLACED = (
    "kind",
    "uri",
    "payload",
    "original",
    "batch",
    "state",
    "attempts",
    "max_attempts",
    "not_before",
    "error_class",
    "error",
)
"""What a waiting job takes over from the one that replaces it."""


def _weight(kind: Any) -> Any:
    return case(
        (kind == JobKind.UPSERT.value, 3),
        (kind == JobKind.DELETE.value, 3),
        (kind == JobKind.ACCESS.value, _OF_ACCESS),
        (kind == JobKind.REINDEX.value, 1),
        else_=0,
    )


def _lesser(excluded: ColumnElement[int]) -> Any:
    return case((JobRow.priority < excluded, JobRow.priority), else_=excluded)
