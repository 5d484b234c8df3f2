"""How good a run is against judgements, in TREC's measures (computed by ir-measures)."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import ir_measures
import numpy as np

Qrels = Mapping[str, Mapping[str, int]]
"""Query id to document id to relevance, from 0."""
Run = Mapping[str, Mapping[str, float]]
"""Query id to document id to score."""

MEASURES = {
    "ndcg@10": "nDCG@10",
    "recall@10": "R@10",
    "recall@100": "R@100",
    "mrr@10": "RR@10",
    "map": "AP",
}


def score_run(run: Run, qrels: Qrels) -> dict[str, float]:
    """Each of `MEASURES`, as a mean over the queries of `qrels`; an unanswered query counts 0."""
    parsed: dict[str, Any] = {
        name: cast("Any", ir_measures.parse_measure(measure)) for name, measure in MEASURES.items()
    }
    plain_qrels = {query: dict(judged) for query, judged in qrels.items()}
    plain_run = {query: dict(scored) for query, scored in run.items()}
    values = cast(
        "Mapping[Any, float]",
        ir_measures.calc_aggregate(list(parsed.values()), plain_qrels, plain_run),  # pyright: ignore[reportUnknownMemberType]
    )
    return {name: round(float(values[measure]), 4) for name, measure in parsed.items()}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 of `values`; zeros for none."""
    if not values:
        return {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    p50, p95, p99 = np.percentile(np.asarray(values, dtype=np.float64), [50, 95, 99])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "p99": round(float(p99), 2)}


def share(part: int, whole: int) -> float:
    """`part` of `whole`, from 0 to 1. Of nothing, all is right: 1."""
    return round(part / whole, 4) if whole else 1.0
