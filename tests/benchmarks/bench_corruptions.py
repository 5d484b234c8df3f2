"""How many wrong sentences the grounding check catches, of each of six ways to be wrong, and how
many right ones it rejects.

Right sentences: of the sample company, the statements that answer its golden questions, word for
word and lightly said otherwise, against what the platform's own search brings for the question; of
ClapNQ, the sentences of the reference answers, written by people in their own words, against the
passage among three others. Wrong: the same, corrupted by `corruptions.py`; a right sentence that
cites another passage is caught where it is given its own citation or is not released; one whose
passage was not shown is caught where it is not released.

ClapNQ is cut in two by the hash of the question: look at the one half while you change a rule
(`--half develop`), and measure on the other once you are done (`--half test`).

    python tests/benchmarks/bench_corruptions.py --out bench/results/corruptions.json
"""

import argparse
import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from bench_grounding import CLAPNQ, Case, Half, evidence_of, read_cases
from corruptions import (
    KINDS,
    Surroundings,
    invented,
    names_in,
    negated,
    other_entity,
    other_number,
    other_unit,
    said_otherwise,
)
from public_data import is_here
from reporting import report

from api.evaluation import fresh_platform, ingest_source
from api.settings import Settings
from rag.access import TenantId, scope_of
from rag.adapters.minilm import default_model_dir, export_minilm
from rag.adapters.onnx_embedder import load_onnx_embedder
from rag.asking import EFFORTS
from rag.citation import Sentence, Supported, verify
from rag.evaluation.golden import GoldenCase, read_golden
from rag.grounding import GroundingCheck
from rag.packing import pack_evidence
from rag.statements import Statement, statements_of
from rag.types import Evidence, Query

ALDERMOOR = Path(__file__).parents[2] / "corpora" / "aldermoor"
_SHORTEST = 12
"""Characters of the shortest right sentence: less than that is a cell, not a sentence."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Right sentences, and the evidence that they are checked against."""

    evidence: tuple[Evidence, ...]
    right: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Trial:
    kind: str
    sentence: Sentence
    statements: tuple[Statement, ...]
    carried_by: frozenset[int] = frozenset()
    """Of a swapped source: numbers of the passages that do support it."""


def trials(cases: Sequence[Shown], chance: random.Random) -> Iterator[Trial]:
    everywhere = sorted(
        {name for case in cases for each in case.evidence for name in names_in(each.text)}
    )
    for at, case in enumerate(cases):
        statements = statements_of(case.evidence)
        text = " ".join(each.text for each in case.evidence)
        around = Surroundings(
            names_in(text)[:60],
            [name for name in everywhere if name not in text],
            [f"The {case.title}", *names_in(case.right[0] if case.right else "")],
        )
        for sentence in case.right:
            right = frozenset(_carrying(sentence, statements))
            cited = (min(right),) if right else (1,)
            yield Trial("right", Sentence(sentence, cited), statements)
            if (other := said_otherwise(sentence, chance)) is not None:
                yield Trial("said otherwise", Sentence(other, cited), statements)
            for kind, wrong in (
                ("number", other_number(sentence, chance)),
                ("entity", other_entity(sentence, around, chance, nearby=chance.random() < 0.5)),
                ("negation", negated(sentence, chance)),
                ("unit", other_unit(sentence, chance)),
                ("invented sentence", invented(around, chance)),
            ):
                if wrong is not None and not _carrying(wrong, statements):
                    yield Trial(kind, Sentence(wrong, cited), statements)
            others = sorted({each.number for each in statements} - right)
            if right and others:
                yield Trial(
                    "swapped source",
                    Sentence(sentence, (chance.choice(others),)),
                    statements,
                    right,
                )
            elsewhere = statements_of(cases[(at + 1) % len(cases)].evidence)
            if not _carrying(sentence, elsewhere):
                yield Trial("swapped source", Sentence(sentence, (1,)), elsewhere)


def _carrying(sentence: str, statements: Sequence[Statement]) -> set[int]:
    """The passages where `sentence` stands word for word."""
    wanted = _flat(sentence)
    texts: defaultdict[int, str] = defaultdict(str)
    for each in statements:
        texts[each.number] += " " + _flat(each.text)
    return {number for number, text in texts.items() if wanted in text}


