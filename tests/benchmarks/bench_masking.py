"""What masking finds, what it costs, and what of a public set would reach a model.

    python tests/benchmarks/bench_masking.py [--thorough] [--half development] [--out bench/results/masking.json]
    python tests/benchmarks/bench_masking.py --set new.json --only-set

On a public set, or on one like it that `make_presidio_sentences.py` made; on one half of our own sentences
(see `masking_sentences`), and on the sample company's documents and questions, where hardly anything is
personal.

Recall is the share of values of which nothing whole is left in what is sent; `touched` the share of
values of which every word is masked; `masked_beside` the share of characters masked that are no
personal data by the set's own marks. `cuts` counts the ways to cut an answer in two that were tried,
all of them for every tenth text; each must give the text back. `tokens_masked` is the share of words
and numbers of the sample company that are masked, `no_persons` that without the names of its people. Times are CPU time of this process,
the median over texts of the best of five.
"""

import argparse
import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import root

from rag.adapters.presidio import PresidioNames
from rag.adapters.sealed_vault import SealedVault
from rag.guardrails.hits import Hit
from rag.guardrails.likely_names import likely_names_in
from rag.guardrails.masking import Masked, Masker
from rag.guardrails.personal_data import patterns_in
from rag.guardrails.pii import Depth, PersonalData
from rag.guardrails.placeholders import any_placeholder
from rag.guardrails.secrets import secrets_in
from rag.guardrails.unmasking import Unmasking
from rag.protocols import Message, ModelPrompt
from tests.benchmarks.masking_sentences import Half, Sentence, sentences_of
from tests.benchmarks.public_data import SCIFACT, SHARED, is_here
from tests.benchmarks.reporting import report, told

_TOKEN = re.compile(r"\w[\w.’'&/-]*\w|\w")
COMPANY = root.ROOT / "corpora" / "aldermoor"
SET = SHARED / "guardrails" / "pii_synth_half.json"


@dataclass(slots=True)
class Found:
    """Of one depth, over the whole set."""

    values: Counter[str] = field(default_factory=Counter[str])
    sent: Counter[str] = field(default_factory=Counter[str])
    touched: Counter[str] = field(default_factory=Counter[str])
    characters: int = 0
    masked_beside: int = 0
    cuts: int = 0
    changed: int = 0
    shown: int = 0

    def figures(self) -> dict[str, Any]:
        return {
            "values": sum(self.values.values()),
            "raw_values_sent": sum(self.sent.values()),
            "recall": {
                kind: round(1 - self.sent[kind] / count, 3)
                for kind, count in sorted(self.values.items())
            },
            "touched": {
                kind: round(self.touched[kind] / count, 3)
                for kind, count in sorted(self.values.items())
            },
            "masked_beside": round(self.masked_beside / self.characters, 3),
            "cuts": self.cuts,
            "texts_changed": self.changed,
            "placeholders_shown": self.shown,
        }


