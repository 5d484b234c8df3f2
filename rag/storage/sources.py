"""Tenants, and the connectors registered for them."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from rag.access import TenantId
from rag.errors import InvalidRequest, NotFound
from rag.storage.database import Database, insert_into
from rag.storage.records import JobState, Progress, Source, SourceState
from rag.storage.tables import DocumentRow, JobRow, SourceRow, TenantRow
from rag.types import SourceId

MAX_PROBLEMS = 100
"""How many of a sync's problems are kept; the first ones tell what is wrong."""


def now() -> datetime:
    return datetime.now(UTC)


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
            known = (await connection.execute(_by_id(registered.id))).one_or_none()
            if known is None:
                await connection.execute(insert(SourceRow), _row_of(registered))
            elif known.tenant != tenant:
                raise InvalidRequest(f"the source id {registered.id} is taken")
            else:
                change = {"kind": kind, "name": name, "settings": dict(settings)}
                statement = update(SourceRow).where(SourceRow.id == registered.id)
                await connection.execute(statement.values(**change))
        return await self.get(tenant, registered.id)

    async def get(self, tenant: TenantId, source: SourceId) -> Source:
        """Raises `NotFound`."""
        rows = await self.database.rows(_by_id(source))
        if not rows or rows[0].tenant != tenant:
            raise NotFound("there is no such source")
        return _source_of(rows[0])

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

    async def sync_began(self, tenant: TenantId, source: SourceId, *, batch: str) -> None:
        await self._update(tenant, source, batch=batch)

    async def sync_ended(
        self,
        tenant: TenantId,
        source: SourceId,
        *,
        error: str | None,
        problems: Sequence[tuple[str, str]] = (),
    ) -> None:
        """What came of listing the source; its jobs may still run."""
        kept = [{"uri": uri, "reason": reason} for uri, reason in problems[:MAX_PROBLEMS]]
        await self._update(
            tenant, source, last_sync_at=self.clock(), last_sync_error=error, problems=kept
        )

    async def progress(self, tenant: TenantId, source: SourceId) -> Progress:
        """How far the jobs of the last sync are."""
        statement = (
            select(JobRow.state, func.count())
            .join(SourceRow, (SourceRow.id == JobRow.source) & (SourceRow.batch == JobRow.batch))
            .where(SourceRow.id == source, SourceRow.tenant == tenant)
            .group_by(JobRow.state)
        )
        async with self.database.reading() as connection:
            counts = {JobState(row[0]): row[1] for row in await connection.execute(statement)}
        return Progress(
            listed=sum(counts.values()),
            done=counts.get(JobState.DONE, 0),
            failed=counts.get(JobState.FAILED, 0) + counts.get(JobState.DEAD, 0),
        )

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
)


def _by_id(source: SourceId) -> Select[*tuple[Any, ...]]:
    return select(*_COLUMNS).where(SourceRow.id == source)


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
    )
