"""Small requests become full batches, and nobody gets another's vectors."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.batching import BatchingEmbedder
from rag.errors import ModelUnavailable
from rag.types import Embedding
from tests.ingestion.standins import HashEmbedder


class CountingEmbedder(HashEmbedder):
    """Takes its time, and fails on a text that says so."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        self.calls.append(list(texts))
        await asyncio.sleep(0.01)
        if "poison" in texts:
            raise ModelUnavailable("it choked")
        return await super().embed_documents(texts)


@settings(max_examples=40, deadline=None)
@given(requests=st.lists(st.lists(st.text(max_size=20), max_size=5), max_size=12))
def test_everyone_gets_the_vectors_of_his_own_texts_in_order(requests: list[list[str]]) -> None:
    inner = HashEmbedder()

    async def ask_at_once() -> list[list[Embedding]]:
        batching = BatchingEmbedder(inner, max_texts=4)
        return await asyncio.gather(*map(batching.embed_documents, requests))

    for texts, embeddings in zip(requests, asyncio.run(ask_at_once()), strict=True):
        assert len(texts) == len(embeddings)
        for text, embedding in zip(texts, embeddings, strict=True):
            [alone] = asyncio.run(inner.embed_documents([text]))
            np.testing.assert_array_equal(embedding.vector, alone.vector)


async def test_what_arrives_while_it_is_busy_goes_together_longest_first() -> None:
    inner = CountingEmbedder()
    batching = BatchingEmbedder(inner, max_texts=100)
    first = asyncio.create_task(batching.embed_documents(["first"]))
    await asyncio.sleep(0.001)
    rest = [batching.embed_documents(["x" * number, "y"]) for number in range(2, 12)]
    await asyncio.gather(first, *rest)
    assert [len(call) for call in inner.calls] == [1, 20]
    assert [len(text) for text in inner.calls[1]] == sorted(map(len, inner.calls[1]), reverse=True)


async def test_no_batch_is_larger_than_was_said_unless_one_request_is() -> None:
    inner = CountingEmbedder()
    batching = BatchingEmbedder(inner, max_texts=8)
    await asyncio.gather(*(batching.embed_documents(["x"] * size) for size in (3, 3, 3, 20, 1)))
    assert sum(map(len, inner.calls)) == 30
    assert all(len(call) <= 8 or len(call) == 20 for call in inner.calls)


async def test_a_request_that_fails_fails_alone() -> None:
    batching = BatchingEmbedder(CountingEmbedder(), max_texts=100)
    good, bad, fine = await asyncio.gather(
        *map(batching.embed_documents, (["a", "b"], ["poison"], ["c"])), return_exceptions=True
    )
    assert isinstance(bad, ModelUnavailable)
    assert isinstance(good, list) and len(good) == 2
    assert isinstance(fine, list) and len(fine) == 1


async def test_one_who_gives_up_holds_nobody_back() -> None:
    inner = CountingEmbedder()
    batching = BatchingEmbedder(inner, max_texts=100)
    first = asyncio.create_task(batching.embed_documents(["first"]))
    await asyncio.sleep(0.001)
    given_up = asyncio.create_task(batching.embed_documents(["never"]))
    waiting = asyncio.create_task(batching.embed_documents(["second"]))
    await asyncio.sleep(0.001)
    given_up.cancel()
    await asyncio.gather(first, waiting)
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert inner.calls == [["first"], ["second"]]
