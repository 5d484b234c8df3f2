"""Fits the classifier of the injection check, and measures what it does on what it never saw.

Two measurements, both of the whole check (disguises, rules and classifier):
- *folds*: a fifth of all groups (or half of them, `--folds 2`) is left out at a time. Near-copies of
  a jailbreak are one group, and so are all expansions of one template of ours.
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
from linear_training import Example, Fitted, Fitting, fit, write
from public_data import GUARDRAILS, is_here
from reporting import report, told

from rag.guardrails.injection import InjectionCheck

EACH = 12
"""Expansions of each of our templates."""
FOLDS = 5
HOW = Fitting(
    c=0.1, size=1 << 18, length_power=0.0, with_letters=True, emphasis={"our lookalikes": 3.0}
)
SCALE = 1.0
THRESHOLD = 1.0
"""Of the raw score: chosen on the folds."""
CURVE = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def measured(held: Sequence[Example], fitted: Fitted) -> list[float]:
    model = fitted.model(HOW, scale=SCALE, threshold=THRESHOLD)
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


def curve(held: Sequence[Example], scores: Sequence[float]) -> dict[str, Any]:
    """The same by other thresholds: of our attacks, our look-alikes and all other benign texts."""
    sides = {
        "our attacks": [each.source == "our attacks" for each in held],
        "our lookalikes": [each.source == "our lookalikes" for each in held],
        "ordinary": [not each.positive and each.source != "our lookalikes" for each in held],
    }
    found = np.array(scores)
    return {
        f"threshold {at}": {
            name: round(float(np.mean(found[np.array(of)] >= _score_at(at))), 4)
            for name, of in sides.items()
        }
        for at in CURVE
    }


def _score_at(threshold: float) -> float:
    """What the raw score `threshold` is as a score of a model whose threshold is `THRESHOLD`."""
    return float(1 / (1 + np.exp(-SCALE * (threshold - THRESHOLD))))


def by_folds(found: Sequence[Example], folds: int) -> dict[str, Any]:
    groups = sorted({example.group for example in found})
    numbers = np.random.default_rng(0).integers(0, folds, len(groups))
    fold = {group: int(number) for group, number in zip(groups, numbers, strict=True)}
    held: list[Example] = []
    scores: list[float] = []
    for number in range(folds):
        told("fold", number + 1, 0)
        fitted = fit([each for each in found if fold[each.group] != number], HOW)
        test = [each for each in found if fold[each.group] == number]
        held += test
        scores += measured(test, fitted)
    return {**rates(held, scores), **curve(held, scores)}


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
        figures[name] = rates(test, measured(test, fit(rest, HOW)))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--measure", choices=("folds", "sources"), help="measure instead of writing the weights"
    )
    parser.add_argument("--folds", type=int, default=FOLDS, help="of how many one is left out")
    parser.add_argument("--each", type=int, default=EACH, help="expansions of each template")
    options = parser.parse_args()
    if not is_here(GUARDRAILS):
        return
    found = examples(each=options.each)
    if options.measure is not None:
        by_fold = options.measure == "folds"
        figures = by_folds(found, options.folds) if by_fold else by_sources(found)
        report({"examples": len(found), options.measure: figures}, options.out)
        return
    data = hashlib.sha256()
    for example in found:
        data.update(f"{example.positive}\0{example.text}\0".encode(errors="surrogatepass"))
    write(
        fit(found, HOW),
        "injection",
        threshold=THRESHOLD,
        scale=SCALE,
        how=HOW,
        trained_on=f"{len(found)} texts of injection_data.py, sha256 {data.hexdigest()}",
    )
    report({"examples": len(found)}, options.out)


if __name__ == "__main__":
    main()
