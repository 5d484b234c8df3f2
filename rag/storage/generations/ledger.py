"""The ledger of generations: which one serves readers, which are built beside it, which are kept.

At any moment one serves: a switch is one transaction, and so is going back.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, select, update

from rag.access import TenantId
from rag.errors import Conflict, NotFound
from rag.storage.database import Database
from rag.storage.documents.records import DocumentState
from rag.storage.documents.rows import OF_DOCUMENT
from rag.storage.generations.records import (
    FIRST,
    Generation,
    GenerationId,
    GenerationState,
    Lacking,
    Recipe,
    Standing,
    json_of_recipe,
    recipe_of_json,
)
from rag.storage.jobs.records import JobKind, JobState
from rag.storage.moments import now
from rag.storage.tables import ChunkRow, DocumentRow, GenerationRow, JobRow, RenditionRow
from rag.types import DocumentId, SourceId

_BUILDING, _SERVING, _KEPT, _DROPPED = (state.value for state in GenerationState)
_IS_SHOWN = DocumentRow.state == DocumentState.ACTIVE.value
_ERASED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Generations:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def listed(self) -> list[Generation]:
        """All that there ever were, in the order in which they were made."""
        rows = await self.database.rows(select(GenerationRow).order_by(GenerationRow.id))
        return [_generation_of(row) for row in rows]

    async def live(self) -> list[Generation]:
        """Those that are written: the one that serves is the first."""
        found = [each for each in await self.listed() if each.state is not GenerationState.DROPPED]
        return sorted(found, key=lambda each: each.state is not GenerationState.SERVING)

    async def get(self, generation: GenerationId) -> Generation:
        """Raises `NotFound`."""
        for each in await self.listed():
            if each.id == generation:
                return each
        raise NotFound("there is no such generation")

    async def adopt(self, recipe: Recipe) -> None:
        """The first generation is made with `recipe`, where nobody has said yet with what."""
        statement = (
            update(GenerationRow)
            .where(GenerationRow.id == FIRST, GenerationRow.recipe.is_(None))
            .values(recipe=json_of_recipe(recipe))
        )
        await self.database.write(lambda connection: connection.execute(statement))

    async def begin(self, recipe: Recipe) -> Generation:
        """A new one, to be built. Raises `Conflict` while another is."""

        def work(connection: Connection) -> int:
            lock_generations(connection)
            rows = connection.execute(select(GenerationRow.id, GenerationRow.state)).all()
            building = [row.id for row in rows if row.state == _BUILDING]
            if building:
                raise Conflict(
                    f"generation {building[0]} is being built: switch to it or drop it first"
                )
            new = max(row.id for row in rows) + 1
            values = {
                "id": new,
                "state": _BUILDING,
                "recipe": json_of_recipe(recipe),
                "created_at": self.clock(),
                "serving_since": None,
                "report": None,
            }
            connection.execute(insert(GenerationRow), values)
            return new

        return await self.get(GenerationId(await self.database.write(work)))

    async def note_report(self, generation: GenerationId, report: Mapping[str, Any]) -> None:
        statement = (
            update(GenerationRow).where(GenerationRow.id == generation).values(report=dict(report))
        )
        await self.database.write(lambda connection: connection.execute(statement))

    async def switch(self, to: GenerationId) -> None:
        """Readers search `to` from now on; the one that they searched is kept.

        Raises `Conflict` where it was dropped, and `NotFound`. Whether `to` holds what it
        should is the caller's to know.
        """
        moment = self.clock()

        def work(connection: Connection) -> None:
            state = _locked_state(connection, to)
            if state == _DROPPED:
                raise Conflict(f"generation {to} was dropped")
            if state == _SERVING:
                return
            _put(connection, GenerationRow.state == _SERVING, state=_KEPT)
            _put(connection, GenerationRow.id == to, state=_SERVING, serving_since=moment)

        await self.database.write(work)

    async def drop(self, generation: GenerationId) -> None:
        """Write it no more. Raises `Conflict` where it serves, and `NotFound`."""

        def work(connection: Connection) -> None:
            if _locked_state(connection, generation) == _SERVING:
                raise Conflict(f"generation {generation} serves: switch to another first")
            _put(connection, GenerationRow.id == generation, state=_DROPPED)

        await self.database.write(work)

    async def erase(self, generation: GenerationId) -> int:
        """Remove what the ledger holds of a dropped generation, in short transactions; how many
        chunks that were."""
        erased = 0
        some = select(ChunkRow.id).where(ChunkRow.generation == generation).limit(_ERASED_AT_ONCE)
        chunks = delete(ChunkRow).where(
            ChunkRow.generation == generation, ChunkRow.id.in_(some.scalar_subquery())
        )
        while gone := await self.database.write(
            lambda connection: connection.execute(chunks).rowcount
        ):
            erased += gone
        renditions = delete(RenditionRow).where(RenditionRow.generation == generation)
        await self.database.write(lambda connection: connection.execute(renditions))
        return erased

    async def standing(self, generation: GenerationId) -> Standing:
        counts = (
            ("documents", select(func.count()).select_from(DocumentRow).where(_IS_SHOWN)),
            (
                "lacking",
                select(func.count()).select_from(DocumentRow).where(_IS_SHOWN, ~_holds(generation)),
            ),
            (
                "failed",
                select(func.count())
                .select_from(DocumentRow)
                .where(_IS_SHOWN, ~_holds(generation), _has_failed([generation])),
            ),
            (
                "chunks",
                select(func.count()).select_from(ChunkRow).where(ChunkRow.generation == generation),
            ),
        )
        statement = select(*(count.scalar_subquery().label(name) for name, count in counts))
        [row] = await self.database.rows(statement)
        return Standing(
            documents=row.documents, lacking=row.lacking, failed=row.failed, chunks=row.chunks
        )

    async def sample(self, generation: GenerationId) -> tuple[TenantId, DocumentId] | None:
        """A document of which the generation's index holds chunks, if all is well; None where there
        is none."""
        statement = (
            select(DocumentRow.tenant, DocumentRow.id)
            .join(ChunkRow, ChunkRow.document == DocumentRow.id)
            .where(
                ChunkRow.generation == generation,
                _IS_SHOWN,
                DocumentRow.settled,
                _holds(generation),
            )
            .limit(1)
        )
        rows = await self.database.rows(statement)
        return (TenantId(rows[0].tenant), DocumentId(rows[0].id)) if rows else None

    async def lacking(
        self,
        generations: Collection[GenerationId],
        *,
        limit: int,
        after: DocumentId | None = None,
    ) -> list[Lacking]:
        """Documents of whose current content one of `generations` holds nothing, and that no job
        is about to bring there nor has failed to, in the order of ids from the one after `after`."""
        anywhere = ~and_(*(_holds(generation) for generation in generations))
        statement = (
            select(DocumentRow.id, DocumentRow.tenant, DocumentRow.source, DocumentRow.uri)
            .where(_IS_SHOWN, anywhere, ~_has_job(), ~_has_failed(generations))
            .order_by(DocumentRow.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(DocumentRow.id > after)
        return [
            Lacking(TenantId(row.tenant), SourceId(row.source), DocumentId(row.id), row.uri)
            for row in await self.database.rows(statement)
        ]


def lock_generations(connection: Connection) -> None:
    """Nobody else decides about generations until the transaction ends. SQLite has one writer."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE generations IN SHARE ROW EXCLUSIVE MODE")


