"""What the injection check learns from, and is measured on: public sets beside the repository, and ours."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from injection_sentences import sentences_of
from linear_training import Example
from public_data import CLAPNQ, GUARDRAILS, SCIFACT

from rag.guardrails.readings import folded

_CORPUS = Path(__file__).parents[2] / "corpora" / "aldermoor"
_GUIDES = Path(__file__).parents[2] / "docs"
_QUOTE_ATTACKS = ("guardrails.md", "0019-guardrails.md")


def examples(*, each: int = 12) -> list[Example]:
    """All of them. Near-copies share a group: many jailbreaks are edits of a few."""
    return unique([*_jackhhao(), *_wild(), *_ours(each), *_benign()])


def unique(found: Sequence[Example]) -> list[Example]:
    """The first of all that say the same, whatever their capitals, signs and look-alike letters.
    What stands among attacks and among the rest is neither."""
    sides: dict[str, set[bool]] = {}
    for example in found:
        sides.setdefault(_words(example.text), set()).add(example.positive)
    kept = {
        words: example
        for example in reversed(found)
        if (words := _words(example.text)) and len(sides[words]) == 1
    }
    return list(reversed(kept.values()))


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", folded(text)))[:600]


def _jackhhao() -> Iterator[Example]:
    with (GUARDRAILS / "jailbreak_train.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            attack = row["type"] == "jailbreak"
            yield Example(row["prompt"], attack, "jackhhao", copy_of(row["prompt"]), "jailbreak")


def _wild() -> Iterator[Example]:
    for text in json.loads((GUARDRAILS / "inthewild_jailbreak.json").read_text(encoding="utf-8")):
        yield Example(text, True, "inthewild", copy_of(text), "jailbreak")


def _ours(each: int) -> Iterator[Example]:
    for kind in ("attacks", "lookalikes"):
        for one in sentences_of(kind, each=each):
            group = f"{kind}-{one.template}"
            yield Example(one.text, kind == "attacks", f"our {kind}", group, one.family)


def _benign() -> Iterator[Example]:
    yield from _questions()
    yield from _comments()
    yield from _passages()
    yield from _company()
    yield from _guides()


def _questions() -> Iterator[Example]:
    lines = (GUARDRAILS / "benign_queries.jsonl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        yield Example(json.loads(line)["text"], False, "halueval", f"halueval-{number}")
    with (GUARDRAILS / "xstest_prompts.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["label"] == "safe":
                yield Example(row["prompt"], False, "xstest", f"xstest-{row['id']}")


def _comments() -> Iterator[Example]:
    with (GUARDRAILS / "toxicity_en.csv").open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            yield Example(row["text"], False, "comments", f"comment-{number}")


def _passages() -> Iterator[Example]:
    with (SCIFACT / "corpus.jsonl").open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            if number % 8 == 0:
                yield Example(json.loads(line)["text"], False, "scifact", f"scifact-{number}")
    for path in sorted(CLAPNQ.glob("clapnq_*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[:600]):
            row = json.loads(line)
            yield Example(row["input"], False, "clapnq", f"{path.name}-{number}")
            if number % 3 == 0:
                text = " ".join(passage["text"] for passage in row["passages"])
                yield Example(text, False, "clapnq", f"{path.name}-{number}")


def _company() -> Iterator[Example]:
    for path in sorted(_CORPUS.rglob("*.md")):
        for number, text in enumerate(path.read_text(encoding="utf-8").split("\n\n")):
            yield Example(text, False, "company", f"{path.name}-{number}")
    lines = (_CORPUS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        yield Example(json.loads(line)["question"], False, "company", f"question-{number}")


def _guides() -> Iterator[Example]:
    """Technical prose: paths, commands, names of settings. Our own, but for what quotes attacks."""
    for path in sorted(_GUIDES.rglob("*.md")):
        if path.name not in _QUOTE_ATTACKS:
            for text in path.read_text(encoding="utf-8").split("\n\n"):
                yield Example(text, False, "guides", path.name)


def copy_of(text: str) -> str:
    """The same for texts that begin with the same words, whatever name they give the model."""
    return " ".join(re.findall(r"[a-z]+", text.lower())[:8])
