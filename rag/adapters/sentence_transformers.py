"""Any sentence-transformers model, by hub id or local path, as an embedder.

Importing this module imports torch: it is imported only where such a model is chosen.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from rag.adapters.lanes import Lanes
from rag.errors import ConfigurationError
from rag.types import Embedding

_WINDOW = 64
"""Texts that one call to the model embeds: a cancelled ingest ends after them."""
_LONGEST_INPUT = 512
"""Tokens, where a model names no limit of its own."""


class SentenceTransformersEmbedder:
    """Unit vectors of a model, with the prompts that its authors or the caller set.

    `query_prompt` and `document_prompt` go before each text (E5 wants `query: ` and `passage: `);
    left at None, the model's own are used, if it has any. Texts beyond the model's limit are cut.
    There are no token vectors. Raises `ConfigurationError` where the model cannot be loaded.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        batch_size: int = 8,
        device: str = "cpu",
    ) -> None:
        try:
            self._model: Any = SentenceTransformer(str(model), device=device)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise ConfigurationError(f"the embedding model {model} cannot be loaded") from error
        self._tokenizer: Any = self._model.tokenizer
        self._query_prompt = query_prompt
        self._document_prompt = document_prompt
        self._batch_size = batch_size
        limit = self._model.max_seq_length or self._tokenizer.model_max_length
        self._max_tokens = int(limit) if limit < 1_000_000 else _LONGEST_INPUT
        prompts = repr((query_prompt, document_prompt, self._model.prompts, self._max_tokens))
        digest = _digest(self._model, prompts)
        self._name = f"{Path(str(model)).name}@{digest}"
        self._dimensions = int(self._model.get_embedding_dimension())
        self._lanes = Lanes()

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        encoded = self._tokenizer(list(texts), add_special_tokens=False, verbose=False)
        ids = cast("list[list[int]]", encoded["input_ids"])
        return [len(tokens) for tokens in ids]

    async def embed_query(self, text: str) -> Embedding:
        vectors = await self._lanes.for_query(
            lambda: self._encode(self._model.encode_query, [text], self._query_prompt)
        )
        return Embedding(vectors[0])

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        # Longest first, so that neighbours in length share a batch.
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        found: dict[int, Embedding] = {}
        for start in range(0, len(order), _WINDOW):
            places = order[start : start + _WINDOW]
            window = [texts[place] for place in places]
            vectors = await self._lanes.for_documents(
                lambda window=window: self._encode(
                    self._model.encode_document, window, self._document_prompt
                )
            )
            found.update(zip(places, map(Embedding, vectors), strict=True))
        return [found[place] for place in range(len(texts))]

    async def aclose(self) -> None:
        await self._lanes.aclose()

    def _encode(
        self, encode: Callable[..., Any], texts: Sequence[str], prompt: str | None
    ) -> NDArray[np.float32]:
        vectors = encode(
            list(texts),
            prompt=prompt,
            batch_size=self._batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(vectors, dtype=np.float32)


def _digest(model: Any, settings: str) -> str:
    """The weights, the modules' shape and the settings: what decides a model's vectors."""
    found = sha256(f"{settings}\n{model}".encode())
    state = cast("dict[str, torch.Tensor]", model.state_dict())
    for name in sorted(state):
        found.update(name.encode())
        weights = state[name].detach().cpu().contiguous().flatten()
        found.update(weights.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:12]
