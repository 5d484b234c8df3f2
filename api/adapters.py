"""Which adapter each setting chooses; `api.wiring` puts them together.

An adapter that brings a heavy library is imported where it is chosen: every command would wait
for it.
"""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never, cast
from urllib.request import getproxies

from pydantic import SecretStr

from api.settings import Settings
from api.settings_gateway import LanguageModelSettings
from api.settings_search import EmbedderSettings, RetrievalSettings
from rag.adapters.late_interaction import LateInteractionReranker
from rag.adapters.minilm import default_model_dir
from rag.adapters.onnx_embedder import load_onnx_embedder
from rag.adapters.prefix_cache import PrefixCache, secret_of
from rag.adapters.qdrant_edge import open_edge_index
from rag.adapters.spans import trace_headers
from rag.errors import ConfigurationError, StorageUnavailable
from rag.fusion import Fusion, normalised_sum_fusion, reciprocal_rank_fusion
from rag.gateway.catalogue import PromptCache
from rag.gateway.patience import Patience
from rag.protocols import Embedder, Index, LanguageModel, Reranker
from rag.storage.documents.passages import Passages
from rag.storage.generations.records import FIRST, GenerationId

if TYPE_CHECKING:
    from rag.adapters.openai_wire import OpenAIWire


@asynccontextmanager
async def open_index(
    settings: Settings, dimensions: int, generation: GenerationId
) -> AsyncGenerator[Index]:
    if settings.qdrant_url is None:
        folder = _folder_of(settings, generation)
        async with open_edge_index(folder, dimensions=dimensions) as edge:
            yield edge
        return
    from rag.adapters.qdrant_server import open_server_index  # noqa: PLC0415 - qdrant-client

    key = settings.qdrant_api_key
    async with open_server_index(
        settings.qdrant_url,
        dimensions=dimensions,
        api_key=key.get_secret_value() if key else None,
        collection=_named(settings.qdrant_collection, generation),
    ) as server:
        yield server


async def remove_index(settings: Settings, generation: GenerationId) -> None:
    """What is left of a generation's index that nobody has open. There may be none.

    Errors: `StorageUnavailable`, `IndexUnavailable`.
    """
    if settings.qdrant_url is None:
        await asyncio.to_thread(_remove_folder, _folder_of(settings, generation))
        return
    from rag.adapters.qdrant_server import drop_collection  # noqa: PLC0415 - qdrant-client

    key = settings.qdrant_api_key
    await drop_collection(
        settings.qdrant_url,
        api_key=key.get_secret_value() if key else None,
        collection=_named(settings.qdrant_collection, generation),
    )


def _remove_folder(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageUnavailable(f"{folder} cannot be removed: {error.strerror}") from error


def _folder_of(settings: Settings, generation: GenerationId) -> Path:
    return settings.data_dir / _named("index", generation)


def _named(first: str, generation: GenerationId) -> str:
    """The first generation's index has no number: it was there before there were others."""
    return first if generation == FIRST else f"{first}-{generation}"


def build_embedder(settings: EmbedderSettings) -> Embedder:
    match settings.kind:
        case "minilm":
            return load_onnx_embedder(
                default_model_dir(),
                threads=settings.threads,
                token_dimensions=settings.token_dimensions,
            )
        case "sentence_transformers":
            # Imported here alone: it brings torch, which takes seconds and a gigabyte.
            from rag.adapters.sentence_transformers import (  # noqa: PLC0415
                SentenceTransformersEmbedder,
            )

            return SentenceTransformersEmbedder(settings.model)
        case _:
            assert_never(settings.kind)


def build_reranker(settings: RetrievalSettings, passages: Passages) -> Reranker | None:
    match settings.rerank:
        case "late_interaction":
            return LateInteractionReranker(passages, weight=settings.rerank_weight)
        case "cross_encoder":
            from rag.adapters.cross_encoder import CrossEncoderReranker  # noqa: PLC0415 - torch

            return CrossEncoderReranker(settings.rerank_model)
        case "none":
            return None
        case _:
            assert_never(settings.rerank)


def fusion_of(settings: RetrievalSettings) -> Fusion:
    match settings.fusion:
        case "sum":
            return normalised_sum_fusion
        case "rrf":
            return reciprocal_rank_fusion
        case _:
            assert_never(settings.fusion)


def patience_of(settings: LanguageModelSettings) -> Patience:
    return Patience(
        connect_s=settings.connect_timeout_s,
        first_token_s=settings.first_token_timeout_s,
        total_s=settings.total_timeout_s,
    )


def build_wire(
    *,
    base_url: str,
    model: str,
    api_key: SecretStr | None,
    patience: Patience,
    logprobs: bool = False,
    prompt_cache: PromptCache = "none",
) -> "OpenAIWire":
    """It goes through the environment's proxy where there is one."""
    from rag.adapters.openai_wire import HttpConnections, OpenAIWire  # noqa: PLC0415 - aiohttp

    secret = secret_of(None if api_key is None else api_key.get_secret_value())
    return OpenAIWire(
        connections=HttpConnections(trust_env=bool(getproxies())),
        base_url=base_url,
        model=model,
        api_key=api_key,
        patience=patience,
        logprobs=logprobs,
        trace_headers=trace_headers,
        prefix_cache=None
        if prompt_cache == "none"
        else PrefixCache(how=prompt_cache, secret=secret),
    )


def build_llama_index(class_path: str, model: str, patience: Patience) -> LanguageModel:
    """The operator's llama-index `LLM`: `module:Class`, made with `model` where that is named."""
    from rag.adapters.llama_index import LlamaIndexModel  # noqa: PLC0415 - imports much

    module, _, name = class_path.partition(":")
    try:
        make = cast("Callable[..., Any]", getattr(import_module(module), name))
        return LlamaIndexModel(make(model=model) if model else make(), patience)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"llama_index_class = {class_path}: {error}") from error
