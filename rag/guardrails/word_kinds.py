"""What is known of a word by itself: an ordinary word, a German noun, somebody's name, or several of these."""

from array import array
from bisect import bisect_left
from functools import cache
from importlib.resources import as_file, files
from typing import Final
from zlib import crc32

import numpy as np


class WordKind:
    """Of a word in lower case. A word of no kind is unknown, as most names are. Plain numbers:
    members of an `IntFlag` take ten times as long to combine."""

    ENGLISH: Final = 1
    """Written small in English."""
    GERMAN: Final = 2
    """Written small in German."""
    NOUN: Final = 4
    """A German noun."""
    NAME: Final = 8
    """A first name or a family name somewhere in the world."""
    OPENING: Final = 16
    """An English word that sentences begin with."""
    ACRONYM: Final = 32
    """Written in capitals, and nobody's name: VAT."""
    SELDOM: Final = 64
    """Written small in English, but rare or somebody's name as well: vanes, lantern."""


@cache
def _lists() -> "tuple[array[int], bytes]":
    """CRC-32 numbers of words in order, and their kinds, as `tests/benchmarks/make_word_lists.py`
    counted them. One rare name in 10,000 passes for some word."""
    with as_file(files("rag.guardrails").joinpath("weights")) as folder:
        numbers, kinds = np.load(folder / "words.npy"), np.load(folder / "word_kinds.npy")
    return array("I", numbers.astype(np.uint32).tobytes()), kinds.tobytes()


def kinds_of(word: str) -> int:
    """Flags of `WordKind` for `word`, which is in lower case; 0 where it is unknown. About 1 µs."""
    numbers, kinds = _lists()
    number = crc32(word.encode("utf-8", "surrogatepass"))
    at = bisect_left(numbers, number)
    return kinds[at] if at < len(numbers) and numbers[at] == number else 0
