"""What a reader may see of the ledger: passages that are alive, current and admitted now."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from sqlalchemy import Select, Text, and_, select, tuple_, type_coerce
from sqlalchemy.orm import aliased

from rag.access import AccessList, AccessScope, TenantId
from rag.storage.database import Database
from rag.storage.records import DocumentState, access_of_json
from rag.storage.tables import ChunkRow, DocumentRow, MetadataFieldRow, TokenVectorsRow
from rag.types import (
    BUILT_IN_FIELDS,
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    Metadata,
    Ranks,
    RetrievedChunk,
    SourceId,
    Span,
    TokenVectors,
    VersionId,
)

Neighbours = tuple[RetrievedChunk | None, RetrievedChunk | None]


@dataclass(frozen=True, slots=True)
class Passages:
    """The `PassageStore` and the `TokenVectorStore` of retrieval. Errors: `StorageUnavailable`.

    The access list that decides is the ledger's at the moment of the query, whatever the index
    said before.
    """

    database: Database

    async def readable(
        self, chunks: Collection[ChunkId], *, scope: AccessScope
    ) -> Mapping[ChunkId, RetrievedChunk]:
        if not chunks:
            return {}
        found = _current(scope.tenant).where(ChunkRow.id.in_(list(chunks)))
        return {hit.chunk.id: hit for hit in await self._admitted(found, scope)}

    async def neighbours(
        self, hits: Sequence[RetrievedChunk], *, scope: AccessScope
    ) -> Mapping[ChunkId, Neighbours]:
        places = {
            (hit.chunk.document.id, hit.chunk.ordinal + step) for hit in hits for step in (-1, 1)
        }
        if not places:
            return {}
        wanted = tuple_(ChunkRow.document, ChunkRow.ordinal).in_(sorted(places))
        beside = {
            # The version is part of the place: a hit of an old version has no neighbours in a new.
            (hit.chunk.document.id, hit.chunk.version, hit.chunk.ordinal): hit
            for hit in await self._admitted(_current(scope.tenant).where(wanted), scope)
        }

        def at(chunk: Chunk, step: int) -> RetrievedChunk | None:
            return beside.get((chunk.document.id, chunk.version, chunk.ordinal + step))

        return {hit.chunk.id: (at(hit.chunk, -1), at(hit.chunk, 1)) for hit in hits}

    async def fields(self, tenant: TenantId) -> frozenset[str]:
        statement = select(MetadataFieldRow.name).where(MetadataFieldRow.tenant == tenant)
        async with self.database.reading() as connection:
            names = (row.name for row in await connection.execute(statement))
            return frozenset(BUILT_IN_FIELDS).union(names)

    async def token_vectors(
        self, tenant: TenantId, chunks: Collection[ChunkId]
    ) -> Mapping[ChunkId, TokenVectors]:
        """Chunks without token vectors are left out."""
        if not chunks:
            return {}
        statement = (
            select(TokenVectorsRow.chunk, TokenVectorsRow.dimensions, TokenVectorsRow.vectors)
            .join(ChunkRow, ChunkRow.id == TokenVectorsRow.chunk)
            .where(ChunkRow.tenant == tenant, TokenVectorsRow.chunk.in_(list(chunks)))
        )
        async with self.database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return {
            ChunkId(row.chunk): np.frombuffer(row.vectors, np.int8).reshape(-1, row.dimensions)
            for row in rows
        }

    async def _admitted(
        self, statement: Select[*tuple[Any, ...]], scope: AccessScope
    ) -> list[RetrievedChunk]:
        async with self.database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        documents: dict[str, _Described | None] = {}
        hits: list[RetrievedChunk] = []
        for row in rows:
            if row.document not in documents:
                documents[row.document] = _described(row, scope)
            described = documents[row.document]
            if described is not None:
                hits.append(_hit_of(row, described, scope))
        return hits


_newer = aliased(DocumentRow)


def _current(tenant: TenantId) -> Select[*tuple[Any, ...]]:
    """Every chunk of the tenant that is in its document's current version, access unchecked.

    A document that two others say they replace gives each of its chunks twice.
    """
    alive = DocumentState.ACTIVE.value
    return (
        select(
            ChunkRow.id,
            ChunkRow.document,
            ChunkRow.version,
            ChunkRow.ordinal,
            ChunkRow.text,
            # JSON is read below, and only where the asker is admitted.
            type_coerce(ChunkRow.heading_path, Text).label("heading_path"),
            ChunkRow.kind,
            ChunkRow.span_start,
            ChunkRow.span_end,
            ChunkRow.page,
            DocumentRow.source,
            DocumentRow.uri,
            DocumentRow.title,
            type_coerce(DocumentRow.fields, Text).label("fields"),
            type_coerce(DocumentRow.access, Text).label("access"),
            DocumentRow.acl_as_of,
            _newer.id.label("newer"),
            type_coerce(_newer.access, Text).label("newer_access"),
        )
        .join(
            DocumentRow,
            and_(DocumentRow.id == ChunkRow.document, DocumentRow.version == ChunkRow.version),
        )
        .outerjoin(
            _newer,
            and_(
                _newer.supersedes == DocumentRow.id,
                _newer.tenant == DocumentRow.tenant,
                _newer.state == alive,
            ),
        )
        .where(DocumentRow.tenant == tenant, DocumentRow.state == alive)
    )


@dataclass(frozen=True, slots=True)
class _Described:
    """What all rows of one document share."""

    ref: DocumentRef
    metadata: Metadata


def _described(row: Any, scope: AccessScope) -> _Described | None:
    if not scope.admits(scope.tenant, access_of(row.access)):
        return None
    ref = DocumentRef(
        DocumentId(row.document), scope.tenant, SourceId(row.source), row.uri, row.title
    )
    return _Described(ref, MappingProxyType(cast("dict[str, Any]", json.loads(row.fields))))


def _hit_of(row: Any, described: _Described, scope: AccessScope) -> RetrievedChunk:
    newer: str | None = row.newer
    if newer is not None and not scope.admits(scope.tenant, access_of(row.newer_access)):
        newer = None
    chunk = Chunk(
        id=ChunkId(row.id),
        document=described.ref,
        version=VersionId(row.version),
        ordinal=row.ordinal,
        text=row.text,
        heading_path=_headings(row.heading_path),
        kind=row.kind,
        span=Span(row.span_start, row.span_end),
        page=row.page,
    )
    return RetrievedChunk(
        chunk=chunk,
        score=0.0,
        ranks=Ranks(),
        metadata=described.metadata,
        acl_as_of=row.acl_as_of,
        superseded_by=None if newer is None else DocumentId(newer),
    )


@lru_cache(maxsize=4096)
def access_of(text: str) -> AccessList:
    """Folders share their access list, so that few texts are read often."""
    return access_of_json(json.loads(text))


@lru_cache(maxsize=4096)
def _headings(text: str) -> tuple[str, ...]:
    return tuple(cast("Iterable[str]", json.loads(text)))
