"""What a reader may see of the ledger: passages that are alive, current and admitted now."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from sqlalchemy import Select, Text, and_, bindparam, select, type_coerce
from sqlalchemy.orm import aliased

from rag.access import AccessList, AccessScope, TenantId
from rag.storage.database import Database
from rag.storage.documents.admission import FRESHNESS, AgeLimit, stored_access
from rag.storage.documents.contents import CHUNK_COLUMNS, IS_SHOWN, chunk_of
from rag.storage.documents.records import DocumentState
from rag.storage.generations.records import FIRST, GenerationId
from rag.storage.moments import now
from rag.storage.records import access_of_json
from rag.storage.tables import (
    ChunkRow,
    DocumentRow,
    RenditionRow,
    SourceRow,
    TokenVectorsRow,
)
from rag.types import (
    ChunkId,
    DocumentId,
    DocumentRef,
    Metadata,
    Ranks,
    RetrievedChunk,
    SourceId,
    TokenVectors,
)


@dataclass(frozen=True, slots=True)
class Passages:
    """The `PassageStore` and the `TokenVectorStore` of retrieval. Errors: `StorageUnavailable`.

    The access list that decides is the ledger's at the moment of the query, whatever the index
    said before.
    """

    database: Database
    age_limit: AgeLimit = field(default_factory=AgeLimit)
    clock: Callable[[], datetime] = now
    generation: GenerationId = FIRST
    """The generation whose chunks these are: those of its index, and no others."""

    async def readable(
        self, chunks: Collection[ChunkId], *, scope: AccessScope
    ) -> Mapping[ChunkId, RetrievedChunk]:
        if not chunks:
            return {}
        found = await self._admitted(_CHUNKS, scope, chunks=list(chunks))
        return {hit.chunk.id: hit for hit in found}

    async def token_vectors(
        self, tenant: TenantId, chunks: Collection[ChunkId]
    ) -> Mapping[ChunkId, TokenVectors]:
        """Chunks without token vectors are left out."""
        if not chunks:
            return {}
        asked = {"tenant": tenant, "generation": self.generation, "chunks": list(chunks)}
        rows = await self.database.rows(_TOKENS, asked)
        return {
            ChunkId(row.chunk): np.frombuffer(row.vectors, np.int8).reshape(-1, row.dimensions)
            for row in rows
        }

    async def _admitted(
        self, query: Select[*tuple[Any, ...]], scope: AccessScope, **parameters: Any
    ) -> list[RetrievedChunk]:
        asked = {"tenant": scope.tenant, "generation": self.generation}
        rows = await self.database.rows(query, asked | parameters)
        moment = self.clock()
        documents: dict[str, _Described | None] = {}
        hits: list[RetrievedChunk] = []
        for row in rows:
            if row.document not in documents:
                documents[row.document] = self._described(row, scope, moment)
            described = documents[row.document]
            if described is not None:
                hits.append(_hit_of(row, described))
        successors = {row.newer for row in rows if row.newer is not None}
        return await self._superseded(hits, successors, scope, moment) if successors else hits

    def _described(self, row: Any, scope: AccessScope, moment: datetime) -> "_Described | None":
        stored = stored_access(row, access_of(row.access), self.age_limit)
        if not stored.admits(scope, at=moment):
            return None
        ref = DocumentRef(
            DocumentId(row.document), scope.tenant, SourceId(row.source), row.uri, row.title
        )
        metadata = MappingProxyType(cast("dict[str, Any]", json.loads(row.fields)))
        return _Described(ref, metadata, stored.confirmed_at)

    async def _superseded(
        self, hits: list[RetrievedChunk], successors: set[str], scope: AccessScope, moment: datetime
    ) -> list[RetrievedChunk]:
        """`hits`, each with the first of those that replace its document and may be read too."""
        newer: dict[str, DocumentId] = {}
        for row in await self.database.rows(_SUCCESSORS, {"documents": sorted(successors)}):
            stored = stored_access(row, access_of(row.access), self.age_limit)
            if stored.admits(scope, at=moment):
                newer.setdefault(row.supersedes, DocumentId(row.id))
        return [replace(hit, superseded_by=newer.get(hit.chunk.document.id)) for hit in hits]


_newer = aliased(DocumentRow)
_ALIVE = DocumentState.ACTIVE.value
_CURRENT = (
    select(
        *CHUNK_COLUMNS,
        ChunkRow.document,
        DocumentRow.tenant,
        DocumentRow.source,
        DocumentRow.uri,
        DocumentRow.title,
        type_coerce(DocumentRow.fields, Text).label("fields"),
        type_coerce(DocumentRow.access, Text).label("access"),
        *FRESHNESS,
        _newer.id.label("newer"),
    )
    .join(DocumentRow, DocumentRow.id == ChunkRow.document)
    .join(RenditionRow, IS_SHOWN)
    .join(SourceRow, SourceRow.id == DocumentRow.source)
    .outerjoin(_newer, and_(_newer.supersedes == DocumentRow.id, _newer.state == _ALIVE))
    .where(
        ChunkRow.generation == bindparam("generation"),
        ChunkRow.tenant == bindparam("tenant"),
        DocumentRow.state == _ALIVE,
    )
)
"""Every chunk of the tenant that the generation has of its document's current version, access
unchecked.

A document that two others say they replace gives each of its chunks twice. No condition names
`documents.tenant`, which has an index: a planner would walk all the tenant's documents by it.
"""
_CHUNKS = _CURRENT.where(ChunkRow.id.in_(bindparam("chunks", expanding=True)))
_SUCCESSORS = (
    select(
        DocumentRow.id,
        DocumentRow.supersedes,
        DocumentRow.tenant,
        type_coerce(DocumentRow.access, Text).label("access"),
        *FRESHNESS,
    )
    .join(SourceRow, SourceRow.id == DocumentRow.source)
    .where(DocumentRow.id.in_(bindparam("documents", expanding=True)), DocumentRow.state == _ALIVE)
    .order_by(DocumentRow.id)
)
_TOKENS = (
    select(TokenVectorsRow.chunk, TokenVectorsRow.dimensions, TokenVectorsRow.vectors)
    .join(
        ChunkRow,
        and_(
            ChunkRow.generation == TokenVectorsRow.generation,
            ChunkRow.id == TokenVectorsRow.chunk,
        ),
    )
    .where(
        TokenVectorsRow.generation == bindparam("generation"),
        ChunkRow.tenant == bindparam("tenant"),
        TokenVectorsRow.chunk.in_(bindparam("chunks", expanding=True)),
    )
)


@dataclass(frozen=True, slots=True)
class _Described:
    """What all rows of one document share."""

    ref: DocumentRef
    metadata: Metadata
    acl_as_of: datetime


def _hit_of(row: Any, described: _Described) -> RetrievedChunk:
    return RetrievedChunk(
        chunk=chunk_of(row, described.ref),
        score=0.0,
        ranks=Ranks(),
        metadata=described.metadata,
        acl_as_of=described.acl_as_of,
    )


@lru_cache(maxsize=4096)
def access_of(text: str) -> AccessList:
    """Folders share their access list, so that few texts are read often."""
    return access_of_json(json.loads(text))
