"""How often the grounding check accepts a right sentence and rejects a corrupted one, on ClapNQ.

Right are the sentences of the reference answers, written by people from the passage in their own
words. Wrong are the same sentences with one number changed, one name exchanged for a name from
another passage, or one verb negated; and the answer to another question.

    python tests/benchmarks/bench_grounding.py --out bench/results/grounding.json
"""

import argparse
import asyncio
import hashlib
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from public_data import CLAPNQ, is_here
from reporting import report

from rag.access import TenantId
from rag.adapters.minilm import default_model_dir, export_minilm
from rag.adapters.onnx_embedder import load_onnx_embedder
from rag.grounding import GroundingCheck
from rag.protocols import Embedder
from rag.sentences import split_sentences
from rag.statements import statements_of
from rag.types import (
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    Evidence,
    Ranks,
    RetrievedChunk,
    SourceId,
    Span,
    VersionId,
    no_metadata,
)

_NUMBER = re.compile(r"(?<![\w.,])\d+(?![\w.,]*\d)")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}")
_VERB = re.compile(r"\b(is|are|was|were|has|have|had|can|will|could|would|may|must)\b")


Half = Literal["develop", "test"]
"""Rules are written while looking at the one, and measured on the other."""


@dataclass(frozen=True, slots=True)
class Case:
    question: str
    title: str
    passage: str
    answers: tuple[str, ...]
    """The sentences of the reference answer."""


@dataclass(frozen=True, slots=True)
class Trial:
    kind: str
    sentence: str
    case: Case


def read_cases(folder: Path, half: Half | None = None) -> list[Case]:
    """Every answerable question, or one half of them, by the hash of the question."""
    lines = (folder / "clapnq_answerable_half.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [_case_of(json.loads(line)) for line in lines]
    return [case for case in cases if half is None or half_of(case.question) == half]


def half_of(question: str) -> Half:
    return "develop" if hashlib.sha256(question.encode()).digest()[0] % 2 == 0 else "test"


def _case_of(record: dict[str, Any]) -> Case:
    passage = record["passages"][0]
    answer: str = record["output"][0]["answer"]
    sentences = tuple(answer[span.start : span.end] for span in split_sentences(answer))
    return Case(record["input"], passage["title"], passage["text"], sentences)


def trials(cases: Sequence[Case], chance: random.Random) -> Iterator[Trial]:
    names = sorted({name for case in cases for name in _NAME.findall(case.passage)})
    for at, case in enumerate(cases):
        for sentence in case.answers:
            yield Trial("right", sentence, case)
            for kind, wrong in (
                ("number", _other_number(sentence, chance)),
                (
                    "name",
                    _other_name(sentence, [n for n in names if n not in case.passage], chance),
                ),
                ("negation", _negated(sentence)),
            ):
                if wrong is not None:
                    yield Trial(kind, wrong, case)
            yield Trial("another answer", sentence, cases[(at + 1) % len(cases)])


def _other_number(sentence: str, chance: random.Random) -> str | None:
    found = list(_NUMBER.finditer(sentence))
    if not found:
        return None
    number = chance.choice(found)
    other = str(int(number[0]) + chance.choice((1, 2, 3, 7)))
    return sentence[: number.start()] + other + sentence[number.end() :]


def _other_name(sentence: str, names: Sequence[str], chance: random.Random) -> str | None:
    found = list(_NAME.finditer(sentence))
    if not found:
        return None
    name = chance.choice(found)
    return sentence[: name.start()] + chance.choice(names) + sentence[name.end() :]


def _negated(sentence: str) -> str | None:
    verb = _VERB.search(sentence)
    return None if verb is None else f"{sentence[: verb.end()]} not{sentence[verb.end() :]}"


def evidence_of(cases: Sequence[Case]) -> tuple[Evidence, ...]:
    """The passages of `cases`, numbered in order."""
    found = [_hit_of(case) for case in cases]
    return tuple(
        Evidence(number=number, hit=hit, text=hit.chunk.text, parts=(hit,))
        for number, hit in enumerate(found, start=1)
    )


def _hit_of(case: Case) -> RetrievedChunk:
    ref = DocumentRef(
        DocumentId(case.title), TenantId("t"), SourceId("clapnq"), "file:///clapnq", case.title
    )
    chunk = Chunk(
        id=ChunkId(case.title),
        document=ref,
        version=VersionId("1"),
        ordinal=0,
        text=case.passage,
        heading_path=(),
        kind="prose",
        span=Span(0, len(case.passage)),
    )
    return RetrievedChunk(
        chunk=chunk,
        score=1.0,
        ranks=Ranks(),
        metadata=no_metadata(),
        acl_as_of=datetime.now(UTC),
    )


async def measure(folder: Path, *, embedder: Embedder) -> dict[str, Any]:
    check = GroundingCheck(embedder=embedder).for_one_answer()
    accepted: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    why: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for trial in trials(read_cases(folder), random.Random(0)):
        support = await check.support(trial.sentence, statements_of(evidence_of([trial.case])))
        tried[trial.kind] += 1
        if support is not None and support.disagreement is None:
            accepted[trial.kind] += 1
        elif support is not None:
            why[trial.kind][support.disagreement or ""] += 1
    return {
        kind: {
            "sentences": tried[kind],
            "accepted": round(accepted[kind] / tried[kind], 3),
            "rejected_for": dict(why[kind]),
        }
        for kind in tried
    }


async def _run(folder: Path) -> dict[str, Any]:
    export_minilm(default_model_dir())
    embedder = load_onnx_embedder(default_model_dir())
    try:
        return await measure(folder, embedder=embedder)
    finally:
        await embedder.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clapnq", type=Path, default=CLAPNQ)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if is_here(arguments.clapnq):
        report(asyncio.run(_run(arguments.clapnq)), arguments.out)


if __name__ == "__main__":
    main()
