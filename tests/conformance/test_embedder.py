"""What every embedder promises. Each new adapter joins here."""

import asyncio

import numpy as np
import pytest

from ingestion.batching import BatchingEmbedder
from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.protocols import Embedder

TEXTS = ["a short one", "", "The pump was taken out of service. " * 40, "noch ein Satz", "x"]


def _onnx(minilm: OnnxEmbedder) -> Embedder:
    return minilm


def _batching(minilm: OnnxEmbedder) -> Embedder:
    return BatchingEmbedder(minilm, max_texts=2)


def _sentence_transformers(_: OnnxEmbedder) -> Embedder:
    from tests.tiny_models import tiny_embedder  # noqa: PLC0415 - torch takes seconds

    return tiny_embedder()


@pytest.fixture(params=[_onnx, _batching, _sentence_transformers], scope="module")
def embedder(request: pytest.FixtureRequest, minilm: OnnxEmbedder) -> Embedder:
    return request.param(minilm)


async def test_documents_come_back_in_their_order_as_unit_vectors(embedder: Embedder) -> None:
    embeddings = await embedder.embed_documents(TEXTS)

    assert len(embeddings) == len(TEXTS)
    for text, embedding in zip(TEXTS, embeddings, strict=True):
        [alone] = await embedder.embed_documents([text])
        assert embedding.vector.shape == (embedder.dimensions,)
        assert embedding.vector.dtype == np.float32
        assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-4)
        assert np.allclose(alone.vector, embedding.vector, atol=1e-4)


async def test_a_query_is_one_embedding_of_the_same_kind(embedder: Embedder) -> None:
    query = await embedder.embed_query("a short one")
    [document] = await embedder.embed_documents(["a short one"])

    assert query.vector.shape == document.vector.shape
    assert (query.tokens is None) == (document.tokens is None)


async def test_nothing_to_embed_gives_nothing(embedder: Embedder) -> None:
    assert await embedder.embed_documents([]) == []
    assert embedder.count_tokens([]) == []


def test_tokens_are_counted_text_by_text(embedder: Embedder) -> None:
    counts = embedder.count_tokens(TEXTS)

    assert counts == [embedder.count_tokens([text])[0] for text in TEXTS]
    assert counts[1] == 0 and counts[0] == 3
    assert counts[2] > 256


async def test_the_event_loop_stays_free(embedder: Embedder) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await embedder.embed_documents(TEXTS)
    ticking.cancel()

    assert ticks > 10


def test_a_name_is_stable_and_not_empty(embedder: Embedder) -> None:
    assert embedder.name
    assert embedder.max_tokens > 0
