"""A linear classifier over hashed words and letters: small, quick, and its weights are plain numbers.

A text is seen through windows, so an attack in the middle of a long text weighs as much as one
that stands alone. The weight of every feature is looked up once; windows are sums of them.
"""

import hashlib
import json
import math
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
_STOPS = (b". ", b"! ", b"? ", b": ", b"; ")
_BEGIN, _END = b"\x02", b"\x03"
_BETWEEN = _END + b" " + _BEGIN + b" "
_LEAST_WORDS = 7
"""A sentence of fewer, its two marks among them, is judged with its neighbours."""
_REACH = 6
"""Words between two of a known class that still belong together."""
_WORD = re.compile(rb"[a-z0-9\x80-\xff]+|[^\sa-z0-9\x80-\xff]")
_NUMBER = re.compile(rb"[0-9]+")
_EVERY_HASH = 2**32
_SEEDS = tuple(map(np.uint32, (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1)))
_ROW_SEEDS = np.array(_SEEDS[:4], np.uint32)[:, None]
_RUNS = (3, 4)
_MOST_RUNS = 12
"""Runs of letters of one word."""
WITHOUT_LETTERS = 10
"""The first so many features of a word are not of its runs of letters."""

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
    length_power: float = 0.5
    """A window's sum is divided by its number of words to this power: at 1 the mean counts, at 0
    the sum. In between, a few telling words in a short sentence are not all that is asked for."""
    with_letters: bool = False
    """Whether runs of letters are features, too."""

    def score(self, folded: str, *, above: float = 0.0) -> float:
        """0 to 1, of the window that says most; .5 is `above` over the threshold. `folded` is
        lower-case (see `readings.folded`)."""
        features = _features_of(folded)
        best = 0.0 if features is None else self._best_of(features)
        return 1 / (1 + math.exp(-self.scale * (best + self.bias - self.threshold - above)))

    def _best_of(self, features: "_Features") -> float:
        """The highest sum of weights of a window, over a power of its number of words."""
        indices = features.indices if self.with_letters else features.indices[:WITHOUT_LETTERS]
        total = np.zeros(indices.shape[1] + 1, np.float32)
        each = self.weights[indices & np.uint32(len(self.weights) - 1)].sum(axis=0)
        np.cumsum(each, out=total[1:])
        sums = total[features.ends] - total[features.starts]
        return float((sums / (features.ends - features.starts) ** self.length_power).max())


def words_of(folded: str) -> list[bytes]:
    """Words and signs, in UTF-8, between marks of where sentences begin and end: one that stands
    among others reads like one that stands alone. A number is a number."""
    text = _NUMBER.sub(b"0", folded.encode(errors="replace"))
    for stop in _STOPS:
        text = text.replace(stop, stop + _BETWEEN)
    found = _WORD.findall(text)
    return [_BEGIN, *found, _END] if found else []


@dataclass(frozen=True, slots=True, eq=False)
class _Features:
    """What does not depend on the weights, nor on how many there are."""

    indices: Indices
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]


@lru_cache(maxsize=32)
def _features_of(folded: str) -> _Features | None:
    """Several classifiers look at one text, one soon after the other."""
    words = words_of(folded)
    return _Features(indices_of(words, _EVERY_HASH), *windows_of(words)) if words else None


