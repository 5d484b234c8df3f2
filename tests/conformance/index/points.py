"""What the conformance tests of an `Index` put in, and how they search."""

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from rag.access import (
    EVERYONE,
    AccessList,
    AccessScope,
    PrincipalId,
    TenantId,
    readable_by,
)
from rag.protocols import Index, IndexPoint
from rag.types import (
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    Filters,
    IndexHit,
    Metadata,
    SourceId,
    Span,
    Vector,
    VersionId,
)

IN_ONE_LOOP = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
]
"""Every test module here is marked so: its tests share one embedded index."""

DIMENSIONS = 8
PUBLIC = readable_by([EVERYONE])
quickly = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_tenants = (TenantId(f"tenant-{number}") for number in itertools.count())


def next_tenant() -> TenantId:
    """One that no other test has."""
    return next(_tenants)


def direction(*parts: float) -> Vector:
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[: len(parts)] = parts
    return (vector / np.linalg.norm(vector)).astype(np.float32)


NORTH = direction(1)


def point(
    tenant: TenantId,
    name: str,
    *,
    text: str = "gasket",
    access: AccessList = PUBLIC,
    metadata: Metadata | None = None,
    vector: Vector = NORTH,
    document: str | None = None,
) -> IndexPoint:
    ref = DocumentRef(
        DocumentId(document or f"of {name}"), tenant, SourceId("files"), f"file:{name}", "Title"
    )
    chunk = Chunk(
        id=ChunkId(name),
        document=ref,
        version=VersionId("1"),
        ordinal=0,
        text=text,
        heading_path=(),
        kind="prose",
        span=Span(0, len(text)),
    )
    return IndexPoint(chunk, access, metadata or {}, vector)


def scope(tenant: TenantId, *identities: str) -> AccessScope:
    return AccessScope(tenant, frozenset(map(PrincipalId, identities)))


def anyone(tenant: TenantId) -> AccessScope:
    return scope(tenant, EVERYONE, "user:1")


async def dense(
    index: Index, scope: AccessScope, *, filters: Filters | None = None, limit: int = 100
) -> list[IndexHit]:
    return await index.search_dense(NORTH, scope=scope, filters=filters or {}, limit=limit)


async def sparse(
    index: Index,
    scope: AccessScope,
    *,
    text: str = "gasket",
    filters: Filters | None = None,
    limit: int = 100,
) -> list[IndexHit]:
    return await index.search_sparse(text, scope=scope, filters=filters or {}, limit=limit)


async def both(index: Index, scope: AccessScope, *, filters: Filters | None = None) -> set[ChunkId]:
    """What each search finds; they must agree, for all points of a test share a term."""
    by_vector = {hit.chunk for hit in await dense(index, scope, filters=filters)}
    by_term = {hit.chunk for hit in await sparse(index, scope, filters=filters)}
    assert by_vector == by_term
    return by_vector


def names(hits: Iterable[IndexHit]) -> list[str]:
    return [str(hit.chunk) for hit in hits]
