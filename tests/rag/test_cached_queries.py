"""A query is embedded once for a tenant, however many ask it at once."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest

from rag.access import TenantId
from rag.cached_queries import CachedQueries
from rag.errors import ModelUnavailable
from rag.testing import HashEmbedder
from rag.types import Embedding

ACME, OTHER = TenantId("acme"), TenantId("other")


@dataclass(frozen=True, slots=True)
class CountingEmbedder(HashEmbedder):
    """Waits until it may, and fails as often as it is told."""

    asked: list[str] = field(default_factory=list[str])
    may: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[str] = field(default_factory=list[str])

    async def embed_query(self, text: str) -> Embedding:
        self.asked.append(text)
        await self.may.wait()
        if self.failures:
            raise ModelUnavailable(self.failures.pop())
        return await HashEmbedder().embed_query(text)


@pytest.fixture
def embedder() -> CountingEmbedder:
    embedder = CountingEmbedder()
    embedder.may.set()
    return embedder


async def test_what_was_asked_before_is_not_embedded_again(embedder: CountingEmbedder) -> None:
    queries = CachedQueries(embedder)
    first = await queries.of(ACME).embed_query("travel")
    again = await queries.of(ACME).embed_query("travel")
    assert embedder.asked == ["travel"]
    np.testing.assert_array_equal(first.vector, again.vector)
    assert queries.of(ACME).name == embedder.name


async def test_tenants_share_nothing(embedder: CountingEmbedder) -> None:
    queries = CachedQueries(embedder)
    await queries.of(ACME).embed_query("travel")
    await queries.of(OTHER).embed_query("travel")
    assert embedder.asked == ["travel", "travel"]


async def test_the_oldest_make_room(embedder: CountingEmbedder) -> None:
    acme = CachedQueries(embedder, most=2).of(ACME)
    for text in ("a", "b", "a", "c", "a", "b"):
        await acme.embed_query(text)
    assert embedder.asked == ["a", "b", "c", "b"]


async def test_who_asks_the_same_at_once_waits_for_one_embedding(
    embedder: CountingEmbedder,
) -> None:
    embedder.may.clear()
    acme = CachedQueries(embedder).of(ACME)
    asking = [asyncio.create_task(acme.embed_query("travel")) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    embedder.may.set()
    await asyncio.gather(*asking[1:])
    assert asking[0].cancelled() and embedder.asked == ["travel"]


async def test_a_failure_is_not_remembered(embedder: CountingEmbedder) -> None:
    embedder.failures.append("not now")
    acme = CachedQueries(embedder).of(ACME)
    with pytest.raises(ModelUnavailable):
        await acme.embed_query("travel")
    await acme.embed_query("travel")
    assert embedder.asked == ["travel", "travel"]
