"""A real cross-encoder, tiny and with random weights: the order means nothing, the handling does."""

from pathlib import Path
from typing import Any

import pytest
from transformers import BertForSequenceClassification

from rag.access import Principal, PrincipalId, scope_of
from rag.adapters.cross_encoder import CrossEncoderReranker
from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.errors import ConfigurationError
from rag.protocols import EmbeddedQuery
from rag.types import Query
from tests.tiny_models import save_tiny_model, tiny_cross_encoder_dir
from tests.values import ACME, hit

SCOPE = scope_of(Principal(ACME, PrincipalId("user:1")))


async def _query(minilm: OnnxEmbedder) -> EmbeddedQuery:
    text = "How many days of leave?"
    return EmbeddedQuery(Query(text=text, scope=SCOPE), await minilm.embed_query(text))


async def test_scores_are_the_models_own_for_question_and_embedded_text(
    minilm: OnnxEmbedder,
) -> None:
    from sentence_transformers import CrossEncoder  # noqa: PLC0415 - torch takes seconds

    found = [hit("word " * length, ordinal=length) for length in (1, 90, 7, 200, 30)]
    reranker = CrossEncoderReranker(tiny_cross_encoder_dir())

    result = await reranker.rerank(await _query(minilm), found, budget_s=60)

    model: Any = CrossEncoder(str(tiny_cross_encoder_dir()), device="cpu")
    for reranked in result.hits:
        pair = ("How many days of leave?", reranked.chunk.embedded_text)
        assert reranked.score == pytest.approx(float(model.predict([pair])[0]), abs=1e-5)
    await reranker.aclose()


async def test_what_the_budget_allowed_comes_first_and_the_rest_in_fused_order(
    minilm: OnnxEmbedder,
) -> None:
    found = [hit(f"word {place} " * 120, ordinal=place) for place in range(3_000)]
    reranker = CrossEncoderReranker(tiny_cross_encoder_dir())
    query = await _query(minilm)
    await reranker.rerank(query, found[:4], budget_s=60)  # the first call is slow: leave it out

    result = await reranker.rerank(query, found, budget_s=0.5)

    assert not result.complete
    scored = [reranked for reranked in result.hits if reranked.ranks.rerank is not None]
    assert 0 < len(scored) < len(found)
    assert {reranked.chunk.ordinal for reranked in scored} == set(range(len(scored)))
    assert list(result.hits[len(scored) :]) == found[len(scored) :]
    await reranker.aclose()


def test_a_model_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        CrossEncoderReranker(tmp_path / "nothing")


def test_a_model_of_several_labels_is_a_wrong_setting(tmp_path: Path) -> None:
    save_tiny_model(tmp_path, BertForSequenceClassification, num_labels=3)

    with pytest.raises(ConfigurationError, match="one score"):
        CrossEncoderReranker(tmp_path)
