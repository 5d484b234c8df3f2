"""How the server adapter behaves when the server is absent, old, full or refuses it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, models

from rag.access import EVERYONE, AccessScope, TenantId
from rag.adapters.qdrant_server import QdrantServerIndex, ensure_collection, open_server_index
from rag.errors import ConfigurationError, Error, IndexUnavailable, StorageUnavailable

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
SCOPE = AccessScope(TenantId("acme"), frozenset({EVERYONE}))


@asynccontextmanager
async def server_answering(status: int, body: object) -> AsyncGenerator[str]:
    """A server that answers every request alike."""
    content = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
    ).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + content)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"title": "qdrant", "version": "1.18.2"}, ConfigurationError),
        (401, {"status": {"error": "the secret words of a document"}}, ConfigurationError),
        (403, {}, ConfigurationError),
        (503, {}, IndexUnavailable),
        (507, {}, StorageUnavailable),
        (200, ["not what a server says"], IndexUnavailable),
    ],
)
async def test_each_refusal_has_its_own_error(
    status: int, body: object, expected: type[Error]
) -> None:
    async with server_answering(status, body) as url:
        with pytest.raises(expected) as raised:
            async with open_server_index(url, dimensions=4, api_key=None):
                pass
    assert "secret" not in str(raised.value)


async def test_no_server_at_all_is_an_index_that_is_unavailable() -> None:
    async with server_answering(200, {}) as url:
        pass
    client = AsyncQdrantClient(url=url, timeout=2, check_compatibility=False)
    index = QdrantServerIndex(client, collection="c", dimensions=4)
    vector = np.ones(4, dtype=np.float32)
    with pytest.raises(IndexUnavailable):
        await index.search_dense(vector, scope=SCOPE, filters={}, limit=1)
    with pytest.raises(IndexUnavailable):
        await index.count(TenantId("acme"))
    await index.aclose()


async def test_a_collection_of_other_dimensions_or_another_schema_is_not_used() -> None:
    client = AsyncQdrantClient(":memory:")
    for _ in range(2):
        await ensure_collection(client, "c", dimensions=4, shards=1, replicas=1)
    with pytest.raises(ConfigurationError, match=r"4 dimensions.*gives 384.*reindex"):
        await ensure_collection(client, "c", dimensions=384, shards=1, replicas=1)
    plain = models.VectorParams(size=4, distance=models.Distance.COSINE)
    await client.create_collection("foreign", vectors_config=plain)
    with pytest.raises(ConfigurationError, match="not of schema"):
        await ensure_collection(client, "foreign", dimensions=4, shards=1, replicas=1)
    await client.close()
