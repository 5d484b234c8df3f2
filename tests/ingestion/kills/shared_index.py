"""An index that several processes share: what stands in for a Qdrant server.

The adapter is the one for a server; the engine below it is qdrant-client's own, in the memory of a
process that nobody kills. Workers reach it through a socket, so a killed one leaves requests behind
that are done all the same, or were never sent.
"""

import asyncio
import pickle
import warnings
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from qdrant_client import AsyncQdrantClient

from rag.access import AccessList, AccessScope, TenantId
from rag.adapters.qdrant_edge_shard import LENGTH_BYTES, frame
from rag.adapters.qdrant_server import QdrantServerIndex, ensure_collection
from rag.errors import IndexUnavailable
from rag.protocols import IndexPoint
from rag.types import ChunkId, DocumentId, Filters, IndexHit, Metadata, Vector
from tests.ingestion.kills.final_state import Point, points_of_client

_COLLECTION = "chunks"


async def serve_index(path: Path) -> None:
    """Until the process is ended."""
    warnings.filterwarnings("ignore", "Payload indexes have no effect")
    client = AsyncQdrantClient(":memory:")
    await ensure_collection(client, _COLLECTION, dimensions=8, shards=1, replicas=1)
    index = QdrantServerIndex(client, collection=_COLLECTION, dimensions=8)

    async def answer(operation: str, arguments: Sequence[Any], named: dict[str, Any]) -> object:
        if operation == "points":
            return await points_of_client(client, _COLLECTION)
        return await getattr(index, operation)(*arguments, **named)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # it was killed
            while True:
                operation, arguments, named = await _read(reader)
                writer.write(frame(await answer(operation, arguments, named)))
                await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(converse, path)
    async with server:
        await server.serve_forever()


async def _read(reader: asyncio.StreamReader) -> Any:
    length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "little")
    return pickle.loads(await reader.readexactly(length))  # noqa: S301 - from our own processes


class SharedIndex:
    """An `Index` that the process of `serve_index` has."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        await self._ask("upsert", points)

    async def describe(
        self, tenant: TenantId, document: DocumentId, *, access: AccessList, metadata: Metadata
    ) -> None:
        await self._ask("describe", tenant, document, access=access, metadata=dict(metadata))

    async def delete(self, tenant: TenantId, chunks: Collection[ChunkId]) -> None:
        await self._ask("delete", tenant, chunks)

    async def delete_document(self, tenant: TenantId, document: DocumentId) -> None:
        await self._ask("delete_document", tenant, document)

    async def chunk_ids(self, tenant: TenantId, document: DocumentId) -> set[ChunkId]:
        return cast("set[ChunkId]", await self._ask("chunk_ids", tenant, document))

    async def search_dense(
        self, vector: Vector, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        found = await self._ask("search_dense", vector, scope=scope, filters=filters, limit=limit)
        return cast("list[IndexHit]", found)

    async def search_sparse(
        self, text: str, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        found = await self._ask("search_sparse", text, scope=scope, filters=filters, limit=limit)
        return cast("list[IndexHit]", found)

    async def count(self, tenant: TenantId) -> int:
        return cast("int", await self._ask("count", tenant))

    async def points(self) -> list[Point]:
        return cast("list[Point]", await self._ask("points"))

    async def aclose(self) -> None:
        self._writer.close()

    async def _ask(self, operation: str, *arguments: Any, **named: Any) -> object:
        # A job that is given up half-way must not leave its answer to the next one.
        return await asyncio.shield(self._exchange((operation, arguments, named)))

    async def _exchange(self, request: object) -> object:
        async with self._turn:
            try:
                self._writer.write(frame(request))
                await self._writer.drain()
                return await _read(self._reader)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise IndexUnavailable("the index's process does not answer") from error


@asynccontextmanager
async def open_shared_index(path: Path) -> AsyncGenerator[SharedIndex]:
    index = SharedIndex(*await asyncio.open_unix_connection(path))
    try:
        yield index
    finally:
        await index.aclose()
