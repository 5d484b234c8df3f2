"""What the complexity measure is worth, and what a route takes.

On RouteLLM's graded answers (a cheap and a dear model, 29 subjects of MMLU and GSM8K): the gap that is
recovered (APGR, .5 by chance) with the weights that ship on files that they were not learned from, and
with each subject in turn left out of the learning. On the golden set of the sample company: how well
it tells, with what was found, where the extractive model will miss an answer that the evidence holds.

    python tests/benchmarks/bench_routing.py
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scikit-learn ships no types.

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import process_time
from typing import Any

import root
from fit_complexity import Quoted, fit_question, quoted_answers
from public_data import GUARDRAILS, is_here
from reporting import report, told
from sklearn.metrics import roc_auc_score

from rag.evaluation.routing import Curve, GradedFile, curve_of, held_out, read_graded
from rag.gateway.complexity import learned_from, load_complexity, question_features
from rag.gateway.policy import Policies
from rag.gateway.routing import Router
from rag.protocols import Message
from tests.routes import call, evidence, router

ROUTES = 5_000


def shipped(files: Sequence[GradedFile]) -> dict[str, Any]:
    complexity = load_complexity()
    kept = held_out(files, learned_from())
    sets = {"subjects not learned from": kept}
    sets |= {file.subject: [file] for file in kept if file.subject.startswith("routing_gsm8k")}
    return {
        name: shown(curve_of(graded, [complexity(each.question, None) for each in graded]))
        for name, some in sets.items()
        if (graded := [each for file in some for each in file.questions])
    }


def leave_one_out(files: Sequence[GradedFile]) -> dict[str, Any]:
    """Every question judged by weights that were learned from all subjects but its own."""
    scores: list[float] = []
    for at, file in enumerate(files):
        told("left out:", at, len(files))
        others = [each for other in files if other is not file for each in other.questions]
        learned = fit_question(others)
        scores += [learned.logit(question_features(each.question)) for each in file.questions]
    graded = [each for file in files for each in file.questions]
    return shown(curve_of(graded, scores))


def shown(curve: Curve) -> dict[str, Any]:
    return {
        **asdict(curve),
        "points": [(share, round(right, 4)) for share, right in curve.points],
    }


def with_retrieval(golden: Sequence[Quoted]) -> dict[str, Any]:
    complexity = load_complexity()
    missed = [each.missed for each in golden]
    alone = [complexity(each.question, None) for each in golden]
    found = [complexity(each.question, each.signals) for each in golden]
    return {
        "questions": len(golden),
        "missed": sum(missed),
        "auc_of_the_question_alone": round(float(roc_auc_score(missed, alone)), 3),
        "auc_with_what_was_found": round(float(roc_auc_score(missed, found)), 3),
        "complexity": {
            name: round(sorted(found)[int(share * (len(found) - 1))], 3)
            for name, share in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("max", 1.0))
        },
    }


def route_us() -> float:
    """Microseconds of CPU that one route takes, complexity and all, with a prompt of 8 kB."""
    chosen = Router(catalogue=router().catalogue, complexity=load_complexity(), policies=Policies())
    passages = "Part-time employees get leave in proportion to their hours. " * 130
    question = "How many days of leave does a part-time employee get?"
    asked = call(question, quoting=evidence())
    prompt = replace(asked.prompt, messages=(Message("user", passages + question),))
    asked = replace(asked, prompt=prompt)
    started = process_time()
    for _ in range(ROUTES):
        chosen.route(asked)
    return round((process_time() - started) / ROUTES * 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=root.ROOT / "bench/results/routing.json")
    out: Path = parser.parse_args().out
    figures: dict[str, Any] = {"route_us": route_us()}
    if is_here(GUARDRAILS):
        files = read_graded(GUARDRAILS)
        figures |= {"shipped": shipped(files), "leave_one_subject_out": leave_one_out(files)}
    _, golden = asyncio.run(quoted_answers())
    figures["golden_set"] = with_retrieval(golden)
    report(figures, out)


if __name__ == "__main__":
    main()
