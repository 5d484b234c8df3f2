"""The gate before a switch: whether a new index answers as well as the one that serves.

A pure function of two reports on the same cases: what it refuses, it refuses with both figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_EXACT = 1e-9
"""What rounding may do to a difference of two shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How much worse a new index may be. Shares run from 0 to 1; a fall of 0.02 is two in a
    hundred."""

    ndcg_fall: float = 0.02
    recall_fall: float = 0.02
    citation_precision_fall: float = 0.02
    citation_recall_fall: float = 0.02
    answer_accuracy_fall: float = 0.02
    refusal_fall: float = 0.02
    """Of the precision and of the recall of refusals."""
    latency_ratio: float = 1.5
    """p95 of the new one over p95 of the one that serves."""
    latency_slack_ms: float = 50.0
    """So much slower is no reason, whatever the ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one index reached on the cases (`rag.evaluation.golden.report_of`)."""

    cases: int
    ndcg: float
    recall: float
    citation_precision: float
    citation_recall: float
    answer_accuracy: float
    refusal_precision: float
    refusal_recall: float
    forbidden_leaks: int
    search_p95_ms: float
    ask_p95_ms: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the gate stays shut: a figure, what it was and what it is, and that in words."""

    figure: str
    serving: float
    new: float
    words: str


@dataclass(frozen=True, slots=True)
class Passed:
    """The new index answers as well as the one that serves."""


@dataclass(frozen=True, slots=True)
class Refused:
    reasons: tuple[Reason, ...]
    """At least one."""


Verdict = Passed | Refused


def figures_of(report: Mapping[str, Any]) -> Figures:
    return Figures(
        cases=report["cases"],
        ndcg=report["ndcg@10"],
        recall=report["recall@10"],
        citation_precision=report["citation_precision"],
        citation_recall=report["citation_recall"],
        answer_accuracy=report["answer_accuracy"],
        refusal_precision=report["refusal_precision"],
        refusal_recall=report["refusal_recall"],
        forbidden_leaks=report["forbidden_leaks"],
        search_p95_ms=report["search_ms"]["p95"],
        ask_p95_ms=report["ask_ms"]["p95"],
    )


def judge(serving: Figures, new: Figures, allowed: Thresholds) -> Verdict:
    """Whether readers may be sent to the new index."""
    reasons = [*_leaks(serving, new), *_says_nothing(serving, new)]
    falls = (
        ("nDCG@10", serving.ndcg, new.ndcg, allowed.ndcg_fall),
        ("recall@10", serving.recall, new.recall, allowed.recall_fall),
        (
            "citation precision",
            serving.citation_precision,
            new.citation_precision,
            allowed.citation_precision_fall,
        ),
        (
            "citation recall",
            serving.citation_recall,
            new.citation_recall,
            allowed.citation_recall_fall,
        ),
        (
            "answer accuracy",
            serving.answer_accuracy,
            new.answer_accuracy,
            allowed.answer_accuracy_fall,
        ),
        (
            "refusal precision",
            serving.refusal_precision,
            new.refusal_precision,
            allowed.refusal_fall,
        ),
        ("refusal recall", serving.refusal_recall, new.refusal_recall, allowed.refusal_fall),
    )
    reasons += [_fall(*fall) for fall in falls if _falls(*fall[1:])]
    for figure, before, after in (
        ("p95 of a search", serving.search_p95_ms, new.search_p95_ms),
        ("p95 of an answer", serving.ask_p95_ms, new.ask_p95_ms),
    ):
        bound = max(before * allowed.latency_ratio, before + allowed.latency_slack_ms)
        if after > bound + _EXACT:
            words = f"{figure} rises from {before:.0f} ms to {after:.0f} ms: {bound:.0f} ms is the most allowed"
            reasons.append(Reason(figure, before, after, words))
    return Refused(tuple(reasons)) if reasons else Passed()


def _leaks(serving: Figures, new: Figures) -> list[Reason]:
    if not new.forbidden_leaks:
        return []
    words = (
        f"forbidden documents are shown {new.forbidden_leaks} times "
        f"({serving.forbidden_leaks} by the one that serves): none is allowed"
    )
    return [Reason("forbidden leaks", serving.forbidden_leaks, new.forbidden_leaks, words)]


def _says_nothing(serving: Figures, new: Figures) -> list[Reason]:
    """Cases of which nothing is found pass any comparison with themselves."""
    if serving.recall > 0:
        return []
    words = (
        "the one that serves finds none of the documents that the cases expect "
        f"(recall@10 {serving.recall:.4f}, and {new.recall:.4f} by the new one): the cases, or "
        "the folder that they were read from, are not those of what was ingested"
    )
    return [Reason("recall@10", serving.recall, new.recall, words)]


def _falls(serving: float, new: float, fall: float) -> bool:
    return serving - new > fall + _EXACT


def _fall(figure: str, serving: float, new: float, fall: float) -> Reason:
    words = f"{figure} falls from {serving:.4f} to {new:.4f}: {fall:.4f} is the most allowed"
    return Reason(figure, serving, new, words)
