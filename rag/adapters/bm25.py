"""Text to BM25 term weights, as the sparse vectors that an index with IDF ranks by.

The index multiplies a document's term weight by the query's and by the term's IDF, and sums. With
the weights below that is Okapi BM25 (Robertson and Zaragoza, *The Probabilistic Relevance
Framework: BM25 and Beyond*, 2009), with the IDF that is never negative: ln(1 + (N-n+.5)/(n+.5)).
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import cast

import numpy as np
from numpy.typing import NDArray
from snowballstemmer.english_stemmer import EnglishStemmer

K1 = 1.2
B = 0.75
AVERAGE_LENGTH = 120.0
"""Terms in an average chunk. A constant, because a chunk's weights must not change as other
documents come and go; chunks are cut to one size, so the true mean stays near it."""

SparseVector = tuple[NDArray[np.uint32], NDArray[np.float32]]
"""Term numbers, ascending and distinct, and the weight of each."""


def sparse_document(
    text: str, *, k1: float = K1, b: float = B, average_length: float = AVERAGE_LENGTH
) -> SparseVector:
    """Each term's saturated frequency: tf (k1 + 1) / (tf + k1 (1 - b + b length / average))."""
    found = terms(text)
    numbers, counts = _counted(found)
    norm = k1 * (1 - b + b * len(found) / average_length)
    return numbers, (counts * (k1 + 1) / (counts + norm)).astype(np.float32)


def sparse_query(text: str) -> SparseVector:
    """Each term as often as it is asked for."""
    numbers, counts = _counted(terms(text))
    return numbers, counts.astype(np.float32)


def _counted(found: list[str]) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    counted = sorted(Counter(map(_number, found)).items())
    numbers = np.array([number for number, _ in counted], dtype=np.uint32)
    return numbers, np.array([count for _, count in counted], dtype=np.float64)


# --- terms -------------------------------------------------------------------------------------

_LETTER = r"[^\W_]|[\u0900-\u0963\u0966-\u0dff]"  # Indic vowel signs are no \w, yet inside words
_WORD = re.compile(rf"(?:{_LETTER})+(?:[-./_](?:{_LETTER})+)*")
_JOINT = re.compile(r"[-./_]")
_POSSESSIVE = re.compile(r"(?<=\w)['\u2019]s\b", re.IGNORECASE)
_MARKS = re.compile(r"[\u0300-\u036f\u0591-\u05bd\u064b-\u0652]")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_DASHES = {ord(dash): "-" for dash in "\u2010\u2011\u2012\u2013\u2212"} | {ord("\u00ad"): None}

_GERMAN_ENDING = re.compile(r"(?<=\w{5})(?:ern|em|en|er|es|e|n)$")
_LONGEST_STEMMED = 40

_STOP_WORDS = frozenset(
    """
    a an and are as at be been but by can did do does for from had has have how if in into is it its
    may no not of on or our shall should so such than that the their then there these they this those
    to was we were what when where which who whom whose why will with would you your
    aber als am auch auf aus bei dem den der des das dass ein eine einem einen einer eines es für im
    ist ja kann mit nach nicht oder sich sie sind so und vom von vor welche welcher welches wenn wer
    werden wie wird wo wurde zu zum zur über
    """.translate(str.maketrans("üö", "uo")).split()
)


def terms(text: str) -> list[str]:
    """The terms of a document or a query, in order, repeats included.

    Case and diacritics are folded and words are stemmed. A code such as `SEAL-4471-B` is found
    whole, with any of its joints or none, and by its parts. Stop words are left out, unless they
    are written in capitals (`IT`, `WHO`). Scripts without spaces give pairs of characters.
    """
    found: list[str] = []
    folded = unicodedata.normalize("NFKD", text.translate(_DASHES))
    plain = unicodedata.normalize("NFC", _MARKS.sub("", folded))
    for match in _WORD.finditer(_POSSESSIVE.sub("", plain)):
        word = match.group()
        parts = _JOINT.split(word)
        if len(parts) > 1 and any(map(str.isdigit, word)):
            found.append(_whole(word.casefold(), parts))
        for part in parts:
            found.extend(_terms_of(part))
    return found


def _whole(code: str, parts: list[str]) -> str:
    """A code without its joints. A number keeps them: 3.5 is not 35."""
    return code if all(map(str.isdigit, parts)) else _JOINT.sub("", code)


def _terms_of(word: str) -> list[str]:
    if _UNSPACED.search(word):
        return _pairs(word)
    lowered = word.casefold()
    if lowered in _STOP_WORDS and not (len(word) > 1 and word.isupper()):
        return []
    return [_stem(lowered)]


def _pairs(word: str) -> list[str]:
    """Overlapping pairs of characters of each run without spaces, and what stands between."""
    found: list[str] = []
    start = 0
    for run in _UNSPACED.finditer(word):
        if between := word[start : run.start()]:
            found.append(_stem(between.casefold()))
        characters = run.group()
        found += [characters[i : i + 2] for i in range(max(1, len(characters) - 1))]
        start = run.end()
    if rest := word[start:]:
        found.append(_stem(rest.casefold()))
    return found


@lru_cache(maxsize=1 << 17)
def _stem(word: str) -> str:
    """The English stem, less a German ending: the endings of one hardly touch the other's stems.

    A stemmer keeps state while it works, so each call has its own: this runs in many threads.
    """
    if len(word) > _LONGEST_STEMMED or not word.isalpha():
        return word
    stem = cast("str", EnglishStemmer().stemWord(word))
    return _GERMAN_ENDING.sub("", stem)


@lru_cache(maxsize=1 << 17)
def _number(term: str) -> int:
    """A term's number, the same in every process and for ever.

    Of a million distinct terms one in 4,300 shares its number with another, which then count as
    one term: a rank may shift, and no filter is touched.
    """
    encoded = term.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(encoded, digest_size=4).digest(), "little")
