"""Sentence and token vectors from a BERT-like encoder on ONNX Runtime, without torch.

`load_onnx_embedder` reads a model directory as `rag.adapters.minilm` writes it: `model.onnx`,
`tokenizer.json`, optionally `projection.npy`, and `manifest.json` with the sha256 of each.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# onnxruntime has no types, and tokenizers only some.

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rag.adapters.lanes import Lanes
from rag.errors import ConfigurationError
from rag.types import Embedding, TokenVectors, Vector

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
PROJECTION_FILE = "projection.npy"
MANIFEST_FILE = "manifest.json"

BATCH_TOKENS = 2_048
"""Tokens of one forward pass, padding included: past this a batch is no faster, only larger."""
PASS_TOKENS = 32
"""What a forward pass costs besides its tokens, in tokens: measured as 10 to 60 on two cores."""
QUANTISED_ONE = 127
_SINGLE_THREADED = 200_000
"""Multiplications of a matrix product that OpenBLAS still does in the calling thread (262,144)."""
_LONGEST_WORD = 128
"""Characters: the tokenizer makes one token of any longer word, so a text may be cut by it."""

States = NDArray[np.float32]
"""Shape (tokens, dimensions): the last hidden state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """What a model directory holds, and the sha256 of each of its files."""

    name: str
    weights_sha256: str
    dimensions: int
    max_tokens: int
    files: Mapping[str, str]
    """File name to sha256."""

    def to_json(self) -> str:
        values = {slot: getattr(self, slot) for slot in self.__slots__}
        return json.dumps(values | {"files": dict(self.files)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def read(cls, model_dir: Path) -> Self:
        """Errors: `ConfigurationError`."""
        try:
            values = json.loads((model_dir / MANIFEST_FILE).read_text("utf-8"))
            return cls(
                name=str(values["name"]),
                weights_sha256=str(values["weights_sha256"]),
                dimensions=int(values["dimensions"]),
                max_tokens=int(values["max_tokens"]),
                files={str(name): str(digest) for name, digest in values["files"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"no embedding model in {model_dir}: run `python -m rag.adapters.minilm`"
            ) from error

    def checked_bytes(self, model_dir: Path, name: str) -> bytes:
        """The file's content, if it is what was recorded. Errors: `ConfigurationError`."""
        try:
            content = (model_dir / name).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"the model file {model_dir / name} cannot be read") from error
        if sha256(content).hexdigest() != self.files.get(name):
            raise ConfigurationError(
                f"the model file {model_dir / name} is not the one that was exported"
            )
        return content


def load_onnx_embedder(
    model_dir: Path, *, threads: int = 2, token_dimensions: int | None = 128
) -> "OnnxEmbedder":
    """The embedder of `model_dir`, every file of it checked against its recorded sha256.

    `token_dimensions` of None stores no token vectors; a number as large as the model's own
    dimensions stores them unprojected. Errors: `ConfigurationError`.
    """
    manifest = ModelManifest.read(model_dir)
    projection, token_name = _projection(manifest, model_dir, token_dimensions)
    return OnnxEmbedder(
        open_encoder(model_dir, threads=threads),
        name=f"{manifest.name}@{manifest.weights_sha256[:12]}/{token_name}",
        dimensions=manifest.dimensions,
        projection=projection,
    )


def open_encoder(model_dir: Path, *, threads: int = 2) -> "Encoder":
    """The bare encoder of `model_dir`. Errors: `ConfigurationError`."""
    manifest = ModelManifest.read(model_dir)
    tokenizer = Tokenizer.from_str(manifest.checked_bytes(model_dir, TOKENIZER_FILE).decode())
    options: Any = ort.SessionOptions()  # pyright: ignore[reportUnknownVariableType]
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the cores from the searches beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(
        manifest.checked_bytes(model_dir, MODEL_FILE), options, providers=["CPUExecutionProvider"]
    )
    return Encoder(session, tokenizer, max_tokens=manifest.max_tokens)


def _projection(
    manifest: ModelManifest, model_dir: Path, token_dimensions: int | None
) -> tuple[States | None, str]:
    """The matrix of shape (dimensions, token dimensions), and what to call it."""
    if token_dimensions is None:
        return None, "no tokens"
    if token_dimensions == manifest.dimensions:
        return np.eye(manifest.dimensions, dtype=np.float32), "tokens"
    content = manifest.checked_bytes(model_dir, PROJECTION_FILE)
    columns = cast("NDArray[np.float16]", np.load(BytesIO(content), allow_pickle=False))
    if not 1 <= token_dimensions <= columns.shape[1]:
        raise ConfigurationError(
            f"{manifest.name} gives token vectors of 1 to {columns.shape[1]} dimensions,"
            f" or of {manifest.dimensions}, not of {token_dimensions}"
        )
    digest = manifest.files[PROJECTION_FILE][:12]
    name = f"tokens {token_dimensions}@{digest}"
    return np.ascontiguousarray(columns[:, :token_dimensions], dtype=np.float32), name


class Encoder:
    """A tokenizer and an ONNX session: texts in, the last hidden states out. Safe for threads."""

    def __init__(
        self, session: ort.InferenceSession, tokenizer: Tokenizer, *, max_tokens: int
    ) -> None:
        self.max_tokens = max_tokens
        self._session = session
        self._counter = Tokenizer.from_str(tokenizer.to_str())
        self._counter.no_padding()
        self._counter.no_truncation()
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        whole = [_encodable(text) for text in texts]
        encodings = self._counter.encode_batch_fast(whole, add_special_tokens=False)
        return [len(encoding) for encoding in encodings]

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids with the special tokens around them, at most `max_tokens` a text."""
        limit = self.max_tokens * _LONGEST_WORD
        cut = [_encodable(text[:limit]) for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(cut)]

    def states(self, batch: Sequence[Sequence[int]]) -> list[States]:
        """One forward pass: the states of each text's own tokens, special ones included."""
        width = max(map(len, batch))
        ids = np.zeros((len(batch), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        outputs = cast(
            "list[NDArray[np.float32]]",
            self._session.run(None, {"input_ids": ids, "attention_mask": mask}),
        )
        return [outputs[0][row, : len(tokens)] for row, tokens in enumerate(batch)]


class OnnxEmbedder:
    """Mean-pooled unit vectors, and int8 token vectors without the special tokens.

    Documents and queries run in a thread of their own each, so that a question never waits for
    an ingest. A cancelled call ends after the batch it is in.
    """

    def __init__(
        self, encoder: Encoder, *, name: str, dimensions: int, projection: States | None
    ) -> None:
        self._encoder = encoder
        self._name = name
        self._dimensions = dimensions
        self._projection = projection
        self._lanes = Lanes()

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def max_tokens(self) -> int:
        return self._encoder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._encoder.count_tokens(texts)

    async def embed_query(self, text: str) -> Embedding:
        return await self._lanes.for_query(lambda: self._embed(self._encoder.token_ids([text]))[0])

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        ids = await self._lanes.for_documents(lambda: self._encoder.token_ids(texts))
        found: dict[int, Embedding] = {}
        for places in batches_by_length([len(tokens) for tokens in ids]):
            batch = [ids[place] for place in places]
            embeddings = await self._lanes.for_documents(lambda batch=batch: self._embed(batch))
            found.update(zip(places, embeddings, strict=True))
        return [found[place] for place in range(len(texts))]

    async def aclose(self) -> None:
        """Let the batch that runs finish, and refuse further work."""
        await self._lanes.aclose()

    def _embed(self, batch: Sequence[Sequence[int]]) -> list[Embedding]:
        return [
            Embedding(_pooled(states), self._token_vectors(states[1:-1]))
            for states in self._encoder.states(batch)
        ]

    def _token_vectors(self, states: States) -> TokenVectors | None:
        if self._projection is None:
            return None
        projected = _times(states, self._projection)
        norms = np.linalg.norm(projected, axis=1, keepdims=True)
        unit = projected / np.maximum(norms, np.finfo(np.float32).tiny)
        return np.rint(unit * QUANTISED_ONE).astype(np.int8)


def batches_by_length(lengths: Sequence[int], *, tokens: int = BATCH_TOKENS) -> list[list[int]]:
    """Places of texts, longest first, in batches of at most `tokens` once padded.

    Neighbours in length share a batch where that costs less in padding than another forward pass
    would: a few texts of mixed lengths are then embedded at nearly the price of many. Of all cuts
    of the sorted lengths it is the cheapest. The longest come first, so that memory is at its most
    at once and not at the end.
    """
    places = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    cheapest, begins = [0], [0]  # of the first so many places: their cost, their last batch's start
    for end in range(1, len(places) + 1):
        options: list[tuple[int, int]] = []
        for start in range(end - 1, -1, -1):
            padded = (end - start) * lengths[places[start]]
            if options and padded > tokens:
                break
            options.append((cheapest[start] + padded + PASS_TOKENS, start))
        cost, start = min(options)
        cheapest.append(cost)
        begins.append(start)
    batches: list[list[int]] = []
    end = len(places)
    while end:
        batches.append(places[begins[end] : end])
        end = begins[end]
    return batches[::-1]


def _times(states: States, matrix: States) -> States:
    """`states @ matrix`, a few rows at a time.

    A larger product numpy's BLAS shares among threads of its own, which then wait busily beside
    ONNX Runtime's: up to eight times the CPU on a loaded machine.
    """
    rows, inner = states.shape
    block = max(1, _SINGLE_THREADED // matrix.size)
    whole = rows - rows % block
    result = np.empty((rows, matrix.shape[1]), dtype=np.float32)
    blocks = states[:whole].reshape(-1, block, inner)
    result[:whole] = (blocks @ matrix).reshape(whole, matrix.shape[1])
    result[whole:] = states[whole:] @ matrix
    return result


def _pooled(states: States) -> Vector:
    mean = states.mean(axis=0)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def _encodable(text: str) -> str:
    """`text` with lone surrogates, which no tokenizer reads, as question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
