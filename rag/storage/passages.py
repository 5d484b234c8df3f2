"""What a reader may see of the ledger: passages that are alive, current and admitted now."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from sqlalchemy import Select, Text, and_, bindparam, select, type_coerce
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
        found = await self._admitted(_CHUNKS, scope, chunks=list(chunks))
        return {hit.chunk.id: hit for hit in found}

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
        rows = await self.database.rows(_TOKENS, {"tenant": tenant, "chunks": list(chunks)})
        return {
            ChunkId(row.chunk): np.frombuffer(row.vectors, np.int8).reshape(-1, row.dimensions)
            for row in rows
        }

    async def _admitted(
        self, query: Select[*tuple[Any, ...]], scope: AccessScope, **parameters: Any
    ) -> list[RetrievedChunk]:
        rows = await self.database.rows(query, {"tenant": scope.tenant} | parameters)
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


_ALIVE = DocumentState.ACTIVE.value
_CURRENT = (
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
        DocumentRow.tenant,
        DocumentRow.source,
        DocumentRow.uri,
        DocumentRow.title,
        type_coerce(DocumentRow.fields, Text).label("fields"),
        type_coerce(DocumentRow.access, Text).label("access"),
        DocumentRow.acl_as_of,
        _newer.id.label("newer"),
        _newer.tenant.label("newer_tenant"),
        type_coerce(_newer.access, Text).label("newer_access"),
    )
    .join(
        DocumentRow,
        and_(DocumentRow.id == ChunkRow.document, DocumentRow.version == ChunkRow.version),
    )
    .outerjoin(_newer, and_(_newer.supersedes == DocumentRow.id, _newer.state == _ALIVE))
    .where(ChunkRow.tenant == bindparam("tenant"), DocumentRow.state == _ALIVE)
)
"""Every chunk of the tenant that is in its document's current version, access unchecked.

A document that two others say they replace gives each of its chunks twice. No condition names
`documents.tenant`, which has an index: a planner would walk all the tenant's documents by it.
"""
_CHUNKS = _CURRENT.where(ChunkRow.id.in_(bindparam("chunks", expanding=True)))
_TOKENS = (
    select(TokenVectorsRow.chunk, TokenVectorsRow.dimensions, TokenVectorsRow.vectors)
    .join(ChunkRow, ChunkRow.id == TokenVectorsRow.chunk)
    .where(
        ChunkRow.tenant == bindparam("tenant"),
        TokenVectorsRow.chunk.in_(bindparam("chunks", expanding=True)),
    )
)


@dataclass(frozen=True, slots=True)
class _Described:
    """What all rows of one document share."""

    ref: DocumentRef
    metadata: Metadata


def _described(row: Any, scope: AccessScope) -> _Described | None:
    if not scope.admits(TenantId(row.tenant), access_of(row.access)):
        return None
    ref = DocumentRef(
        DocumentId(row.document), scope.tenant, SourceId(row.source), row.uri, row.title
    )
    return _Described(ref, MappingProxyType(cast("dict[str, Any]", json.loads(row.fields))))


def _hit_of(row: Any, described: _Described, scope: AccessScope) -> RetrievedChunk:
    newer: str | None = row.newer
    if newer is not None and not _admits_newer(row, scope):
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


def _admits_newer(row: Any, scope: AccessScope) -> bool:
    return scope.admits(TenantId(row.newer_tenant), access_of(row.newer_access))


@lru_cache(maxsize=4096)
def access_of(text: str) -> AccessList:
    """Folders share their access list, so that few texts are read often."""
    return access_of_json(json.loads(text))


@lru_cache(maxsize=4096)
def _headings(text: str) -> tuple[str, ...]:
    return tuple(cast("Iterable[str]", json.loads(text)))
