"""A linear classifier over hashed words and letters: small, quick, and its weights are plain numbers.

A text is seen through windows, so an attack in the middle of a long text weighs as much as one
that stands alone. The weight of every feature is looked up once; windows are sums of them.
"""

import hashlib
import json
import re
from binascii import crc32
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import ConfigurationError
from rag.guardrails.lexicon import CODES

WINDOWS = ((16, 5), (40, 10), (160, 20))
"""Windows of so many words, and how many lie between the beginnings of two."""
_STOPS = frozenset((b".", b"!", b"?", b":", b";"))
_LEAST_WORDS = 5
"""A sentence of fewer is judged with its neighbours."""
_REACH = 6
"""Words between two of a known class that still belong together."""
_WORD = re.compile(rb"[a-z0-9\x80-\xff]+|[^\sa-z0-9\x80-\xff]")
_NUMBER = re.compile(rb"[0-9]+")
_EVERY_HASH = 2**32
_SEEDS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1)

Indices = NDArray[np.uint32]
"""Shape (features, words): what each word, with the ones after it, is hashed to."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """Weights by feature, and where they come from."""

    weights: NDArray[np.float32]
    bias: float
    scale: float
    """Of the logistic function, so that .5 is the threshold that was chosen."""
    threshold: float
    trained_on: str

    def score(self, folded: str) -> float:
        """0 to 1, of the window that says most. `folded` is lower-case (see `readings.folded`)."""
        best = _best_of(self.weights, _features_of(folded))
        return 1 / (1 + float(np.exp(-self.scale * (best + self.bias - self.threshold))))


def words_of(folded: str) -> list[bytes]:
    """Words and signs, in UTF-8, between two that stand for the ends; a number is a number."""
    found = _WORD.findall(_NUMBER.sub(b"0", folded.encode(errors="replace")))
    return [b"^", *found, b"$"] if found else []


def best_window(weights: NDArray[np.float32], words: list[bytes]) -> float:
    """The highest sum of weights of a window, over the square root of its words."""
    return _best_of(weights, _features(words))


def _best_of(weights: NDArray[np.float32], features: "_Features | None") -> float:
    if features is None:
        return 0.0
    each = weights[features.indices & np.uint32(len(weights) - 1)].sum(axis=0)
    total = np.concatenate(([np.float32(0)], np.cumsum(each, dtype=np.float32)))
    sums = total[features.ends] - total[features.starts]
    return float((sums / np.sqrt(features.ends - features.starts)).max())


@dataclass(frozen=True, slots=True, eq=False)
class _Features:
    """What does not depend on the weights, nor on how many there are."""

    indices: Indices
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]


@lru_cache(maxsize=32)
def _features_of(folded: str) -> _Features | None:
    """Several classifiers look at one text, one soon after the other."""
    return _features(words_of(folded))


def _features(words: list[bytes]) -> _Features | None:
    return _Features(indices_of(words, _EVERY_HASH), *windows_of(words)) if words else None


def windows_of(words: list[bytes]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each window begins and ends: the whole text, every sentence, every two of them, and
    runs of a fixed number of words."""
    count = len(words)
    starts, ends = [np.zeros(1, np.intp)], [np.full(1, count, np.intp)]
    stops = np.array([at + 1 for at, word in enumerate(words) if word in _STOPS], np.intp)
    bounds = np.unique(np.concatenate((starts[0], stops, ends[0])))
    for apart in (1, 2):
        if len(bounds) > apart:
            long_enough = bounds[apart:] - bounds[:-apart] >= _LEAST_WORDS
            starts.append(bounds[:-apart][long_enough])
            ends.append(bounds[apart:][long_enough])
    for size, stride in WINDOWS:
        if count > size:
            first = np.append(np.arange(0, count - size, stride), count - size)
            starts.append(first)
            ends.append(first + size)
    return np.concatenate(starts), np.concatenate(ends)


def indices_of(words: list[bytes], size: int) -> Indices:
    """The features of each word, each below `size`, a power of two. Shape (10, words).

    It itself, with one and with two after it, with the one after the next, its first and its last
    letters; and of words of a known class the class, with the next one, two and three of their
    kind. Feature 0 is none: its weight is 0.
    """
    count = len(words)
    hashes = np.fromiter(map(crc32, words), np.uint32, count)
    starts = np.fromiter((crc32(word[:5], 1) for word in words), np.uint32, count)
    ends = np.fromiter((crc32(word[-4:], 2) for word in words), np.uint32, count)
    second, third = _after(hashes, 1), _after(hashes, 2)
    pair = (hashes * _seed(1)) ^ (second * _seed(2))
    rows = np.stack(
        (
            hashes * _seed(0),
            pair,
            pair ^ (third * _seed(3)),
            (hashes * _seed(4)) ^ (third * _seed(0)),
            (starts * _seed(2)) ^ (_after(starts, 1) * _seed(4)),
            (ends * _seed(3)) ^ (starts * _seed(1)),
        )
    )
    known = (rows ^ (rows >> np.uint32(15))) & np.uint32(size - 1)
    return np.concatenate((known, _class_indices(words, size)))


def _class_indices(words: list[bytes], size: int) -> Indices:
    codes = np.fromiter((CODES.get(word, 0) for word in words), np.uint32, len(words))
    rows = np.zeros((4, len(words)), np.uint32)
    (places,) = np.nonzero(codes)
    if len(places) == 0:
        return rows
    each = codes[places] * np.uint32(0x01000193)
    chain = each.copy()
    for row in range(4):
        mixed = chain * _seed(row)
        rows[row, places] = ((mixed ^ (mixed >> np.uint32(13))) & np.uint32(size - 1)) | np.uint32(
            1
        )
        following = _after(each, row + 1)
        apart = _after(places.astype(np.uint32), row + 1) - places.astype(np.uint32)
        # Classes far from one another have nothing to do with each other; a chain ends there.
        chain = np.where(apart <= _REACH * (row + 1), chain * _seed(4) ^ following, np.uint32(row))
    return rows


def _seed(number: int) -> np.uint32:
    return np.uint32(_SEEDS[number])


def _after(hashes: NDArray[np.uint32], by: int) -> NDArray[np.uint32]:
    """What follows each word; 0 at the end."""
    moved = np.zeros_like(hashes)
    if by < len(hashes):
        moved[:-by] = hashes[by:]
    return moved


def load_linear(name: str) -> LinearModel:
    """The model `name` that lies beside this file: weights as numbers, and a card that says where
    they come from. Raises `ConfigurationError` where they do not belong together."""
    folder = Path(__file__).parent / "weights"
    data = (folder / f"{name}.npy").read_bytes()
    card = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise ConfigurationError(f"the weights of {name} are not those that its card describes")
    with (folder / f"{name}.npy").open("rb") as file:
        weights = np.load(file, allow_pickle=False)
    return LinearModel(
        weights=weights.astype(np.float32),
        bias=float(card["bias"]),
        scale=float(card["scale"]),
        threshold=float(card["threshold"]),
        trained_on=str(card["trained_on"]),
    )
