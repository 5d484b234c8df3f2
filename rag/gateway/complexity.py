"""How hard a question looks for a cheap model, by its words or by what was found for it.

Two logistic functions of a few plain features, no language model. Their weights stand in
`complexity.json` beside this file, made by tests/benchmarks/fit_complexity.py; what they are worth
is in docs/models.md.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rag.gateway.calls import RetrievalSignals
from rag.types import Evidence

Features = Mapping[str, float]

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SYMBOL = re.compile(r"[=<>^*/+()\[\]{}_|\\%∑∫√≤≥→~&-]")
_INFERENCE = frozenset(
    "if then all some every therefore implies hence either assume suppose given let prove follows"
    " valid argument wenn dann falls alle jede jeder jedes daher folglich angenommen gegeben".split()
)
_MOST_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Logistic:
    """A probability from weighted features. Features without a weight count nothing."""

    bias: float
    weights: Features

    def logit(self, features: Features) -> float:
        return self.bias + sum(
            weight * features.get(name, 0.0) for name, weight in self.weights.items()
        )


@dataclass(frozen=True, slots=True)
class LearnedComplexity:
    """Satisfies `rag.gateway.routing.Complexity`."""

    question: Logistic
    """Whether a cheap model gets it wrong, from the question alone: for an app's own messages."""
    retrieval: Logistic
    """Whether a cheap model misses the answer that the evidence holds, from what was found. The
    question's own features told nothing beside it (docs/models.md)."""

    def __call__(self, question: str, signals: RetrievalSignals | None) -> float:
        if signals is not None:
            return _sigmoid(self.retrieval.logit(retrieval_features(signals)))
        return _sigmoid(self.question.logit(question_features(question)))


def learned_from() -> frozenset[str]:
    """SHA-256 of the files that the weights were learned from: nothing is measured on them."""
    return frozenset(_shipped()["learned_from"].values())


def _shipped() -> dict[str, Any]:
    return json.loads(files("rag.gateway").joinpath("complexity.json").read_text(encoding="utf-8"))


def load_complexity() -> LearnedComplexity:
    """With the weights that ship."""
    learned = _shipped()
    question, retrieval = learned["question"], learned["retrieval"]
    return LearnedComplexity(
        Logistic(question["bias"], question["weights"]),
        Logistic(retrieval["bias"], retrieval["weights"]),
    )


def question_features(question: str) -> Features:
    """Of the text alone, in English or German; counts are damped."""
    text = question[:_MOST_CHARACTERS]
    words = [word.casefold() for word in _WORD.findall(text)]
    count = max(len(words), 1)
    return {
        "words": math.log1p(len(words)),
        "numbers": math.log1p(len(_NUMBER.findall(text))),
        "symbols": math.log1p(len(_SYMBOL.findall(text))),
        "letters": sum(len(word) == 1 and word not in {"a", "i"} for word in words) / count,
        "inference": sum(word in _INFERENCE for word in words) / count,
        "repetition": 1 - len(set(words)) / count,
    }


def retrieval_features(signals: RetrievalSignals) -> Features:
    """How many passages there are is no feature: it is what was asked for, nearly always."""
    return {
        "top_score": signals.top_score,
        "gap": signals.gap,
        "documents": math.log1p(signals.documents),
        "agreement": signals.agreement,
    }


def signals_of(evidence: Sequence[Evidence]) -> RetrievalSignals:
    """What retrieval tells, from the passages that a model would be shown.

    Scores are cosines: those of the later stages compare within one question only.
    """
    parts = [part for passage in evidence for part in passage.parts]
    cosines = sorted((part.stage_scores.get("dense", 0.0) for part in parts), reverse=True)
    top, second = (*cosines, 0.0, 0.0)[:2]
    both = [part for part in parts if part.ranks.dense and part.ranks.sparse]
    return RetrievalSignals(
        top_score=min(max(top, 0.0), 1.0),
        gap=top - second,
        passages=len(evidence),
        documents=len({part.chunk.document.id for part in parts}),
        agreement=len(both) / max(len(parts), 1),
    )


def _sigmoid(logit: float) -> float:
    bounded = max(-60.0, min(60.0, logit))
    return 1 / (1 + math.exp(-bounded))
