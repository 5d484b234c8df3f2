"""The index beyond one machine: a Qdrant server or cluster, 1.19 or later.

The collection has the same schema as the embedded one. Errors of the client stop here.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from rag.access import AccessList, AccessScope, TenantId
from rag.adapters.bm25 import sparse_document, sparse_query
from rag.adapters.qdrant_payload import (
    DENSE,
    KEYWORDS,
    MOST_RANGE_INDEXES,
    SCHEMA,
    SPARSE,
    TENANT,
    Condition,
    Match,
    Range,
    Where,
    checked,
    chunk_of,
    described,
    of_document,
    of_tenant,
    payload_of,
    point_id,
    range_paths,
    ranked,
    readable,
    where,
)
from rag.errors import ConfigurationError, IndexUnavailable, StorageUnavailable
from rag.protocols import IndexPoint
from rag.types import ChunkId, DocumentId, Filters, IndexHit, Metadata, Vector

_OLDEST_SERVER = (1, 19)
"""The first that counts IDF over a part of a collection. An older one would rank by everybody's."""
_POINTS_A_REQUEST = 256
_PAGE = 1_000


class QdrantServerIndex:
    """`Index` on a collection that exists: `open_server_index` makes it where it does not."""

    def __init__(self, client: AsyncQdrantClient, *, collection: str, dimensions: int) -> None:
        self._client = client
        self._collection = collection
        self._dimensions = dimensions
        self._indexed: set[str] = set()
        """Ranges known to have an index; another process may have made more."""

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        for start in range(0, len(points), _POINTS_A_REQUEST):
            some = points[start : start + _POINTS_A_REQUEST]
            # Counting terms is work for the processor, so not for the event loop.
            structs = await asyncio.to_thread(self._structs, some)
            with _translated():
                await self._index_ranges(
                    set[str]().union(*(range_paths(payload_of(point)) for point in some))
                )
                await self._client.upsert(self._collection, structs, wait=True)

    async def describe(
        self, tenant: TenantId, document: DocumentId, *, access: AccessList, metadata: Metadata
    ) -> None:
        payload = described(tenant, access, metadata)
        which = _filter(of_document(tenant, document))
        with _translated():
            await self._index_ranges(range_paths(payload))
            await self._client.set_payload(self._collection, dict(payload), points=which, wait=True)

    async def delete(self, tenant: TenantId, chunks: Collection[ChunkId]) -> None:
        if chunks:
            ids: list[models.ExtendedPointId] = [point_id(tenant, chunk) for chunk in chunks]
            with _translated():
                await self._client.delete(
                    self._collection, models.PointIdsList(points=ids), wait=True
                )

    async def delete_document(self, tenant: TenantId, document: DocumentId) -> None:
        which = models.FilterSelector(filter=_filter(of_document(tenant, document)))
        with _translated():
            await self._client.delete(self._collection, which, wait=True)

    async def chunk_ids(self, tenant: TenantId, document: DocumentId) -> set[ChunkId]:
        which = _filter(of_document(tenant, document))
        found: set[ChunkId] = set()
        page = None
        while True:
            with _translated():
                records, page = await self._client.scroll(
                    self._collection, which, limit=_PAGE, offset=page, with_payload=["chunk"]
                )
            found.update(chunk_of(record.payload) for record in records)
            if page is None:
                return found

    async def search_dense(
        self, vector: Vector, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        asked = checked(vector, dimensions=self._dimensions)
        return await self._best(asked.tolist(), DENSE, where(scope, filters), limit)

    async def search_sparse(
        self, text: str, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        which = where(scope, filters)
        numbers, weights = await asyncio.to_thread(sparse_query, text)
        if not len(numbers):
            return []
        terms = models.SparseVector(indices=numbers.tolist(), values=weights.tolist())
        # IDF counts only what the asker may read, so no score tells of anything else.
        idf = models.IdfCorpusParams(corpus=_filter(readable(scope)))
        return await self._best(terms, SPARSE, which, limit, models.SearchParams(idf=idf))

    async def count(self, tenant: TenantId) -> int:
        which = _filter(of_tenant(tenant))
        with _translated():
            return (await self._client.count(self._collection, which, exact=True)).count

    async def aclose(self) -> None:
        await self._client.close()

    async def _best(
        self,
        query: list[float] | models.SparseVector,
        using: str,
        which: Where,
        limit: int,
        params: models.SearchParams | None = None,
    ) -> list[IndexHit]:
        if limit < 1:
            return []
        asked = limit + 1
        while True:
            with _translated():
                answer = await self._client.query_points(
                    self._collection,
                    query=query,
                    using=using,
                    query_filter=_filter(which),
                    search_params=params,
                    limit=asked,
                    with_payload=["chunk"],
                )
            found = [IndexHit(chunk_of(point.payload), point.score) for point in answer.points]
            if (best := ranked(found, asked=asked, limit=limit)) is not None:
                return best
            asked *= 4

    async def _index_ranges(self, paths: set[str]) -> None:
        if not paths - self._indexed:
            return
        self._indexed = set((await self._client.get_collection(self._collection)).payload_schema)
        for path in sorted(paths - self._indexed):
            if len(self._indexed) < len(KEYWORDS) + MOST_RANGE_INDEXES:
                kind = models.PayloadSchemaType.FLOAT
                await self._client.create_payload_index(self._collection, path, kind, wait=True)
                self._indexed.add(path)

    def _structs(self, points: Sequence[IndexPoint]) -> list[models.PointStruct]:
        return [_struct(point, dimensions=self._dimensions) for point in points]


@asynccontextmanager
async def open_server_index(
    url: str,
    *,
    dimensions: int,
    api_key: str | None = None,
    collection: str = "chunks",
    shards: int = 1,
    replicas: int = 1,
    timeout_s: int = 10,
) -> AsyncGenerator[QdrantServerIndex]:
    """The index in `collection` at `url`, made where there is none. `shards` and `replicas` count
    only when it is made; BM25's IDF is counted a shard.

    Errors: `ConfigurationError` where the key, the server's version or the collection is wrong;
    `IndexUnavailable` where nobody answers.
    """
    client = AsyncQdrantClient(
        url=url, api_key=api_key, timeout=timeout_s, check_compatibility=False
    )
    try:
        await _check_version(client)
        await ensure_collection(
            client, collection, dimensions=dimensions, shards=shards, replicas=replicas
        )
        yield QdrantServerIndex(client, collection=collection, dimensions=dimensions)
    finally:
        await client.close()


async def drop_collection(url: str, *, collection: str, api_key: str | None = None) -> None:
    """Remove `collection` with all that is in it; there may be none. Errors: as to open it."""
    client = AsyncQdrantClient(url=url, api_key=api_key, check_compatibility=False)
    try:
        with _translated():
            await client.delete_collection(collection)
    finally:
        await client.close()


async def ensure_collection(
    client: AsyncQdrantClient, collection: str, *, dimensions: int, shards: int, replicas: int
) -> None:
    """Make `collection` where there is none. Any number of processes may do so at once."""
    with _translated():
        if not await client.collection_exists(collection):
            await _create(
                client, collection, dimensions=dimensions, shards=shards, replicas=replicas
            )
        await _check_collection(client, collection, dimensions=dimensions)
        for key in KEYWORDS:
            schema = models.KeywordIndexParams(
                type=models.KeywordIndexType.KEYWORD, is_tenant=key == TENANT
            )
            await client.create_payload_index(collection, key, schema, wait=True)


async def _create(
    client: AsyncQdrantClient, collection: str, *, dimensions: int, shards: int, replicas: int
) -> None:
    vectors = models.VectorParams(size=dimensions, distance=models.Distance.COSINE)
    try:
        await client.create_collection(
            collection,
            vectors_config={DENSE: vectors},
            sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            shard_number=shards,
            replication_factor=replicas,
            metadata={"schema": SCHEMA},
        )
    except UnexpectedResponse as error:
        if error.status_code != 409:  # another process was first, with the same schema
            raise


async def _check_version(client: AsyncQdrantClient) -> None:
    with _translated():
        version = (await client.info()).version
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_SERVER:
        raise ConfigurationError(f"the Qdrant server is {version}: 1.19 or later is needed")


async def _check_collection(client: AsyncQdrantClient, collection: str, *, dimensions: int) -> None:
    config = (await client.get_collection(collection)).config
    vectors = config.params.vectors
    dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
    if dense is None or (config.metadata or {}).get("schema") != SCHEMA:
        raise ConfigurationError(
            f"the collection {collection!r} is not of schema {SCHEMA}: name another collection "
            "and run `rag reindex --all`"
        )
    if dense.size != dimensions:
        raise ConfigurationError(
            f"the collection {collection!r} holds vectors of {dense.size} dimensions and the "
            f"embedder gives {dimensions}: use the embedder it was made with, or name another "
            "collection and run `rag reindex --all`"
        )


def _struct(point: IndexPoint, *, dimensions: int) -> models.PointStruct:
    numbers, weights = sparse_document(point.chunk.embedded_text)
    return models.PointStruct(
        id=point_id(point.chunk.document.tenant, point.chunk.id),
        vector={
            DENSE: checked(point.vector, dimensions=dimensions).tolist(),
            SPARSE: models.SparseVector(indices=numbers.tolist(), values=weights.tolist()),
        },
        payload=dict(payload_of(point)),
    )


def _filter(which: Where) -> models.Filter:
    return models.Filter(
        must=[_condition(one) for one in which.must] or None,
        should=[_condition(one) for one in which.should] or None,
        must_not=[_condition(one) for one in which.must_not] or None,
    )


def _condition(condition: Condition) -> models.Condition:
    match condition:
        case Match(key, (only,)):
            return models.FieldCondition(key=key, match=models.MatchValue(value=only))
        case Match(key, values):
            return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))
        case Range(key=key, gte=gte, gt=gt, lte=lte, lt=lt):
            within = models.Range(gte=gte, gt=gt, lte=lte, lt=lt)
            return models.FieldCondition(key=key, range=within)
        case Where():
            return _filter(condition)


@contextmanager
def _translated() -> Generator[None]:
    """The client's errors as ours. What the server said may hold texts of ours, so it stays out."""
    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code in (401, 403):
            raise ConfigurationError("the Qdrant server refuses the API key") from error
        if error.status_code == 507:
            raise StorageUnavailable("the Qdrant server's disk is full") from error
        raise IndexUnavailable(f"the Qdrant server answered {error.status_code}") from error
    except ApiException as error:
        raise IndexUnavailable("the Qdrant server did not answer") from error
