"""Fits the weights of `rag/guardrails/linear.py`: logistic regression over the windows it looks through.

What makes an attack one may be a sentence in a long text, so the fit goes twice: first on whole
texts, then on the window of each attack that the first fit finds the most telling, and on every
window of what is none.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scikit-learn ships no types.

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from rag.guardrails.linear import LinearModel, best_window, indices_of, windows_of, words_of
from rag.guardrails.readings import folded

SIZE = 1 << 16
_MOST_WINDOWS = 16
_TELLING = 2


@dataclass(frozen=True, slots=True)
class Example:
    text: str
    positive: bool
    source: str
    group: str
    """What is never split between training and test: near-copies, expansions of one template."""
    family: str = ""


@dataclass(frozen=True, slots=True)
class Fitted:
    weights: NDArray[np.float32]
    bias: float

    def raw(self, text: str) -> float:
        """The score before the logistic function: 0 where both are as likely."""
        return best_window(self.weights, words_of(folded(text))) + self.bias


def fit(examples: Sequence[Example], *, c: float, size: int = SIZE) -> Fitted:
    """`c` is the inverse strength of the regularisation. Every source weighs the same within its
    class, and both classes weigh the same."""
    words = [words_of(folded(example.text)) for example in examples]
    first = [[part[:400]] for part in words]
    fitted = _fit(first, examples, c=c, size=size)
    second = [
        [*whole, *(_telling(part, fitted) if example.positive else _windows(part))]
        for part, whole, example in zip(words, first, examples, strict=True)
    ]
    return _fit(second, examples, c=c, size=size)


def _windows(words: list[bytes]) -> list[list[bytes]]:
    """Those the text is seen through, besides the whole; some of them where they are many."""
    starts, ends = windows_of(words)
    found = [words[start:end] for start, end in zip(starts[1:], ends[1:], strict=True)]
    if len(found) > _MOST_WINDOWS:
        chosen = np.random.default_rng(len(words)).choice(len(found), _MOST_WINDOWS, replace=False)
        return [found[at] for at in chosen]
    return found


def _telling(words: list[bytes], fitted: Fitted) -> list[list[bytes]]:
    """The windows that say most."""
    starts, ends = windows_of(words)
    found = [words[start:end] for start, end in zip(starts[1:], ends[1:], strict=True)]
    found.sort(key=lambda part: -best_window(fitted.weights, part))
    return found[:_TELLING]


def _fit(
    parts: Sequence[list[list[bytes]]], examples: Sequence[Example], *, c: float, size: int
) -> Fitted:
    columns: list[NDArray[np.uint32]] = []
    values: list[NDArray[np.float32]] = []
    labels: list[bool] = []
    shares: list[float] = []
    lengths = [0]
    of_source: dict[tuple[bool, str], int] = {}
    for example in examples:
        of_source[example.positive, example.source] = (
            of_source.get((example.positive, example.source), 0) + 1
        )
    sources = {positive: sum(one is positive for one, _ in of_source) for positive in (True, False)}
    for each, example in zip(parts, examples, strict=True):
        usable = [part for part in each if part]
        for part in usable:
            indices = indices_of(part, size).ravel()
            indices = indices[indices != 0]
            columns.append(indices)
            values.append(np.full(len(indices), 1 / np.sqrt(len(part)), np.float32))
            lengths.append(lengths[-1] + len(indices))
            labels.append(example.positive)
            count = of_source[example.positive, example.source]
            # Between equal examples and equal sources: a small source says less than a large one.
            shares.append(1 / (np.sqrt(count) * sources[example.positive] * np.sqrt(len(usable))))
    matrix = csr_matrix(
        (np.concatenate(values), np.concatenate(columns).astype(np.int32), np.array(lengths)),
        shape=(len(labels), size),
    )
    weight: NDArray[np.float64] = np.array(shares, np.float64)
    truth = np.array(labels)
    for side in (True, False):
        total = float(np.sum(weight, where=truth == side))
        weight = np.where(truth == side, weight * len(labels) / 2 / total, weight)
    model = LogisticRegression(C=c, max_iter=200, tol=1e-3)
    model.fit(matrix, truth, sample_weight=weight)
    weights: NDArray[np.float32] = np.array(model.coef_, np.float32).reshape(-1)
    weights[0] = 0  # the feature that is none
    return Fitted(weights, float(np.array(model.intercept_).reshape(-1)[0]))


def write(
    fitted: Fitted, name: str, *, threshold: float, scale: float, trained_on: str
) -> LinearModel:
    """Put the weights where `load_linear(name)` finds them, as half-precision numbers."""
    folder = Path(__file__).parents[2] / "rag" / "guardrails" / "weights"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.npy"
    np.save(path, fitted.weights.astype(np.float16), allow_pickle=False)
    card = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bias": round(fitted.bias, 6),
        "scale": scale,
        "threshold": round(threshold, 4),
        "trained_on": trained_on,
    }
    (folder / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return LinearModel(
        weights=fitted.weights,
        bias=fitted.bias,
        scale=scale,
        threshold=threshold,
        trained_on=trained_on,
    )
