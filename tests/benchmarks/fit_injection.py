"""Fits the classifier of the injection check, and measures what it does on what it never saw.

Two measurements, both of the whole check (disguises, rules and classifier):
- *folds*: half of all groups is left out at a time. Near-copies of a jailbreak are one group,
  and so are all expansions of one template of ours.
- *sources*: a whole source is left out at a time.

    python tests/benchmarks/fit_injection.py --out bench/results/injection.json
    python tests/benchmarks/fit_injection.py --measure folds
"""

import argparse
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from injection_data import examples
from linear_training import Example, Fitted, fit, write
from public_data import GUARDRAILS, is_here
from reporting import report, told

from rag.guardrails.injection import InjectionCheck
from rag.guardrails.linear import LinearModel

C = 3.0
EACH = 12
"""Expansions of each of our templates."""
FOLDS = 2
SCALE = 1.0
THRESHOLD = 1.0
"""Of the raw score: chosen on the folds, for 0.03 false positives on look-alikes and fewer elsewhere."""


def measured(held: Sequence[Example], fitted: Fitted) -> list[float]:
    model = LinearModel(fitted.weights, fitted.bias, SCALE, THRESHOLD, "")
    check = InjectionCheck(model)
    return [check.look(example.text).score for example in held]


def rates(held: Sequence[Example], scores: Sequence[float]) -> dict[str, Any]:
    """Share at or above .5 by source and family: recall of attacks, false positives of the rest."""
    found: dict[str, list[bool]] = {}
    for example, score in zip(held, scores, strict=True):
        kind = "attack" if example.positive else "benign"
        names = [f"{kind}", f"{kind} {example.source}"]
        if example.family and example.source.startswith("our"):
            names.append(f"{kind} {example.source} {example.family}")
        for name in names:
            found.setdefault(name, []).append(score >= 0.5)
    return {
        name: {"share": round(float(np.mean(each)), 4), "of": len(each)}
        for name, each in sorted(found.items())
    }


def by_folds(found: Sequence[Example]) -> dict[str, Any]:
    groups = sorted({example.group for example in found})
    numbers = np.random.default_rng(0).integers(0, FOLDS, len(groups))
    fold = {group: int(number) for group, number in zip(groups, numbers, strict=True)}
    held: list[Example] = []
    scores: list[float] = []
    for number in range(FOLDS):
        told("fold", number + 1, 0)
        fitted = fit([each for each in found if fold[each.group] != number], c=C)
        test = [each for each in found if fold[each.group] == number]
        held += test
        scores += measured(test, fitted)
    return rates(held, scores)


def by_sources(found: Sequence[Example]) -> dict[str, Any]:
    left_out: dict[str, Callable[[Example], bool]] = {
        "jackhhao's attacks": lambda each: each.source == "jackhhao" and each.positive,
        "in the wild": lambda each: each.source == "inthewild",
        "our attacks": lambda each: each.source == "our attacks",
        "our look-alikes": lambda each: each.source == "our lookalikes",
        "halueval": lambda each: each.source == "halueval",
        "xstest": lambda each: each.source == "xstest",
        "comments": lambda each: each.source == "comments",
        "documents": lambda each: each.source in {"scifact", "clapnq", "company"},
    }
    figures: dict[str, Any] = {}
    for name, is_out in left_out.items():
        told(name, 0, 0)
        test = [each for each in found if is_out(each)]
        groups = {each.group for each in test if each.positive}
        rest = [each for each in found if not is_out(each) and each.group not in groups]
        figures[name] = rates(test, measured(test, fit(rest, c=C)))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--measure", choices=("folds", "sources"), help="measure instead of writing the weights"
    )
    parser.add_argument("--each", type=int, default=EACH, help="expansions of each template")
    options = parser.parse_args()
    if not is_here(GUARDRAILS):
        return
    found = examples(each=options.each)
    if options.measure is not None:
        measure = by_folds if options.measure == "folds" else by_sources
        report({"examples": len(found), options.measure: measure(found)}, options.out)
        return
    data = hashlib.sha256()
    for example in found:
        data.update(f"{example.positive}\0{example.text}\0".encode(errors="surrogatepass"))
    write(
        fit(found, c=C),
        "injection",
        threshold=THRESHOLD,
        scale=SCALE,
        trained_on=f"{len(found)} texts of injection_data.py, sha256 {data.hexdigest()}",
    )
    report({"examples": len(found)}, options.out)


if __name__ == "__main__":
    main()