def holds(text: str, value: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def marked(row: dict[str, Any]) -> list[bool]:
    """Whether each character is of a value."""
    text: str = row["full_text"]
    marks = [False] * len(text)
    for span in row["spans"]:
        value: str = span["entity_value"]
        start: int = span["start_position"]
        at = start if text.startswith(value, start) else text.find(value)
        marks[at : at + len(value)] = [True] * len(value)
    return marks


def count_hits(found: Found, row: dict[str, Any], hits: Sequence[Hit]) -> None:
    text: str = row["full_text"]
    marks = marked(row)
    covered = [False] * len(text)
    for hit in hits:
        covered[hit.start : hit.end] = [True] * (hit.end - hit.start)
    found.characters += len(text)
    found.masked_beside += sum(
        is_hit and not mark for is_hit, mark in zip(covered, marks, strict=True)
    )
    for span in row["spans"]:
        value: str = span["entity_value"]
        kind: str = span["entity_type"]
        found.values[kind] += 1
        at = text.find(value, max(0, int(span["start_position"]) - 1))
        found.touched[kind] += all(
            covered[at + word.start()] for word in re.finditer(r"\w{2,}", value)
        )


def count_sent(found: Found, row: dict[str, Any], told_model: Masked, *, cut_it: bool) -> None:
    sent = told_model.messages[0].content
    found.sent.update(
        span["entity_type"] for span in row["spans"] if holds(sent, span["entity_value"])
    )
    whole = unmasked(told_model, [sent])
    expected = row["full_text"]
    found.changed += " ".join(whole.casefold().split()) != " ".join(expected.casefold().split())
    found.shown += any_placeholder().search(whole) is not None
    for cut in range(1, len(sent) if cut_it else 0):
        found.cuts += 1
        found.changed += unmasked(told_model, [sent[:cut], sent[cut:]]) != whole


def unmasked(told_model: Masked, pieces: Iterable[str]) -> str:
    unmasking = Unmasking(told_model.placeholders, told_model.vault)
    return "".join([*map(unmasking.feed, pieces), unmasking.flush()])


async def measured(rows: Sequence[dict[str, Any]], finder: PersonalData, depth: Depth) -> Found:
    masker = Masker(finder=finder, new_vault=SealedVault)
    found = Found()
    for done, row in enumerate(rows):
        told(f"{depth}:", done, len(rows))
        count_hits(found, row, await finder.find(row["full_text"], depth=depth, secrets=True))
        prompt = ModelPrompt(messages=(Message("user", row["full_text"]),))
        count_sent(found, row, await masker.mask(prompt, depth=depth), cut_it=done % 10 == 0)
    return found


async def on_own(half: Half, depth: Depth) -> dict[str, Any]:
    """Values of our own sentences that are sent whole, and those of which a word is."""
    masker = Masker(finder=PersonalData(), new_vault=SealedVault)
    values, sent, in_part = Counter[str](), Counter[str](), Counter[str]()
    sentences = sentences_of(half)
    for sentence in sentences:
        prompt = ModelPrompt(messages=(Message("user", sentence.text),))
        masked = await masker.mask(prompt, depth=depth)
        left = any_placeholder().sub("", masked.messages[0].content)
        for kind, value in kinds_and_values(sentence):
            values[kind] += 1
            if holds(left, value):
                sent[kind] += 1
            elif any(holds(left, word) for word in re.findall(r"\w{3,}", value)):
                in_part[kind] += 1
    return {
        "sentences": len(sentences),
        "templates": len({sentence.template for sentence in sentences}),
        "values": sum(values.values()),
        "raw_values_sent": sum(sent.values()),
        "sent_by_kind": dict(sent),
        "sent_in_part": sum(in_part.values()),
    }


def kinds_and_values(sentence: Sentence) -> Iterable[tuple[str, str]]:
    for value in sentence.values:
        yield value.kind, sentence.text[value.start : value.end]


async def on_the_company(depth: Depth) -> dict[str, Any]:
    """How much is masked where hardly anything is personal."""
    names = re.findall(r"name: (.+)", (COMPANY / "people.yaml").read_text("utf-8").lower())
    people = set(re.findall(r"\w{3,}", " ".join(names)))
    documents = COMPANY / "documents"
    lines = (COMPANY / "questions.jsonl").read_text("utf-8").splitlines()
    texts = {
        "documents": [path.read_text("utf-8") for path in sorted(documents.rglob("*.md"))],
        "questions": [json.loads(line)["question"] for line in lines],
    }
    finder = PersonalData()
    figures: dict[str, Any] = {}
    for name, each in texts.items():
        tokens, masked, persons = 0, 0, 0
        for text in each:
            hits = await finder.find(text, depth=depth)
            covered = {at for hit in hits for at in range(hit.start, hit.end)}
            for token in _TOKEN.finditer(text):
                is_masked = not covered.isdisjoint(range(*token.span()))
                tokens += 1
                masked += is_masked
                persons += is_masked and people.issuperset(re.findall(r"\w+", token[0].lower()))
        figures[name] = {
            "tokens": tokens,
            "tokens_masked": round(masked / tokens, 4),
            "no_persons": round((masked - persons) / tokens, 4),
        }
    return figures


def milliseconds(look: Callable[[str], object], texts: Sequence[str]) -> float:
    def best(text: str) -> float:
        times: list[float] = []
        for _ in range(5):
            began = process_time()
            look(text)
            times.append(process_time() - began)
        return min(times)

    return round(median(map(best, texts)) * 1_000, 3)


def costs(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Milliseconds for 1,000 characters."""
    dense = " ".join(row["full_text"] for row in rows)
    documents = "\n".join(
        path.read_text("utf-8")
        for path in sorted((root.ROOT / "corpora/aldermoor/documents").rglob("*.md"))
    )
    texts = {"dense personal data": dense, "documents of the sample company": documents}
    if is_here(SCIFACT):
        lines = (SCIFACT / "corpus.jsonl").read_text("utf-8").splitlines()[:200]
        texts["abstracts"] = " ".join(json.loads(line)["text"] for line in lines)
    return {
        name: {
            "patterns": milliseconds(lambda text: list(patterns_in(text)), thousands(text)),
            "secrets": milliseconds(lambda text: list(secrets_in(text)), thousands(text)),
            "likely, beside patterns": milliseconds(likely_names_in, thousands(text)),
        }
        for name, text in texts.items()
    }


async def of_a_prompt() -> dict[str, Any]:
    """Milliseconds to mask a prompt of eight passages: new ones, and ones that were seen before."""
    paths = sorted((root.ROOT / "corpora/aldermoor/documents").rglob("*.md"))
    texts = [path.read_text("utf-8")[:800] for path in paths]
    prompts = [
        ModelPrompt(
            messages=(
                Message(
                    "user",
                    "\n\n".join(
                        f"[{n}] {text}" for n, text in enumerate(texts[at : at + 8], start=1)
                    ),
                ),
            )
        )
        for at in range(0, len(texts) - 8, 8)
    ]
    masker = Masker(finder=PersonalData(), new_vault=SealedVault)
    times: dict[str, list[float]] = {"new": [], "seen": []}
    for taken in times.values():
        for prompt in prompts:
            began = process_time()
            await masker.mask(prompt, depth=Depth.LIKELY)
            taken.append(process_time() - began)
    size = median(len(prompt.messages[0].content) for prompt in prompts)
    return {"characters": size} | {
        name: round(median(taken) * 1_000, 2) for name, taken in times.items()
    }


def thousands(text: str) -> list[str]:
    return [text[at : at + 1_000] for at in range(0, min(len(text), 60_000) - 999, 1_000)]


async def of_names(names: PresidioNames, rows: Sequence[dict[str, Any]]) -> float:
    dense = " ".join(row["full_text"] for row in rows)
    times: list[float] = []
    for text in thousands(dense)[:20]:
        began = perf_counter()
        await names.find(text)
        times.append(perf_counter() - began)
    return round(median(times) * 1_000, 1)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--thorough", action="store_true", help="with the model of names too")
    parser.add_argument(
        "--half", choices=("development", "test", "unseen", "written"), default="written"
    )
    parser.add_argument("--set", type=Path, default=SET, help="rows in the form of the public set")
    parser.add_argument("--only-set", action="store_true", help="measure nothing else")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if not given.set.exists():
        print(f"not measured: {given.set} is not there", file=sys.stderr)
        return
    rows: list[dict[str, Any]] = json.loads(given.set.read_text("utf-8"))
    if given.only_set:
        found = await measured(rows, PersonalData(), Depth.LIKELY)
        report({Depth.LIKELY: found.figures()}, given.out)
        return
    figures: dict[str, Any] = {
        "own sentences": {
            f"{given.half}, {depth}": await on_own(given.half, depth)
            for depth in (Depth.PATTERNS, Depth.LIKELY)
        },
        "sample company": await on_the_company(Depth.LIKELY),
        "ms_for_1000_characters": costs(rows),
        "ms_to_mask_a_prompt": await of_a_prompt(),
    }
    finder = PersonalData()
    for depth in (Depth.PATTERNS, Depth.LIKELY):
        figures[depth] = (await measured(rows, finder, depth)).figures()
    if given.thorough:
        names = PresidioNames()
        try:
            await names.load()
            figures["ms_for_1000_characters"]["names"] = await of_names(names, rows)
            alone = Found()
            for row in rows:
                count_hits(alone, row, await names.find(row["full_text"]))
            figures["names alone, touched"] = alone.figures()["touched"]
            thorough = await measured(rows, PersonalData(names=names), Depth.THOROUGH)
            figures[Depth.THOROUGH] = thorough.figures()
        finally:
            names.close()
    report(figures, given.out)


if __name__ == "__main__":
    asyncio.run(main())
