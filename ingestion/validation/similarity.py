"""Near-duplicates: a document's MinHash signature, and how much alike two of them are.

Broder, "On the resemblance and containment of documents" (1997), over the set of all runs of four
words; bands as in Leskovec et al., "Mining of Massive Datasets", chapter 3: with ten bands of six,
documents that share 85 % of their runs meet in a band 99 times of 100, those that share half once
in seven.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from zlib import crc32

import numpy as np

BANDS, ROWS = 10, 6
ALIKE = 0.85
"""From this share of equal signature values on, two documents are called near-duplicates."""
_RUN = 4
_MIN_RUNS = 30
"""Shorter texts are alike by accident, or because they are forms."""
_MAX_WORDS = 20_000
_WORDS = re.compile(rb"[0-9a-z\x80-\xff]+")
"""In UTF-8, where a byte above 0x7f is part of a letter that is not ASCII, or of a sign."""
_RADIX = np.uint64(0x9E3779B97F4A7C15)
_random = np.random.default_rng(20261121)
_FACTORS = _random.integers(1, 1 << 63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SUMMANDS = _random.integers(0, 1 << 63, BANDS * ROWS, dtype=np.uint64)
"""They are part of what the ledger holds: other ones compare with nothing that is there."""


def signature_of(pieces: Sequence[str]) -> tuple[int, ...]:
    """60 numbers of 32 bits; empty for a text that is too short to compare."""
    words: list[bytes] = []
    for piece in pieces:
        words += _WORDS.findall(piece.lower().encode())
        if len(words) >= _MAX_WORDS:
            del words[_MAX_WORDS:]
            break
    if len(words) - _RUN + 1 < _MIN_RUNS:
        return ()
    hashed = np.fromiter(map(crc32, words), np.uint64, len(words))
    runs = hashed[: len(words) - _RUN + 1].copy()
    for later in range(1, _RUN):
        runs = runs * _RADIX + hashed[later : len(words) - _RUN + 1 + later]
    runs = np.unique(runs >> np.uint64(32))
    if len(runs) < _MIN_RUNS:
        return ()
    mixed = (runs[:, None] * _FACTORS + _SUMMANDS) >> np.uint64(32)
    return tuple(mixed.min(axis=0).tolist())


def bands_of(signature: Sequence[int]) -> tuple[int, ...]:
    """A signed number of 64 bits for each band, another for the same values in another band."""
    return tuple(
        _hash((band, *signature[band * ROWS : (band + 1) * ROWS]))
        for band in range(BANDS if signature else 0)
    )


def _hash(values: Sequence[int]) -> int:
    packed = np.array(values, np.uint64).tobytes()
    return int.from_bytes(blake2b(packed, digest_size=8).digest(), "big", signed=True)


def alike(one: Sequence[int], other: Sequence[int]) -> float:
    """The estimated share of runs that two texts have in common; 0 where one is too short."""
    if not one or len(one) != len(other):
        return 0.0
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)
