"""Tenants, and the connectors registered for them."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from sqlalchemy import bindparam, func, insert, or_, select, update

from rag.access import TenantId
from rag.errors import InvalidRequest, NotFound
from rag.storage.database import Database, insert_into
from rag.storage.documents.confirmations import confirm_access
from rag.storage.jobs.records import JobState
from rag.storage.moments import now
from rag.storage.sources.records import Progress, Source, SourceState, Tally
from rag.storage.tables import (
    PENDING,
    RUNNING,
    DocumentRow,
    JobRow,
    SourceRow,
    TenantRow,
    UtcDateTime,
)
from rag.types import SourceId

MAX_PROBLEMS = 100
"""How many of a sync's problems are kept; the first ones tell what is wrong."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def add_tenant(self, tenant: TenantId, *, name: str = "") -> None:
        """Adding a tenant that is there is no error."""
        row = {"id": tenant, "name": name or tenant, "created_at": self.clock()}
        async with self.database.writing() as connection:
            statement = insert_into(self.database, TenantRow).on_conflict_do_nothing()
            await connection.execute(statement, row)

    async def tenants(self) -> list[TenantId]:
        async with self.database.reading() as connection:
            rows = await connection.execute(select(TenantRow.id).order_by(TenantRow.id))
            return [TenantId(row.id) for row in rows]

    async def register(
        self,
        tenant: TenantId,
        *,
        kind: str,
        name: str,
        settings: Mapping[str, Any],
        source: SourceId | None = None,
    ) -> Source:
        """A new connector; or, where `source` is that of one the tenant has, its new settings.

        Raises `InvalidRequest` when `source` is another tenant's: ids are no secret, and no proof.
        """
        registered = Source(
            id=source or SourceId(uuid.uuid4().hex),
            tenant=tenant,
            kind=kind,
            name=name,
            settings=settings,
            state=SourceState.ENABLED,
            created_at=self.clock(),
        )
        async with self.database.writing() as connection:
            known = (await connection.execute(_BY_ID, {"this": registered.id})).one_or_none()
            if known is None:
                await connection.execute(insert(SourceRow), _row_of(registered))
            elif known.tenant != tenant:
                raise InvalidRequest(f"the source id {registered.id} is taken")
            else:
                change: dict[str, Any] = {"kind": kind, "name": name, "settings": dict(settings)}
                if dict(settings) != known.settings:
                    # What changed since a cursor is not what other settings would list.
                    change["cursors"] = []
                statement = update(SourceRow).where(SourceRow.id == registered.id)
                await connection.execute(statement.values(**change))
        return await self.get(tenant, registered.id)

    async def get(self, tenant: TenantId, source: SourceId) -> Source:
        """Raises `NotFound`."""
        rows = await self.database.rows(_BY_ID, {"this": source})
        if not rows or rows[0].tenant != tenant:
            raise NotFound("there is no such source")
        return _source_of(rows[0])

    async def settings_of(self, tenant: TenantId, source: SourceId) -> Mapping[str, Any]:
        """What every ingest asks for. Raises `NotFound`."""
        rows = await self.database.rows(_SETTINGS, {"source": source, "tenant": tenant})
        if not rows:
            raise NotFound("there is no such source")
        return rows[0].settings

    async def listed(self, tenant: TenantId | None = None) -> list[Source]:
        """Every source of `tenant`, or of all tenants, by name."""
        statement = select(*_COLUMNS).order_by(SourceRow.name, SourceRow.id)
        if tenant is not None:
            statement = statement.where(SourceRow.tenant == tenant)
        async with self.database.reading() as connection:
            return [_source_of(row) for row in await connection.execute(statement)]

    async def set_state(self, tenant: TenantId, source: SourceId, state: SourceState) -> None:
        """While a source is paused, none of its jobs is begun."""
        await self._update(tenant, source, state=state.value)

    async def set_share(
        self, tenant: TenantId, source: SourceId, *, weight: float, max_running: int | None
    ) -> None:
        """Its share of its tenant's jobs, and how many of its own may run at a time."""
        await self._update(tenant, source, weight=weight, max_running=max_running)

    async def sync_began(self, tenant: TenantId, source: SourceId, *, batch: str) -> None:
        await self._update(tenant, source, batch=batch, listing_since=self.clock())

    async def sync_ended(
        self,
        tenant: TenantId,
        source: SourceId,
        *,
        error: str | None,
        problems: Sequence[tuple[str, str]] = (),
        tally: Tally | None = None,
        complete: bool = False,
    ) -> None:
        """What came of listing the source; its jobs may still run. A `complete` listing saw all of
        it, and so confirms the access of what it saw unchanged."""
        values: dict[str, Any] = {
            "last_sync_at": self.clock(),
            "last_sync_error": error,
            "problems": [{"uri": uri, "reason": reason} for uri, reason in problems[:MAX_PROBLEMS]],
        }
        if tally is not None:
            values["tally"] = asdict(tally)
        await self._update(tenant, source, **values)
        if complete and len(problems) < MAX_PROBLEMS:  # else some problems may be unknown
            unread = [uri for uri, _ in problems]
            await self.database.write(
                lambda connection: confirm_access(connection, tenant, source, problems=unread)
            )

    async def set_access_max_age(
        self, tenant: TenantId, source: SourceId, max_age: timedelta | None
    ) -> None:
        """After how long without a word from the source its documents are hidden; zero: never,
        None: as the platform says."""
        seconds = None if max_age is None else ceil(max_age.total_seconds())
        await self._update(tenant, source, access_max_age_s=seconds)

    async def progress(self, tenant: TenantId, source: SourceId) -> Progress:
        """How far the jobs of the last sync are."""
        statement = (
            select(
                JobRow.state,
                func.count(),
                func.min(JobRow.started_at, type_=UtcDateTime),
                func.max(JobRow.finished_at, type_=UtcDateTime),
            )
            .join(SourceRow, (SourceRow.id == JobRow.source) & (SourceRow.batch == JobRow.batch))
            .where(SourceRow.id == source, SourceRow.tenant == tenant)
            .group_by(JobRow.state)
        )
        async with self.database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        counts = {JobState(row[0]): row[1] for row in rows}
        progress = Progress(
            listed=sum(counts.values()),
            done=counts.get(JobState.DONE, 0),
            failed=counts.get(JobState.FAILED, 0) + counts.get(JobState.DEAD, 0),
        )
        began = list(filter(None, (row[2] for row in rows)))
        ends = list(filter(None, (row[3] for row in rows)))
        if not began or not ends:
            return progress
        until = self.clock() if progress.pending else max(ends)
        seconds = (until - min(began)).total_seconds()
        ended = progress.done + progress.failed
        return replace(progress, per_second=ended / seconds if seconds > 0 else None)

    async def with_job(self, sources: Collection[SourceId], *, subject: str) -> set[SourceId]:
        """Those of `sources` of which a job for `subject` waits or runs."""
        statement = select(JobRow.source).where(
            JobRow.source.in_(sources), JobRow.subject == subject, or_(PENDING, RUNNING)
        )
        return {SourceId(row.source) for row in await self.database.rows(statement)}

    async def document_counts(self, tenant: TenantId, source: SourceId) -> dict[str, int]:
        """Documents by state."""
        statement = (
            select(DocumentRow.state, func.count())
            .where(DocumentRow.source == source, DocumentRow.tenant == tenant)
            .group_by(DocumentRow.state)
        )
        async with self.database.reading() as connection:
            return {row[0]: row[1] for row in await connection.execute(statement)}

    async def _update(self, tenant: TenantId, source: SourceId, **values: Any) -> None:
        statement = (
            update(SourceRow)
            .where(SourceRow.id == source, SourceRow.tenant == tenant)
            .values(**values)
        )
        async with self.database.writing() as connection:
            if (await connection.execute(statement)).rowcount == 0:
                raise NotFound("there is no such source")


