"""Kept answers in the database: the `AnswerStore` of the answer cache."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from rag.access import TenantId
from rag.gateway.answer_cache.entries import KeptAnswer, KeptAnswerId, KeptQuestion
from rag.storage.answers.rows import answer_of, digest_of, values_of
from rag.storage.database import Database
from rag.storage.documents.contents import IS_SHOWN
from rag.storage.documents.records import DocumentState
from rag.storage.moments import now
from rag.storage.parts import in_parts
from rag.storage.tables import (
    AnswerDocumentRow,
    ChunkRow,
    DocumentRow,
    KeptAnswerRow,
    RenditionRow,
    UtcDateTime,
)
from rag.types import ChunkId, DocumentId, VersionId

_THE_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KeptAnswers:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def keep(self, kept: KeptAnswer, *, at_most: int) -> None:
        documents = [
            {"answer": kept.id, "document": document}
            for document in sorted({mark.document for mark in kept.marks})
        ]

        def work(connection: Connection) -> None:
            _make_room(connection, kept.tenant, at_most - 1, self.clock())
            connection.execute(insert(KeptAnswerRow), values_of(kept))
            connection.execute(insert(AnswerDocumentRow), documents)

        await self.database.write(work)

    async def asked(self, partition: str, normalised: str) -> Sequence[KeptAnswer]:
        asked = {"partition": partition, "digest": digest_of(normalised)}
        return [answer_of(row) for row in await self.database.rows(_ASKED, asked)]

    async def get(self, answers: Collection[KeptAnswerId]) -> Sequence[KeptAnswer]:
        if not answers:
            return ()
        these = {"answers": list(answers)}
        return [answer_of(row) for row in await self.database.rows(_THESE, these)]

    async def questions(self, partition: str, *, since: datetime | None) -> Sequence[KeptQuestion]:
        asked = {"partition": partition, "since": _THE_BEGINNING if since is None else since}
        return [
            KeptQuestion(
                KeptAnswerId(row.id), row.question, np.frombuffer(row.vector, "<f4"), row.kept_at
            )
            for row in await self.database.rows(_QUESTIONS, asked)
        ]

    async def touch(self, answer: KeptAnswerId, at: datetime) -> None:
        statement = update(KeptAnswerRow).where(KeptAnswerRow.id == answer).values(used_at=at)
        await self.database.write(lambda connection: connection.execute(statement))

    async def forget(self, answers: Collection[KeptAnswerId]) -> None:
        await self.database.write(lambda connection: _forget(connection, sorted(answers)))

    async def clear(
        self,
        tenant: TenantId | None,
        *,
        document: DocumentId | None = None,
        prompt: str | None = None,
        generation: int | None = None,
    ) -> int:
        query = select(KeptAnswerRow.id)
        if tenant is not None:
            query = query.where(KeptAnswerRow.tenant == tenant)
        if prompt is not None:
            query = query.where(KeptAnswerRow.prompt == prompt)
        if generation is not None:
            query = query.where(KeptAnswerRow.generation == generation)
        if document is not None:
            made_of = select(AnswerDocumentRow.answer).where(AnswerDocumentRow.document == document)
            query = query.where(KeptAnswerRow.id.in_(made_of))

        def work(connection: Connection) -> int:
            found = list(connection.execute(query).scalars())
            _forget(connection, found)
            return len(found)

        return await self.database.write(work)

    async def count(self, tenant: TenantId) -> int:
        query = select(func.count(KeptAnswerRow.id)).where(KeptAnswerRow.tenant == tenant)
        return int((await self.database.rows(query))[0][0])

    async def changed_at(self, tenant: TenantId) -> datetime | None:
        [row] = await self.database.rows(_CHANGED_AT, {"tenant": tenant})
        return row[0]

    async def current_marks(
        self, tenant: TenantId, generation: int, chunks: Collection[ChunkId]
    ) -> Mapping[ChunkId, VersionId]:
        found: dict[ChunkId, VersionId] = {}
        for some in in_parts(sorted(chunks)):
            asked = {"tenant": tenant, "generation": generation, "chunks": list(some)}
            for row in await self.database.rows(_SHOWN, asked):
                found[ChunkId(row.id)] = VersionId(row.version)
        return found


_ANSWERS = select(*KeptAnswerRow.__table__.columns)
_THESE = _ANSWERS.where(KeptAnswerRow.id.in_(bindparam("answers", expanding=True)))
_ASKED = _ANSWERS.where(
    KeptAnswerRow.partition == bindparam("partition"),
    KeptAnswerRow.question_digest == bindparam("digest"),
).order_by(KeptAnswerRow.made_at.desc(), KeptAnswerRow.id)
_QUESTIONS = (
    select(KeptAnswerRow.id, KeptAnswerRow.question, KeptAnswerRow.vector, KeptAnswerRow.kept_at)
    .where(
        KeptAnswerRow.partition == bindparam("partition"),
        KeptAnswerRow.kept_at >= bindparam("since", type_=UtcDateTime),
    )
    .order_by(KeptAnswerRow.kept_at, KeptAnswerRow.id)
)
_CHANGED_AT = select(func.max(DocumentRow.updated_at)).where(
    DocumentRow.tenant == bindparam("tenant")
)
_SHOWN = (
    select(ChunkRow.id, ChunkRow.version)
    .join(DocumentRow, DocumentRow.id == ChunkRow.document)
    .join(RenditionRow, IS_SHOWN)
    .where(
        ChunkRow.tenant == bindparam("tenant"),
        ChunkRow.generation == bindparam("generation"),
        DocumentRow.state == DocumentState.ACTIVE.value,
        ChunkRow.id.in_(bindparam("chunks", expanding=True)),
    )
)


def _make_room(connection: Connection, tenant: TenantId, at_most: int, moment: datetime) -> None:
    of_tenant = KeptAnswerRow.tenant == tenant
    expired = select(KeptAnswerRow.id).where(of_tenant, KeptAnswerRow.expires_at <= moment)
    gone = list(connection.execute(expired).scalars())
    count = connection.execute(select(func.count(KeptAnswerRow.id)).where(of_tenant)).scalar_one()
    excess = count - len(gone) - at_most
    if excess > 0:
        oldest = (
            select(KeptAnswerRow.id)
            .where(of_tenant, KeptAnswerRow.expires_at > moment)
            .order_by(KeptAnswerRow.used_at)
            .limit(excess)
        )
        gone += connection.execute(oldest).scalars()
    _forget(connection, gone)


def _forget(connection: Connection, answers: Sequence[str]) -> None:
    # The rows that name their documents go with them.
    for some in in_parts(answers):
        connection.execute(delete(KeptAnswerRow).where(KeptAnswerRow.id.in_(some)))
