"""What the confidence of an answer is worth, on the golden set of the sample company.

Every question is asked as the platform is set up (the extractive model, which tells how sure it is),
and once more of the same model with that sign taken away, as of a model that tells nothing. Told
are, of what was answered: how far the confidence is off what comes true (expected calibration error
over bins of equal width: Naeini et al., AAAI 2015) and how well it tells right from wrong answers (AUC).

    python tests/benchmarks/bench_confidence.py --out bench/results/confidence.json
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scikit-learn ships no types.

import argparse
import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reporting import report, told
from sklearn.metrics import roc_auc_score

from api.evaluation import FILESYSTEM, fresh_platform, ingest_source
from api.settings import Settings
from api.trails import evaluated
from rag.access import TenantId
from rag.answering import Answerer
from rag.asking_protocols import NoMemory
from rag.evaluation.golden import GoldenCase, GoldenResult, read_golden
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.protocols import Completion
from rag.trail import Trail
from rag.types import Answer

ALDERMOOR = Path(__file__).parents[2] / "corpora" / "aldermoor"
BINS = 5


@dataclass(frozen=True, slots=True)
class Told:
    """A confidence, and whether the answer was right."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class Silent:
    """A `Gateway` whose models do not tell how sure they are."""

    gateway: Gateway

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        async with aclosing(self.gateway.stream(call, trail)) as pieces:
            async for piece in pieces:
                yield replace(piece, confidence=None) if isinstance(piece, Completion) else piece


def calibration_error(answers: Sequence[Told], bins: int = BINS) -> float:
    """The distance of mean confidence and share right in each bin, weighted by its answers."""
    found: list[list[Told]] = [[] for _ in range(bins)]
    for each in answers:
        found[min(int(each.confidence * bins), bins - 1)].append(each)
    return sum(abs(sum(each.confidence - each.right for each in some)) for some in found) / len(
        answers
    )


def figures_of(answers: Sequence[Told]) -> dict[str, Any]:
    right = [each.right for each in answers]
    both = len(set(right)) > 1
    auc = roc_auc_score(right, [each.confidence for each in answers]) if both else None
    return {
        "answers": len(answers),
        "right": round(sum(right) / len(right), 3),
        "mean_confidence": round(sum(each.confidence for each in answers) / len(answers), 3),
        "calibration_error": round(calibration_error(answers), 3),
        "auc": None if auc is None else round(float(auc), 3),
    }


async def answers_of(
    answerer: Answerer, cases: Sequence[GoldenCase], tenant: TenantId
) -> list[Told]:
    found: list[Told] = []
    for at, case in enumerate(cases):
        told("asking", at, len(cases))
        outcome = await answerer.ask(evaluated(case.question, case.principal(tenant)))
        if isinstance(outcome, Answer):
            result = GoldenResult(
                case=case, retrieved=(), outcome=outcome, cited=(), search_ms=0.0, ask_ms=0.0
            )
            found.append(Told(outcome.confidence, result.right))
    return found


async def measure(folder: Path) -> dict[str, Any]:
    settings = Settings()
    tenant = TenantId(settings.tenant)
    cases = read_golden(folder)
    documents = str((folder / "documents").resolve())
    async with fresh_platform(settings) as platform:
        await ingest_source(platform, FILESYSTEM, {"root": documents}, told)
        sure = replace(platform.answerer, memory=NoMemory())
        silent = replace(sure, gateway=Silent(sure.gateway))
        return {
            "as it is": figures_of(await answers_of(sure, cases, tenant)),
            "without the model's own": figures_of(await answers_of(silent, cases, tenant)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--golden", type=Path, default=ALDERMOOR)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    report(asyncio.run(measure(arguments.golden)), arguments.out)


if __name__ == "__main__":
    main()
