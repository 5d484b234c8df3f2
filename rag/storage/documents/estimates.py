"""How much work something would be, and how long it would take, told from the ledger alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from rag.access import TenantId
from rag.storage.database import Database
from rag.storage.documents.contents import SERVING
from rag.storage.documents.records import DocumentState
from rag.storage.jobs.records import JobKind, JobState
from rag.storage.tables import ChunkRow, DocumentRow, JobRow
from rag.types import DocumentId

CHARACTERS_PER_TOKEN = 4
"""The usual rule of thumb for European languages."""
_JOBS_LOOKED_AT = 500
_PER_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What would be read and embedded again."""

    documents: int = 0
    bytes: int = 0
    """Size of the originals."""
    chunks: int = 0
    """Chunks that the generation which serves has of them: others will be about as many."""
    characters: int = 0
    """Of the texts of those chunks."""

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            documents=self.documents + other.documents,
            bytes=self.bytes + other.bytes,
            chunks=self.chunks + other.chunks,
            characters=self.characters + other.characters,
        )

    @property
    def tokens(self) -> int:
        return self.characters // CHARACTERS_PER_TOKEN

    def cost(self, price_per_million_tokens: float) -> float:
        return round(self.tokens * price_per_million_tokens / _PER_MILLION, 4)


async def amount_of(
    database: Database, tenant: TenantId, documents: Collection[DocumentId]
) -> Amount:
    """What `documents` of one tenant are; pass a page of them at a time."""
    ids = list(documents)
    return await _amount(
        database,
        (DocumentRow.tenant == tenant) & DocumentRow.id.in_(ids),
        (ChunkRow.tenant == tenant) & ChunkRow.document.in_(ids),
    )


async def amount_shown(database: Database) -> Amount:
    """What all the documents are that readers of any tenant see."""
    shown = DocumentRow.state == DocumentState.ACTIVE.value
    of_them = ChunkRow.document.in_(select(DocumentRow.id).where(shown))
    return await _amount(database, shown, of_them)


async def _amount(
    database: Database, documents: ColumnElement[bool], chunks: ColumnElement[bool]
) -> Amount:
    counted = select(
        func.count().label("documents"),
        func.coalesce(func.sum(DocumentRow.size), 0).label("bytes"),
    ).where(documents)
    measured = select(
        func.count().label("chunks"),
        func.coalesce(func.sum(func.length(ChunkRow.text)), 0).label("characters"),
    ).where(ChunkRow.generation == SERVING, chunks)
    [of_documents] = await database.rows(counted)
    [of_chunks] = await database.rows(measured)
    return Amount(
        documents=of_documents.documents,
        bytes=int(of_documents.bytes),
        chunks=of_chunks.chunks,
        characters=int(of_chunks.characters),
    )


async def seconds_of(
    database: Database, documents: int, *, kinds: Sequence[JobKind]
) -> float | None:
    """How long jobs for `documents` would take, at the rate of the last jobs of the first of
    `kinds` that any were done of and that embedded something. None where there are none.

    The rate is of the time in which at least one of them ran, so it holds for as many at a time as
    ran then.
    """
    for kind in kinds:
        statement = (
            select(JobRow.started_at, JobRow.finished_at)
            .where(
                JobRow.kind == kind.value,
                JobRow.state == JobState.DONE.value,
                JobRow.outcome.startswith("indexed "),
                JobRow.started_at.is_not(None),
                JobRow.finished_at.is_not(None),
            )
            .order_by(JobRow.finished_at.desc())
            .limit(_JOBS_LOOKED_AT)
        )
        rows = await database.rows(statement)
        if rows:
            busy = _busy_seconds([(row.started_at, row.finished_at) for row in rows])
            return round(busy / len(rows) * documents, 1)
    return None


def _busy_seconds(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """The length of all of `spans` together, where they lie over each other counted once."""
    seconds, until = 0.0, None
    for start, end in sorted(spans):
        begins = start if until is None else max(start, until)
        seconds += max((end - begins).total_seconds(), 0.0)
        until = end if until is None else max(until, end)
    return seconds
