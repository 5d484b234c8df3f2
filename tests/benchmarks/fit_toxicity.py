"""Fits the classifier of the toxicity check on public comments, and measures it by cross-validation.

What is measured is the whole check, at the threshold of the shipped policy's input (.7 flags) and
output (.9 blocks).

    python tests/benchmarks/fit_toxicity.py --out bench/results/toxicity.json
"""

import argparse
import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from injection_data import examples
from linear_training import Example, Fitting, fit, write
from public_data import GUARDRAILS, is_here
from reporting import report, told

from rag.guardrails.toxicity import ToxicityCheck

FOLDS = 4
HOW = Fitting(c=1.0, size=1 << 15, emphasis={"comments": 2.0})
"""Comments weigh more than their number says: they are what the check is for."""
THRESHOLD = 0.0


def comments() -> list[Example]:
    with (GUARDRAILS / "toxicity_en.csv").open(encoding="utf-8", newline="") as file:
        return [
            Example(row["text"], row["is_toxic"] == "Toxic", "comments", str(number))
            for number, row in enumerate(csv.DictReader(file))
        ]


def polite() -> list[Example]:
    """What people ask at work and elsewhere: no comments, so that a topic alone is not toxic."""
    return [
        Example(each.text, False, each.source, each.group)
        for each in examples(each=4)
        if not each.positive and each.source != "comments"
    ][::3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not is_here(GUARDRAILS):
        return
    found = [*comments(), *polite()]
    fold = np.random.default_rng(0).integers(0, FOLDS, len(found))
    scores = np.zeros(len(found))
    for number in range(FOLDS):
        told("fold", number + 1, 0)
        rest = [each for each, where in zip(found, fold, strict=True) if where != number]
        fitted = fit(rest, HOW)
        check = ToxicityCheck(fitted.model(HOW, scale=1.0, threshold=THRESHOLD))
        for place in np.flatnonzero(fold == number):
            scores[place] = check.look(found[place].text).score
    figures: dict[str, Any] = {}
    for source in ("comments", "others"):
        of = np.array([(each.source == "comments") == (source == "comments") for each in found])
        toxic = np.array([each.positive for each in found])
        for at in (0.5, 0.7, 0.9):
            found_share = float((scores[of & toxic] >= at).mean()) if (of & toxic).any() else None
            figures[f"{source} at {at}"] = {
                "recall": None if found_share is None else round(found_share, 3),
                "false positives": round(float((scores[of & ~toxic] >= at).mean()), 3),
                "of": int(of.sum()),
            }
    data = hashlib.sha256((GUARDRAILS / "toxicity_en.csv").read_bytes()).hexdigest()
    write(
        fit(found, HOW),
        "toxicity",
        threshold=THRESHOLD,
        scale=1.0,
        how=HOW,
        trained_on=f"toxicity_en.csv (surge-ai/toxicity, MIT), sha256 {data}, and polite texts",
    )
    report(figures, options.out)


if __name__ == "__main__":
    main()
