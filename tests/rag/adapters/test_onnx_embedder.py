"""MiniLM on ONNX Runtime, as ingest and questions use it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.minilm import default_model_dir
from rag.adapters.onnx_embedder import (
    PASS_TOKENS,
    OnnxEmbedder,
    batches_by_length,
    load_onnx_embedder,
)

LONG = "The pump was taken out of service by the night shift. " * 60


async def test_words_of_one_meaning_lie_closer_than_others(minilm: OnnxEmbedder) -> None:
    leave, holiday, pump = await minilm.embed_documents(
        ["annual leave entitlement", "paid holiday allowance", "pump maintenance interval"]
    )

    assert leave.vector @ holiday.vector > leave.vector @ pump.vector + 0.2


async def test_a_text_has_one_vector_whatever_it_is_embedded_with(minilm: OnnxEmbedder) -> None:
    alone = await minilm.embed_query("How long is the notice period?")
    among = await minilm.embed_documents([LONG, "How long is the notice period?", "", "x"])

    assert np.allclose(alone.vector, among[1].vector, atol=1e-5)
    assert alone.tokens is not None and among[1].tokens is not None
    assert np.abs(alone.tokens.astype(int) - among[1].tokens.astype(int)).max() <= 1


async def test_token_vectors_leave_the_special_tokens_out(minilm: OnnxEmbedder) -> None:
    text = "Fit the AP-450X seal."
    embedding = await minilm.embed_query(text)

    assert embedding.tokens is not None
    assert embedding.tokens.dtype == np.int8
    assert embedding.tokens.shape == (minilm.count_tokens([text])[0], 128)
    lengths = np.linalg.norm(embedding.tokens.astype(float) / 127, axis=1)
    assert np.allclose(lengths, 1, atol=0.05)


async def test_tokens_beyond_the_limit_are_not_seen(minilm: OnnxEmbedder) -> None:
    assert minilm.count_tokens([LONG])[0] > minilm.max_tokens
    cut, more = await minilm.embed_documents([LONG, LONG + "Bananas are yellow."])

    assert np.allclose(cut.vector, more.vector, atol=1e-6)
    assert cut.tokens is not None and cut.tokens.shape[0] == minilm.max_tokens - 2


@pytest.mark.parametrize(
    "text",
    ["", " ", "\x00\x07", "\ud800 lone surrogate", "価格表はどこ", "a" * 1_000_000, "🦭" * 5_000],
)
async def test_any_text_has_a_unit_vector(minilm: OnnxEmbedder, text: str) -> None:
    embedding = await minilm.embed_query(text)

    assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-4)
    assert minilm.count_tokens([text])[0] >= 0


async def test_a_question_does_not_wait_for_an_ingest(minilm: OnnxEmbedder) -> None:
    ingest = asyncio.create_task(minilm.embed_documents([LONG] * 40))
    await asyncio.sleep(0.05)

    await minilm.embed_query("How long is the notice period?")

    assert not ingest.done()
    ingest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingest


async def test_an_embedder_works_on_after_a_cancelled_call(minilm: OnnxEmbedder) -> None:
    ingest = asyncio.create_task(minilm.embed_documents([LONG] * 40))
    await asyncio.sleep(0.05)
    ingest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingest

    [embedding] = await minilm.embed_documents(["still here"])
    assert embedding.vector.shape == (384,)


async def test_token_vectors_are_a_setting(minilm: OnnxEmbedder) -> None:
    without = load_onnx_embedder(default_model_dir(), token_dimensions=None)
    whole = load_onnx_embedder(default_model_dir(), token_dimensions=384)
    try:
        assert (await without.embed_query("seal")).tokens is None
        tokens = (await whole.embed_query("seal")).tokens
        assert tokens is not None and tokens.shape == (1, 384)
        assert len({minilm.name, without.name, whole.name}) == 3
    finally:
        await without.aclose()
        await whole.aclose()


def test_the_embedder_never_imports_torch() -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from rag.adapters.onnx_embedder import load_onnx_embedder;"
        f"load_onnx_embedder(Path({str(default_model_dir())!r}));"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@given(st.lists(st.integers(min_value=0, max_value=256), max_size=60))
def test_batches_hold_every_text_once_and_stay_in_bounds(lengths: list[int]) -> None:
    batches = batches_by_length(lengths, tokens=1_000)

    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[place] for place in batch) <= 1_000 for batch in batches)


@given(st.lists(st.integers(min_value=2, max_value=256), min_size=1, max_size=60))
def test_no_plain_cut_of_the_lengths_is_cheaper(lengths: list[int]) -> None:
    def cost(batches: list[list[int]]) -> int:
        padded = [len(batch) * max(lengths[place] for place in batch) for batch in batches]
        return sum(padded) + PASS_TOKENS * len(batches)

    longest_first = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    alone = [[place] for place in longest_first]
    full: list[list[int]] = []
    for place in longest_first:
        if full and (len(full[-1]) + 1) * lengths[full[-1][0]] <= 1_000:
            full[-1].append(place)
        else:
            full.append([place])

    assert cost(batches_by_length(lengths, tokens=1_000)) <= min(cost(alone), cost(full))
