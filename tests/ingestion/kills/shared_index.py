"""Indexes that several processes share, one a generation: what stands in for a Qdrant server.

The adapter is the one for a server; the engine below it is qdrant-client's own, in the memory of a
process that nobody kills. Workers reach it through a socket, so a killed one leaves requests behind
that are done all the same, or were never sent.
"""

import asyncio
import pickle
import warnings
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from qdrant_client import AsyncQdrantClient

from rag.access import AccessList, AccessScope, TenantId
from rag.adapters.qdrant_edge_shard import LENGTH_BYTES, frame
from rag.adapters.qdrant_server import QdrantServerIndex, ensure_collection
from rag.errors import IndexUnavailable
from rag.protocols import IndexPoint
from rag.storage.generations.records import FIRST, GenerationId
from rag.types import ChunkId, DocumentId, Filters, IndexHit, Metadata, Vector
from tests.ingestion.kills.final_state import Point, points_of_client


class _Collections:
    """What the process holds. Errors: `IndexUnavailable` where there is no such collection."""

    def __init__(self) -> None:
        self._client = AsyncQdrantClient(":memory:")

    async def answer(
        self, generation: GenerationId, operation: str, given: Sequence[Any], named: dict[str, Any]
    ) -> object:
        name = f"chunks-{generation}"
        match operation:
            case "open":
                return await ensure_collection(
                    self._client, name, dimensions=8, shards=1, replicas=1
                )
            case "remove":
                return await self._client.delete_collection(name)
            case "all points":
                return await self._points()
            case _:
                if not await self._client.collection_exists(name):
                    raise IndexUnavailable("there is no such collection")
                index = QdrantServerIndex(self._client, collection=name, dimensions=8)
                return await getattr(index, operation)(*given, **named)

    async def _points(self) -> dict[GenerationId, list[Point]]:
        found = (await self._client.get_collections()).collections
        return {
            GenerationId(int(one.name.removeprefix("chunks-"))): await points_of_client(
                self._client, one.name
            )
            for one in found
        }


async def serve_index(path: Path) -> None:
    """Until the process is ended."""
    warnings.filterwarnings("ignore", "Payload indexes have no effect")
    collections = _Collections()
    await collections.answer(FIRST, "open", (), {})  # readers are there before the first worker

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # it was killed
            while True:
                generation, operation, given, named = await _read(reader)
                try:
                    answer = await collections.answer(generation, operation, given, named)
                except IndexUnavailable as error:
                    answer = error
                writer.write(frame(answer))
                await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(converse, path)
    async with server:
        await server.serve_forever()


async def _read(reader: asyncio.StreamReader) -> Any:
    length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "little")
    return pickle.loads(await reader.readexactly(length))  # noqa: S301 - from our own processes


@dataclass(frozen=True, slots=True)
class SharedIndexes:
    """Those that the process of `serve_index` has."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def of(self, generation: GenerationId) -> "SharedIndex":
        return SharedIndex(self, generation)

    @asynccontextmanager
    async def open(self, generation: GenerationId) -> AsyncGenerator["SharedIndex"]:
        """Made where there is none."""
        await self.ask(generation, "open")
        yield self.of(generation)

    async def remove(self, generation: GenerationId) -> None:
        await self.ask(generation, "remove")

    async def points(self) -> dict[GenerationId, list[Point]]:
        return cast("dict[GenerationId, list[Point]]", await self.ask(FIRST, "all points"))

    async def ask(
        self, generation: GenerationId, operation: str, *given: Any, **named: Any
    ) -> object:
        # A job that is given up half-way must not leave its answer to the next one.
        answer = await asyncio.shield(self._exchange((generation, operation, given, named)))
        if isinstance(answer, IndexUnavailable):
            raise answer
        return answer

    async def _exchange(self, request: object) -> object:
        async with self.turn:
            try:
                self.writer.write(frame(request))
                await self.writer.drain()
                return await _read(self.reader)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise IndexUnavailable("the index's process does not answer") from error


@dataclass(frozen=True, slots=True)
class SharedIndex:
    """An `Index`."""

    indexes: SharedIndexes
    generation: GenerationId

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

    async def aclose(self) -> None:
        """The connection is others', too."""

    async def _ask(self, operation: str, *given: Any, **named: Any) -> object:
        return await self.indexes.ask(self.generation, operation, *given, **named)


@asynccontextmanager
async def reach_indexes(path: Path) -> AsyncGenerator[SharedIndexes]:
    indexes = SharedIndexes(*await asyncio.open_unix_connection(path))
    try:
        yield indexes
    finally:
        indexes.writer.close()
