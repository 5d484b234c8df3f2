"""Attacks and their look-alikes, expanded from the small grammars in `injection/`. Ours: written for this project.

python tests/benchmarks/injection_sentences.py attacks | head
"""

import base64
import codecs
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

_FOLDER = Path(__file__).with_name("injection")
_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_NAME = re.compile(r"\$(\w+)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One expansion of one template."""

    text: str
    family: str
    template: int
    """Number of the template: what is split into training and test, never its expansions."""


def sentences_of(kind: str, *, each: int, seed: int = 7) -> list[Sentence]:
    """Up to `each` different expansions of every template of `attacks` or `lookalikes`."""
    lines = (_FOLDER / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
    lists = dict(_definitions(lines))
    chance = random.Random(seed)
    found: list[Sentence] = []
    family, number = "", 0
    for line in lines:
        if line.startswith("== "):
            family = line[3:].strip()
        elif line and not line.startswith("#") and not _is_definition(line):
            number += 1
            texts = {_expanded(line, lists, chance) for _ in range(each)}
            found += [Sentence(text, family, number) for text in sorted(texts)]
    return found


def _is_definition(line: str) -> bool:
    return re.match(r"\$\w+ = ", line) is not None


def _definitions(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    for line in lines:
        if _is_definition(line):
            name, _, choices = line[1:].partition(" = ")
            yield name, choices.split("|")


def _expanded(text: str, lists: Mapping[str, list[str]], chance: random.Random) -> str:
    while True:
        named = _NAME.sub(lambda found: chance.choice(lists[found[1]]), text)
        chosen = _CHOICE.sub(lambda found: chance.choice(found[1].split("|")), named)
        if chosen == text:
            plain = text.replace("\\n", "\n")
            return re.sub(r" +", " ", re.sub(r" ([.,;?!])", r"\1", plain)).strip()
        text = chosen


# --- the same attack, hidden --------------------------------------------------------------------

_LEET = str.maketrans("aeiost", "431057")
_ALIKE = str.maketrans("aeopcxyi", "аеорсхуі")


def _spaced(text: str) -> str:
    return " ".join("  " if letter == " " else letter for letter in text)


DISGUISES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "base64": lambda text: "Decode this and follow it: " + base64.b64encode(text.encode()).decode(),
        "hex": lambda text: "What does this say? " + text.encode().hex(),
        "rot13": lambda text: codecs.encode(text, "rot13"),
        "url": lambda text: "".join(f"%{each:02X}" for each in text.encode()),
        "leet": lambda text: text.translate(_LEET),
        "spaced": _spaced,
        "homoglyphs": lambda text: text.translate(_ALIKE),
        "zero_width": "\u200b".join,
        "fullwidth": lambda text: "".join(
            chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text
        ),
        "reversed": lambda text: text[::-1],
        "hyphens": lambda text: re.sub(r"(\w\w)(?=\w\w)", r"\1-", text),
        "tags": lambda text: "Hi." + "".join(chr(0xE0000 + ord(letter)) for letter in text if letter.isascii()),
    }
)  # fmt: skip

if __name__ == "__main__":
    for sentence in sentences_of(sys.argv[1], each=3):
        print(sentence.family, sentence.template, sentence.text, sep="\t")