def windows_of(words: list[bytes]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each window begins and ends: the whole text, every sentence, every two of them, and
    runs of a fixed number of words."""
    count = len(words)
    bounds = [0, *(at for at, word in enumerate(words) if word == _BEGIN and at), count]
    sentences = [
        (start, end)
        for apart in (1, 2)
        for start, end in zip(bounds, bounds[apart:], strict=False)
        if end - start >= _LEAST_WORDS
    ]
    spans = np.array([(0, count), *sentences], np.intp)
    starts, ends = _runs_of(count)
    return np.concatenate((spans[:, 0], starts)), np.concatenate((spans[:, 1], ends))


@lru_cache(maxsize=1024)
def _runs_of(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The windows of a fixed number of words, in a text of `count`."""
    starts = [np.zeros(0, np.intp)]
    ends = [np.zeros(0, np.intp)]
    for size, stride in WINDOWS:
        if count > size:
            first = np.append(np.arange(0, count - size, stride), count - size)
            starts.append(first)
            ends.append(first + size)
    return np.concatenate(starts), np.concatenate(ends)


@lru_cache(maxsize=16_384)
def _numbers_of(word: bytes) -> bytes:
    """What a word is, how it begins, how it ends, the number of its class and its runs of three
    and four letters: as bytes, for many of them are joined."""
    within = b"<" + word + b">"
    runs = [within[at : at + size] for size in _RUNS for at in range(len(within) - size + 1)]
    letters = [crc32(run, 7) for run in runs[:_MOST_RUNS]]
    letters += [0] * (_MOST_RUNS - len(letters))
    hashed = crc32(word), crc32(word[:5], 1), crc32(word[-4:], 2), CODES.get(word, 0)
    return np.array((*hashed, *letters), np.uint32).tobytes()


def indices_of(words: list[bytes], size: int) -> Indices:
    """The features of each word, each below `size`, a power of two. Shape (22, words).

    It itself, with one and with two after it, with the one after the next, its first and its last
    letters; of words of a known class the class, with the next one, two and three of their kind;
    and up to twelve runs of letters within it. Feature 0 is none: its weight is 0.
    """
    count = len(words)
    joined = b"".join(map(_numbers_of, words))
    numbers = np.frombuffer(joined, np.uint32).reshape(count, 4 + _MOST_RUNS).T
    # Past the end stand zeros: what follows the last word is nothing.
    after = np.zeros((2, count + 2), np.uint32)
    after[:, :count] = numbers[:2]
    hashes, starts = after[:, :count]
    third = after[0, 2:]
    rows = np.empty((WITHOUT_LETTERS + _MOST_RUNS, count), np.uint32)
    known = rows[:6]
    np.multiply(hashes, _SEEDS[0], out=known[0])
    np.bitwise_xor(hashes * _SEEDS[1], after[0, 1:-1] * _SEEDS[2], out=known[1])
    np.bitwise_xor(known[1], third * _SEEDS[3], out=known[2])
    np.bitwise_xor(hashes * _SEEDS[4], third * _SEEDS[0], out=known[3])
    np.bitwise_xor(starts * _SEEDS[2], after[1, 1:-1] * _SEEDS[4], out=known[4])
    np.bitwise_xor(numbers[2] * _SEEDS[3], starts * _SEEDS[1], out=known[5])
    known ^= known >> np.uint32(15)
    known &= np.uint32(size - 1)
    _fill_classes(rows[6:WITHOUT_LETTERS], numbers[3], size)
    np.bitwise_and(numbers[4:], np.uint32(size - 1), out=rows[WITHOUT_LETTERS:])
    return rows


def _fill_classes(rows: Indices, codes: NDArray[np.uint32], size: int) -> None:
    rows[:] = 0
    (places,) = np.nonzero(codes)
    count = len(places)
    if count == 0:
        return
    # Past the end stand zeros, as above.
    each = np.zeros(count + 3, np.uint32)
    np.multiply(codes[places], np.uint32(0x01000193), out=each[:count])
    where = np.zeros(count + 3, np.uint32)
    where[:count] = places
    chains = np.empty((4, count), np.uint32)
    chains[0] = each[:count]
    for row in range(1, 4):
        # Classes far from one another have nothing to do with each other; a chain ends there, and
        # at the end, where less than nothing is a huge distance.
        far = where[row : row + count] - where[:count] > _REACH * row
        np.bitwise_xor(chains[row - 1] * _SEEDS[4], each[row : row + count], out=chains[row])
        chains[row][far] = row - 1
    chains *= _ROW_SEEDS
    chains ^= chains >> np.uint32(13)
    chains &= np.uint32(size - 1)
    chains |= np.uint32(1)
    rows[:, places] = chains


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
        length_power=float(card.get("length_power", 0.5)),
        with_letters=bool(card.get("with_letters", False)),
    )
