"""Makes `rag/gateway/complexity.json`: how hard a question looks for a cheap model.

Two logistic functions. That of the question alone learns from RouteLLM's graded answers (Apache-2.0),
where a cheap model was wrong: two subjects of three, the third is kept to be measured on, and so is
the arithmetic of GSM8K. That with what was found learns from `abstention_questions.jsonl` on the
sample company, where the evidence holds the answer and the extractive model, the cheapest there is,
does not give it. `bench_routing.py` measures both on what they never saw.

    python tests/benchmarks/fit_complexity.py
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scikit-learn ships no types.

import asyncio
import json
import math
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fit_abstention import Asked, golden_questions, own_questions, path_of, searched
from public_data import GUARDRAILS, is_here
from sklearn.linear_model import LogisticRegression

from api.evaluation import fresh_platform, ingest_source
from api.settings import Settings
from rag.access import TenantId
from rag.adapters.answerability import Answerability
from rag.adapters.dictionary import open_dictionary
from rag.adapters.extractive import ExtractiveLanguageModel
from rag.adapters.relevance import StatementRanker
from rag.evaluation.routing import Graded, GradedFile, read_graded
from rag.gateway.calls import RetrievalSignals
from rag.gateway.complexity import (
    Features,
    Logistic,
    question_features,
    retrieval_features,
    signals_of,
)
from rag.protocols import ModelPrompt

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "corpora" / "aldermoor"
WEIGHTS = ROOT / "rag" / "gateway" / "complexity.json"
SUBJECTS = GUARDRAILS / "routing_mmlu"
KEPT_EVERY = 3
STRENGTH = 0.05
"""Inverse of the regularisation's: there are few subjects to learn from."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A question to the extractive model whose evidence holds the answer."""

    question: str
    signals: RetrievalSignals
    missed: bool
    """Whether its answer was not the one."""


def learned_subjects(files: Sequence[GradedFile]) -> list[GradedFile]:
    """Those that weights are learned from: the rest is to be measured on."""
    return [file for at, file in enumerate(files) if at % KEPT_EVERY != KEPT_EVERY - 1]


def fit_question(graded: Sequence[Graded]) -> Logistic:
    rows = [question_features(each.question) for each in graded]
    return fit(rows, [not each.cheap for each in graded])


def fit_retrieval(quoted: Sequence[Quoted]) -> Logistic:
    rows = [retrieval_features(each.signals) for each in quoted]
    return fit(rows, [each.missed for each in quoted])


def fit(rows: Sequence[Features], hard: Sequence[bool]) -> Logistic:
    """Weights of the raw features."""
    names = tuple(rows[0])
    values = np.array([[row[name] for name in names] for row in rows])
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-9
    model = LogisticRegression(C=STRENGTH, max_iter=2_000).fit((values - mean) / spread, hard)
    weights = model.coef_[0] / spread
    bias = float(model.intercept_[0] - (weights * mean).sum())
    told = {name: round(float(weight), 4) for name, weight in zip(names, weights, strict=True)}
    return Logistic(round(bias, 4), told)


async def quoted_answers() -> tuple[list[Quoted], list[Quoted]]:
    """Our own questions, and the golden set's, whose answer is in the evidence."""
    documents = str((CORPUS / "documents").resolve())
    async with fresh_platform(Settings()) as platform:
        await ingest_source(platform, "filesystem", {"root": documents}, _untold)
        tenant = TenantId(platform.settings.tenant)
        ranker = StatementRanker(embedder=platform.embedder, lexicon=open_dictionary())
        model = ExtractiveLanguageModel(answerability=Answerability(ranker=ranker))
        own = await searched(platform, own_questions(tenant))
        golden = await searched(platform, golden_questions(tenant))
        return await quoted(model, own), await quoted(model, golden)


async def quoted(model: ExtractiveLanguageModel, asked: Sequence[Asked]) -> list[Quoted]:
    found: list[Quoted] = []
    for each in asked:
        if not any(
            each.answers(passage.text, path_of(passage.hit.chunk)) for passage in each.evidence
        ):
            continue
        prompt = ModelPrompt(
            messages=(), question=each.asking.question, evidence=tuple(each.evidence)
        )
        async with aclosing(model.stream(prompt)) as pieces:
            said = "".join([piece async for piece in pieces if isinstance(piece, str)])
        missed = not any(part.casefold() in said.casefold() for part in each.asking.answers)
        found.append(Quoted(each.asking.question, signals_of(each.evidence), missed))
    return found


def _untold(_doing: str, _done: int, _of: int) -> None:
    """Nobody watches."""


def as_json(each: Logistic) -> dict[str, Any]:
    if not all(map(math.isfinite, (each.bias, *each.weights.values()))):
        raise ValueError("weights that are no numbers")
    return {"bias": each.bias, "weights": dict(each.weights)}


def main() -> None:
    if not is_here(SUBJECTS):
        return
    files = learned_subjects(read_graded(SUBJECTS))
    question = fit_question([each for file in files for each in file.questions])
    own, _ = asyncio.run(quoted_answers())
    learned = {
        "made_by": "tests/benchmarks/fit_complexity.py",
        "question": as_json(question),
        "retrieval": as_json(fit_retrieval(own)),
        "learned_from": {file.subject: file.sha256 for file in files},
    }
    WEIGHTS.write_text(json.dumps(learned, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
