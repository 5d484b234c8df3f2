"""What was embedded once is not embedded again, for the same tenant and the same embedder."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rag.access import TenantId
from rag.storage.database import Database
from rag.storage.embeddings import CachedEmbedder, EmbeddingCache
from rag.types import Embedding
from tests.ingestion.standins import HashEmbedder

ACME, OTHER = TenantId("acme"), TenantId("other")


@pytest.fixture
def embedder() -> HashEmbedder:
    return HashEmbedder()


async def test_only_what_is_new_is_embedded_and_the_order_is_kept(
    database: Database, embedder: HashEmbedder
) -> None:
    cached = CachedEmbedder(embedder, EmbeddingCache(database), ACME)
    first = await cached.embed_documents(["a", "b", "a"])
    assert embedder.embedded == ["a", "b"]
    again = await cached.embed_documents(["c", "b", "a", "c"])
    assert embedder.embedded == ["a", "b", "c"]
    assert await cached.embed_documents([]) == []
    np.testing.assert_array_equal(again[1].vector, first[1].vector)
    np.testing.assert_array_equal(again[2].vector, first[0].vector)
    kept = again[2].tokens
    assert kept is not None and kept.dtype == np.int8
    np.testing.assert_array_equal(kept, np.full((3, 4), len("a")))


async def test_tenants_and_embedders_share_nothing(
    database: Database, embedder: HashEmbedder
) -> None:
    cache = EmbeddingCache(database)
    await CachedEmbedder(embedder, cache, ACME).embed_documents(["a"])
    await CachedEmbedder(embedder, cache, OTHER).embed_documents(["a"])
    assert embedder.embedded == ["a", "a"]
    another = HashEmbedder("hash 2")
    await CachedEmbedder(another, cache, ACME).embed_documents(["a"])
    assert another.embedded == ["a"]


async def test_what_was_unused_for_longest_makes_room(database: Database) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    cache = EmbeddingCache(database, max_entries=10, clock=lambda: now)
    vector = Embedding(np.ones(2, np.float32))
    for number in range(10):
        now += timedelta(hours=2)
        await cache.store(ACME, {f"key {number}": vector})
    now += timedelta(hours=2)
    assert set(await cache.find(ACME, ["key 0"])) == {"key 0"}
    await cache.store(ACME, {"key 10": vector})
    await cache.trim()
    keys = [f"key {number}" for number in range(11)]
    assert set(await cache.find(ACME, keys)) == set(keys) - {"key 1"}
    assert (await cache.find(ACME, ["key 10"]))["key 10"].tokens is None
