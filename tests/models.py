"""The real MiniLM for tests: exported by set-up, loaded in a third of a second."""

from collections.abc import AsyncIterator

import pytest_asyncio

from rag.adapters.minilm import default_model_dir, export_minilm
from rag.adapters.onnx_embedder import OnnxEmbedder, load_onnx_embedder


@pytest_asyncio.fixture(name="minilm", loop_scope="session", scope="session")
async def minilm_embedder() -> AsyncIterator[OnnxEmbedder]:
    export_minilm(default_model_dir())
    embedder = load_onnx_embedder(default_model_dir())
    yield embedder
    await embedder.aclose()
