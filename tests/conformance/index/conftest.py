"""What every `Index` promises is tested on each adapter.

One embedded index serves a whole module, and each test has a tenant of its own in it: that is
quick, and no test could pass if tenants could see each other.
"""

import os
from collections.abc import AsyncIterator
from typing import cast
from uuid import uuid4

import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient

from rag.access import (
    TenantId,
)
from rag.adapters.qdrant_edge import open_edge_index
from rag.adapters.qdrant_server import QdrantServerIndex, ensure_collection, open_server_index
from rag.protocols import Index
from tests.conformance.index.points import DIMENSIONS, next_tenant

SERVER = os.environ.get("RAG_TEST_QDRANT_URL")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Index]:
    async with open_edge_index(tmp_path_factory.mktemp("i"), dimensions=DIMENSIONS) as index:
        yield index


@pytest_asyncio.fixture(
    loop_scope="module", params=["edge", "local mode", *(["server"] if SERVER else [])]
)
async def index(request: pytest.FixtureRequest, edge: Index) -> AsyncIterator[Index]:
    """Local mode looks at every point it ever had in each search, so it starts anew each time."""
    match cast("str", request.param):
        case "edge":
            yield edge
        case "server":
            name = f"test-{uuid4()}"
            opening = open_server_index(str(SERVER), dimensions=DIMENSIONS, collection=name)
            async with opening as index:
                yield index
            client = AsyncQdrantClient(url=str(SERVER))
            await client.delete_collection(name)
            await client.close()
        case _:
            client = AsyncQdrantClient(":memory:")
            await ensure_collection(client, "c", dimensions=DIMENSIONS, shards=1, replicas=1)
            index = QdrantServerIndex(client, collection="c", dimensions=DIMENSIONS)
            yield index
            await index.aclose()


@pytest.fixture
def tenant() -> TenantId:
    return next_tenant()
