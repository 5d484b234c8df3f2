"""Fits the weights of `rag/guardrails/linear.py`: logistic regression over the windows it looks through.

What makes an attack one may be a sentence in a long text, so the fit goes twice: first on whole
texts, then on the window of each attack that the first fit finds the most telling, and on every
window of what is none.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scikit-learn ships no types.

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from rag.guardrails.linear import (
    WITHOUT_LETTERS,
    Indices,
    LinearModel,
    indices_of,
    windows_of,
    words_of,
)
from rag.guardrails.readings import folded

SIZE = 1 << 17
_MOST_WORDS = 400
"""Of a text that is taken whole."""
_TELLING = 2

Span = tuple[int, int]
"""The first word of a window, and the one after its last."""


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

    def model(
        self, how: "Fitting", *, scale: float, threshold: float, trained_on: str = ""
    ) -> LinearModel:
        return LinearModel(
            weights=self.weights,
            bias=self.bias,
            scale=scale,
            threshold=threshold,
            trained_on=trained_on,
            length_power=how.length_power,
            with_letters=how.with_letters,
        )


@dataclass(frozen=True, slots=True)
class _Text:
    """An example, and what does not change from fit to fit."""

    example: Example
    indices: Indices
    windows: tuple[Span, ...]
    """Those the text is seen through, besides the whole."""

    @property
    def whole(self) -> Span:
        return 0, min(self.indices.shape[1], _MOST_WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """How a classifier is fitted."""

    c: float
    """The inverse strength of the regularisation."""
    size: int = SIZE
    """How many weights: a power of two."""
    length_power: float = 0.5
    with_letters: bool = False
    """These two: see `LinearModel`."""
    emphasis: Mapping[str, float] = field(default_factory=dict[str, float])
    """What a source weighs beside the others of its class; 1 where nothing is said."""
    most_windows: int = 16
    """Of what is none, besides the whole."""


def fit(examples: Sequence[Example], how: Fitting) -> Fitted:
    """A source weighs as much as the square root of its size; both classes weigh the same."""
    texts = [text for example in examples if (text := _text_of(example, how)) is not None]
    first = _fit([(text, [text.whole]) for text in texts], how)
    second = [
        (text, [text.whole, *(_telling(text, first, how) if text.example.positive else _some_windows(text, how))])
        for text in texts
    ]  # fmt: skip
    return _fit(second, how)


def _text_of(example: Example, how: Fitting) -> _Text | None:
    words = words_of(folded(example.text))
    if not words:
        return None
    starts, ends = windows_of(words)
    windows = zip(starts[1:].tolist(), ends[1:].tolist(), strict=True)
    indices = indices_of(words, how.size)
    kept = indices if how.with_letters else indices[:WITHOUT_LETTERS]
    return _Text(example, kept, tuple(windows))


def _some_windows(text: _Text, how: Fitting) -> list[Span]:
    found = list(text.windows)
    if len(found) > how.most_windows:
        chance = np.random.default_rng(text.indices.shape[1])
        return [found[at] for at in chance.choice(len(found), how.most_windows, replace=False)]
    return found


def _telling(text: _Text, fitted: Fitted, how: Fitting) -> list[Span]:
    """The windows that say most."""
    each = fitted.weights[text.indices].sum(axis=0)
    total = np.concatenate(([0.0], np.cumsum(each)))
    sums = {
        (start, end): (total[end] - total[start]) / (end - start) ** how.length_power
        for start, end in text.windows
    }
    return sorted(text.windows, key=lambda span: -sums[span])[:_TELLING]


def _fit(parts: Sequence[tuple[_Text, list[Span]]], how: Fitting) -> Fitted:
    columns: list[NDArray[np.int32]] = []
    values: list[NDArray[np.float32]] = []
    labels: list[bool] = []
    shares: list[float] = []
    lengths = [0]
    of_source = Counter((text.example.positive, text.example.source) for text, _ in parts)
    for text, spans in parts:
        example = text.example
        for start, end in spans:
            indices = text.indices[:, start:end].ravel()
            columns.append(indices[indices != 0].astype(np.int32))
            value = 1 / (end - start) ** how.length_power
            values.append(np.full(len(columns[-1]), value, np.float32))
            lengths.append(lengths[-1] + len(columns[-1]))
            labels.append(example.positive)
            count = of_source[example.positive, example.source]
            # Between equal examples and equal sources: a small source says less than a large one.
            share = how.emphasis.get(example.source, 1.0) / np.sqrt(count * len(spans))
            shares.append(float(share))
    matrix = csr_matrix(
        (np.concatenate(values), np.concatenate(columns), np.array(lengths)),
        shape=(len(labels), how.size),
    )
    matrix.sum_duplicates()
    weight: NDArray[np.float64] = np.array(shares, np.float64)
    truth = np.array(labels)
    for side in (True, False):
        total = float(np.sum(weight, where=truth == side))
        weight = np.where(truth == side, weight * len(labels) / 2 / total, weight)
    model = LogisticRegression(C=how.c, max_iter=200, tol=1e-3)
    model.fit(matrix, truth, sample_weight=weight)
    weights: NDArray[np.float32] = np.array(model.coef_, np.float32).reshape(-1)
    weights[0] = 0  # the feature that is none
    return Fitted(weights, float(np.array(model.intercept_).reshape(-1)[0]))


def write(
    fitted: Fitted,
    name: str,
    *,
    threshold: float,
    scale: float,
    trained_on: str,
    how: Fitting,
    corpora: Mapping[str, str] | None = None,
) -> LinearModel:
    """Put the weights where `load_linear(name)` finds them, as half-precision numbers. `corpora`: the
    files that others must have to fit them again, with the sha256 of each."""
    folder = Path(__file__).parents[2] / "rag" / "guardrails" / "weights"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.npy"
    np.save(path, fitted.weights.astype(np.float16), allow_pickle=False)
    card = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bias": round(fitted.bias, 6),
        "scale": scale,
        "threshold": round(threshold, 4),
        "length_power": how.length_power,
        "with_letters": how.with_letters,
        "trained_on": trained_on,
        **({"corpora": dict(corpora)} if corpora else {}),
    }
    (folder / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return fitted.model(how, scale=scale, threshold=threshold, trained_on=trained_on)
