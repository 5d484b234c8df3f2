"""Words that are surely words: what is none of them may be somebody's name."""

from functools import cache, lru_cache
from importlib.resources import as_file, files
from zlib import crc32

import numpy as np

_ENDINGS = ("'s", "’s", "s", "es", "ed", "d", "ing", "ly", "er", "ers")
_SHORTEST_STEM = 3


@cache
def _hashes(name: str) -> frozenset[int]:
    """CRC-32 numbers of words, English and some German, as `tests/benchmarks/make_common_words.py`
    counted them. One rare name in 100,000 passes for one."""
    with as_file(files("rag.guardrails").joinpath(f"{name}.npy")) as path:
        return frozenset(np.load(path).tolist())


def is_common(word: str) -> bool:
    """Whether `word`, in lower case, is a word that is written small."""
    return crc32(word.encode()) in _hashes("common_words")


def is_opening(word: str) -> bool:
    """Whether `word`, in lower case, is a common word that sentences begin with."""
    return crc32(word.encode()) in _hashes("opening_words")


@lru_cache(maxsize=16_384)
def is_common_form(word: str) -> bool:
    """Whether `word`, in lower case, or what is left without an ending, is in the list."""
    if is_common(word):
        return True
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            stem = word[: -len(ending)]
            if is_common(stem) or (ending[0] in "ei" and is_common(stem + "e")):
                return True
            if len(stem) > _SHORTEST_STEM and stem[-1] == stem[-2] and is_common(stem[:-1]):
                return True
    return False
