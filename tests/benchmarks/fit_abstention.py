"""Fits the weights of `rag/adapters/relevance.py` on the sample company's golden set.

Each statement of the evidence is one row: its features, and whether it answers (it holds a string
that the answer must contain, and stands in an expected document). Figures are ten-fold
cross-validated by question, so that no question judges itself; the weights printed are fitted on
all. The set is small and ours: another company's documents will want other weights.

Fitted on 2026-11-21, 206 questions of which 40 should be refused: the area under the ROC curve of
the best statement's probability is .91. Refusing the 40 least likely questions gives a precision
and a recall of .68; the 60 least likely .58 and .88. Nothing that MiniLM and word overlap tell
separates a far paraphrase from a near miss better than that.

    python tests/benchmarks/fit_abstention.py --out bench/results/abstention.json
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scikit-learn ships no types.

import argparse
import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from api.evaluation import fresh_platform, ingest_source
from api.settings import Settings
from rag.access import TenantId, scope_of
from rag.adapters.extractive import said_of
from rag.adapters.relevance import WEIGHTS, StatementRanker
from rag.answering import EFFORTS
from rag.evaluation.golden import GoldenCase, read_golden
from rag.packing import pack_evidence
from rag.types import Query

CORPUS = Path(__file__).parents[2] / "corpora" / "aldermoor"
FEATURES = tuple(WEIGHTS)
FOLDS = 10
STRENGTH = 0.3
"""Inverse regularisation strength: the best of .03, .1, .3 and 1 by cross-validation."""


@dataclass(frozen=True, slots=True)
class Row:
    question: int
    features: tuple[float, ...]
    answers: bool


async def rows_of(cases: tuple[GoldenCase, ...]) -> list[Row]:
    documents = CORPUS / "documents"
    prefix = documents.resolve().as_uri() + "/"
    effort = EFFORTS["balanced"]
    rows: list[Row] = []
    async with fresh_platform(Settings()) as platform:
        await ingest_source(platform, "filesystem", {"root": str(documents.resolve())}, _untold)
        ranker = StatementRanker(embedder=platform.embedder)
        tenant = TenantId(platform.settings.tenant)
        for number, case in enumerate(cases):
            query = Query(
                text=case.question, scope=scope_of(case.principal(tenant)), limit=effort.hits
            )
            evidence = pack_evidence(
                (await platform.retriever.retrieve(query)).hits,
                count_tokens=platform.embedder.count_tokens,
                budget_tokens=effort.evidence_tokens,
                passages=effort.passages,
            )
            for judged in await ranker.rank(case.question, evidence):
                said = said_of(case.question, judged.statement).casefold()
                document = judged.statement.chunk.document.uri.removeprefix(prefix)
                right = any(part.casefold() in said for part in case.answer_contains)
                expected = case.expected_documents + case.alternative_documents
                values = tuple(judged.features[name] for name in FEATURES)
                rows.append(Row(number, values, right and document in expected))
    return rows


def fit(rows: list[Row], due: list[bool]) -> dict[str, Any]:
    """Weights for raw features, and how well they separate by cross-validation."""
    features = np.array([row.features for row in rows])
    answers = np.array([row.answers for row in rows])
    question = np.array([row.question for row in rows])
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    scaled = (features - mean) / spread

    held_out = np.zeros(len(rows))
    shuffled = np.random.default_rng(0).permutation(len(due))
    for fold in np.array_split(shuffled, FOLDS):
        inside = np.isin(question, fold)
        model = LogisticRegression(C=STRENGTH, max_iter=3_000).fit(
            scaled[~inside], answers[~inside]
        )
        held_out[inside] = model.predict_proba(scaled[inside])[:, 1]
    best = np.array([held_out[question == q].max(initial=0.0) for q in range(len(due))])
    order = np.argsort(best)
    refuse = np.array(due)

    model = LogisticRegression(C=STRENGTH, max_iter=3_000).fit(scaled, answers)
    weights = model.coef_[0] / spread
    return {
        "weights": dict(zip(FEATURES, np.round(weights, 2).tolist(), strict=True)),
        "bias": round(float(model.intercept_[0] - (weights * mean).sum()), 2),
        "auc": round(float(roc_auc_score(~refuse, best)), 3),
        "refusing": [
            {
                "questions": count,
                "below": round(float(best[order[count]]), 3),
                "precision": round(float(refuse[order[:count]].mean()), 3),
                "recall": round(float(refuse[order[:count]].sum() / refuse.sum()), 3),
            }
            for count in range(30, 70, 5)
        ],
    }


def _untold(_doing: str, _done: int, _of: int) -> None:
    """Nobody watches."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    cases = read_golden(CORPUS)
    figures = fit(asyncio.run(rows_of(cases)), [case.refuses for case in cases])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