def _locked_state(connection: Connection, generation: GenerationId) -> str:
    lock_generations(connection)
    statement = select(GenerationRow.state).where(GenerationRow.id == generation)
    state = connection.execute(statement).scalar_one_or_none()
    if state is None:
        raise NotFound("there is no such generation")
    return state


def _put(connection: Connection, which: ColumnElement[bool], **values: Any) -> None:
    connection.execute(update(GenerationRow).where(which).values(**values))


def _holds(generation: GenerationId) -> ColumnElement[bool]:
    return exists().where(
        RenditionRow.document == DocumentRow.id,
        RenditionRow.generation == generation,
        RenditionRow.content == DocumentRow.version,
    )


def _has_job() -> ColumnElement[bool]:
    live = (JobState.QUEUED.value, JobState.WAITING.value, JobState.RUNNING.value)
    return exists().where(OF_DOCUMENT, JobRow.state.in_(live))


def _has_failed(generations: Collection[GenerationId]) -> ColumnElement[bool]:
    """Whether a job failed to bring it there since the newest of `generations` was begun."""
    begun = select(func.max(GenerationRow.created_at)).where(GenerationRow.id.in_(generations))
    return exists().where(
        OF_DOCUMENT,
        JobRow.kind == JobKind.RENDER.value,
        JobRow.state.in_((JobState.FAILED.value, JobState.DEAD.value)),
        JobRow.created_at >= begun.scalar_subquery(),
    )


def _generation_of(row: Any) -> Generation:
    return Generation(
        id=GenerationId(row.id),
        state=GenerationState(row.state),
        recipe=recipe_of_json(row.recipe),
        created_at=row.created_at,
        serving_since=row.serving_since,
        report=row.report,
    )
