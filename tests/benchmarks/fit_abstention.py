"""Fits the weights of `relevance.py` and `answerability.py` in `rag/adapters`, and measures them on questions they never saw.

Learned from: `abstention_questions.jsonl` beside this file, questions on the sample company that
are not in its golden set. Each is asked by somebody who may read everything and by somebody who is
in no group, so an answer that is hidden from the asker is a case of its own. Each statement of the
evidence is one row of the first function, each question with its evidence one of the second.

Measured on: the golden set. docs/decisions/0010-dictionary-and-abstention.md has the figures.

    python tests/benchmarks/fit_abstention.py --out bench/results/abstention.json
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scikit-learn ships no types.

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from reporting import report
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from api.evaluation import fresh_platform, ingest_source
from api.platform import Platform
from api.settings import Settings
from rag.access import Principal, PrincipalId, TenantId, scope_of
from rag.adapters.answerability import BIAS, WEIGHTS, features_of
from rag.adapters.dictionary import open_dictionary
from rag.adapters.extractive import said_of
from rag.adapters.relevance import NEVER, Features, StatementRanker
from rag.asking import EFFORTS
from rag.evaluation.golden import read_golden
from rag.packing import pack_evidence
from rag.types import Chunk, Evidence, Query

CORPUS = Path(__file__).parents[2] / "corpora" / "aldermoor"
QUESTIONS = Path(__file__).with_name("abstention_questions.jsonl")
GROUPS = (
    "people finance engineering legal it sales operations quality kassel managers board".split()
)
Weights = tuple[dict[str, float], float]
"""The weight of each feature, and the bias."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A question by somebody, and what should come of it."""

    question: str
    asker: Principal
    documents: tuple[str, ...]
    answers: tuple[str, ...]
    refuses: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """An asking, what the search brought for it, and whether it should be refused."""

    asking: Asking
    evidence: tuple[Evidence, ...]
    refuses: bool

    def answers(self, said: str, document: str) -> bool:
        return document in self.asking.documents and any(
            part.casefold() in said.casefold() for part in self.asking.answers
        )


def own_questions(tenant: TenantId) -> list[Asking]:
    everywhere = frozenset(PrincipalId(f"group:{group}") for group in GROUPS)
    reader = Principal(tenant, PrincipalId("user:1091"), everywhere)
    outsider = Principal(tenant, PrincipalId("user:1102"), frozenset())
    found: list[Asking] = []
    for line in QUESTIONS.read_text(encoding="utf-8").splitlines():
        record: dict[str, str | None] = json.loads(line)
        question, document, answer = (
            record[key] or "" for key in ("question", "document", "answer")
        )
        if not document:
            found.append(Asking(question, reader, (), (), refuses=True))
            continue
        # Whether the outsider may read the document shows when its passages come back, or do not.
        found += [
            Asking(question, asker, (document,), (answer,), refuses=False)
            for asker in (reader, outsider)
        ]
    return found


def golden_questions(tenant: TenantId) -> list[Asking]:
    return [
        Asking(
            case.question,
            case.principal(tenant),
            case.expected_documents + case.alternative_documents,
            case.answer_contains,
            case.refuses,
        )
        for case in read_golden(CORPUS)
    ]


async def searched(platform: Platform, askings: Sequence[Asking]) -> list[Asked]:
    effort = EFFORTS["balanced"]
    found: list[Asked] = []
    for asking in askings:
        query = Query(text=asking.question, scope=scope_of(asking.asker), limit=effort.hits)
        evidence = pack_evidence(
            (await platform.retriever.retrieve(query)).hits,
            count_tokens=platform.embedder.count_tokens,
            budget_tokens=effort.evidence_tokens,
            passages=effort.passages,
        )
        shown = {path_of(each.hit.chunk) for each in evidence}
        hidden = not asking.asker.groups and shown.isdisjoint(asking.documents)
        found.append(Asked(asking, evidence, refuses=asking.refuses or hidden))
    return found


def path_of(chunk: Chunk) -> str:
    return chunk.document.uri.removeprefix((CORPUS / "documents").resolve().as_uri() + "/")


async def fit_statements(ranker: StatementRanker, asked: Sequence[Asked]) -> Weights:
    rows: list[Features] = []
    answers: list[bool] = []
    for each in asked:
        ranked = await ranker.rank(each.asking.question, each.evidence)
        for judged in ranked.judged:
            if judged.logit > NEVER:
                said = said_of(ranked.wording, judged.statement)
                rows.append(judged.features)
                answers.append(each.answers(said, path_of(judged.statement.chunk)))
    return fit(rows, answers, strength=1.0)


async def whole_features(ranker: StatementRanker, asked: Sequence[Asked]) -> list[Features | None]:
    """Of each question with its evidence; None where no weights are asked."""
    return [
        features_of(await ranker.rank(each.asking.question, each.evidence), each.evidence)
        for each in asked
    ]


def fit(rows: Sequence[Features], answers: Sequence[bool], *, strength: float) -> Weights:
    """Weights of the raw features. `strength` is the inverse of the regularisation's."""
    names = tuple(rows[0])
    values = np.array([[row[name] for name in names] for row in rows])
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-9
    model = LogisticRegression(C=strength, max_iter=3_000).fit((values - mean) / spread, answers)
    weights = model.coef_[0] / spread
    bias = float(model.intercept_[0] - (weights * mean).sum())
    return dict(zip(names, np.round(weights, 3).tolist(), strict=True)), round(bias, 2)


def separation(
    rows: Sequence[Features | None], asked: Sequence[Asked], fitted: Weights
) -> dict[str, Any]:
    """How well the probability tells what should be refused."""
    weights, bias = fitted
    sure = np.array(
        [
            0.0
            if row is None
            else 1 / (1 + np.exp(-(bias + sum(weights[name] * row[name] for name in weights))))
            for row in rows
        ]
    )
    refuses = np.array([each.refuses for each in asked])
    return {
        "asked": len(asked),
        "to_refuse": int(refuses.sum()),
        "auc": round(float(roc_auc_score(~refuses, sure)), 3),
        "refused_below": {
            str(least): {
                "precision": round(float(refuses[sure < least].mean()), 3),
                "recall": round(float(refuses[sure < least].sum() / refuses.sum()), 3),
            }
            for least in (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
            if (sure < least).any()
        },
    }


async def figures_of() -> dict[str, Any]:
    documents = str((CORPUS / "documents").resolve())
    async with fresh_platform(Settings()) as platform:
        await ingest_source(platform, "filesystem", {"root": documents}, _untold)
        tenant = TenantId(platform.settings.tenant)
        own = await searched(platform, own_questions(tenant))
        golden = await searched(platform, golden_questions(tenant))
        ranker = StatementRanker(embedder=platform.embedder, lexicon=open_dictionary())
        statements = await fit_statements(ranker, own)
        ranker = replace(ranker, weights=statements[0], bias=statements[1])
        rows, golden_rows = await whole_features(ranker, own), await whole_features(ranker, golden)
    heard = [at for at, row in enumerate(rows) if row is not None]
    whole = fit(
        [row for row in rows if row is not None],
        [not own[at].refuses for at in heard],
        strength=0.1,
    )
    return {
        "statements": statements,
        "whole": whole,
        "learned_from": separation(rows, own, whole),
        "golden_set": separation(golden_rows, golden, whole),
        "golden_set_with_the_weights_in_use": separation(
            golden_rows, golden, (dict(WEIGHTS), BIAS)
        ),
    }


def _untold(_doing: str, _done: int, _of: int) -> None:
    """Nobody watches."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    report(asyncio.run(figures_of()), out)


if __name__ == "__main__":
    main()