def _flat(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .")


async def measure(cases: Sequence[Shown], check: GroundingCheck, *, seed: int) -> dict[str, Any]:
    caught: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    why: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for trial in trials(cases, random.Random(seed)):
        judged = await verify(trial.sentence, trial.statements, check)
        tried[trial.kind] += 1
        if not isinstance(judged, Supported):
            caught[trial.kind] += 1
            why[trial.kind][judged.disagreement] += 1
        elif judged.citation.number in trial.carried_by:
            caught[trial.kind] += 1
            why[trial.kind]["cited anew"] += 1
    wrong, found = sum(tried[kind] for kind in KINDS), sum(caught[kind] for kind in KINDS)
    right = tried["right"] + tried["said otherwise"]
    alarms = caught["right"] + caught["said otherwise"]
    return {
        "caught": _share(found, wrong),
        "false_alarms": _share(alarms, right),
        "balanced_accuracy": round((found / wrong + 1 - alarms / right) / 2, 3),
        "kinds": {
            kind: {
                "sentences": tried[kind],
                "rejected": _share(caught[kind], tried[kind]),
                "for": dict(why[kind]),
            }
            for kind in ("right", "said otherwise", *KINDS)
        },
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 0.0


# --- the two sets ------------------------------------------------------------------------------


def public_cases(cases: Sequence[Case]) -> list[Shown]:
    """Each passage of ClapNQ as the second of four, so that the first is the wrong one."""
    return [
        Shown(
            evidence_of([cases[(at + step) % len(cases)] for step in (1, 0, 2, 3)]),
            tuple(each for each in case.answers if len(each) >= _SHORTEST),
            case.title,
        )
        for at, case in enumerate(cases)
    ]


async def golden_cases(folder: Path) -> list[Shown]:
    """What the platform's search brings for each golden question, and what of it answers."""
    settings = Settings()
    tenant = TenantId(settings.tenant)
    effort = EFFORTS["balanced"]
    cases: list[Shown] = []
    async with fresh_platform(settings) as platform:
        await ingest_source(
            platform, "filesystem", {"root": str((folder / "documents").resolve())}, _untold
        )
        for case in read_golden(folder):
            retrieved = await platform.retriever.retrieve(
                Query(text=case.question, scope=scope_of(case.principal(tenant)), limit=effort.hits)
            )
            evidence = pack_evidence(
                retrieved.hits,
                count_tokens=platform.embedder.count_tokens,
                budget_tokens=effort.evidence_tokens,
                passages=effort.passages,
            )
            if shown := shown_for(case, evidence):
                cases.append(shown)
    return cases


def shown_for(case: GoldenCase, evidence: tuple[Evidence, ...]) -> Shown | None:
    """None where nothing that was found answers the question."""
    right = dict.fromkeys(
        " ".join(statement.text.split())
        for statement in statements_of(evidence)
        if _answers(case, statement)
    )
    if not right:
        return None
    return Shown(evidence, tuple(right)[:3], evidence[0].hit.chunk.document.title)


def _answers(case: GoldenCase, statement: Statement) -> bool:
    text = _flat(statement.text)
    return (
        statement.row is None
        and len(text) >= _SHORTEST
        and any(statement.chunk.document.uri.endswith(each) for each in case.expected_documents)
        and any(_flat(part) in text for part in case.answer_contains)
    )


def _untold(_doing: str, _done: int, _of: int) -> None:
    """Nobody watches."""


async def _run(clapnq: Path, golden: Path, halves: Sequence[Half], seed: int) -> dict[str, Any]:
    export_minilm(default_model_dir())
    embedder = load_onnx_embedder(default_model_dir())
    check = GroundingCheck(embedder=embedder).for_one_answer()
    try:
        figures: dict[str, Any] = {
            "golden": await measure(await golden_cases(golden), check, seed=seed)
        }
        for half in halves if is_here(clapnq) else ():
            cases = public_cases(read_cases(clapnq, half))
            started = perf_counter()
            figures[f"clapnq {half}"] = await measure(cases, check, seed=seed)
            figures[f"clapnq {half} seconds"] = round(perf_counter() - started, 1)
        return figures
    finally:
        await embedder.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clapnq", type=Path, default=CLAPNQ)
    parser.add_argument("--golden", type=Path, default=ALDERMOOR)
    parser.add_argument(
        "--half", choices=("develop", "test"), action="append", help="of ClapNQ; both unless told"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    halves = arguments.half or ("develop", "test")
    figures = asyncio.run(_run(arguments.clapnq, arguments.golden, halves, arguments.seed))
    report(figures, arguments.out)


if __name__ == "__main__":
    main()