_SETTINGS = select(SourceRow.settings).where(
    SourceRow.id == bindparam("source"), SourceRow.tenant == bindparam("tenant")
)
_COLUMNS = (
    SourceRow.id,
    SourceRow.tenant,
    SourceRow.kind,
    SourceRow.name,
    SourceRow.settings,
    SourceRow.state,
    SourceRow.created_at,
    SourceRow.last_sync_at,
    SourceRow.last_sync_error,
    SourceRow.problems,
    SourceRow.tally,
    SourceRow.held_back,
    SourceRow.reconciled_at,
    SourceRow.listed_at,
    SourceRow.access_max_age_s,
    SourceRow.weight,
    SourceRow.max_running,
)


_BY_ID = select(*_COLUMNS).where(SourceRow.id == bindparam("this"))


def _row_of(source: Source) -> dict[str, Any]:
    return {
        "id": source.id,
        "tenant": source.tenant,
        "kind": source.kind,
        "name": source.name,
        "settings": dict(source.settings),
        "state": source.state.value,
        "created_at": source.created_at,
        "problems": [],
    }


def _source_of(row: Any) -> Source:
    return Source(
        id=SourceId(row.id),
        tenant=TenantId(row.tenant),
        kind=row.kind,
        name=row.name,
        settings=row.settings,
        state=SourceState(row.state),
        created_at=row.created_at,
        last_sync_at=row.last_sync_at,
        last_sync_error=row.last_sync_error,
        problems=tuple((each["uri"], each["reason"]) for each in row.problems),
        tally=Tally(**row.tally) if row.tally else None,
        held_back=row.held_back,
        reconciled_at=row.reconciled_at,
        listed_at=row.listed_at,
        access_max_age=(
            None if row.access_max_age_s is None else timedelta(seconds=row.access_max_age_s)
        ),
        weight=row.weight,
        max_running=row.max_running,
    )
