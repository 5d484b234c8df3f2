"""The sample company's questions, asked of the platform as it is set up by default."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.evaluation import evaluate_golden_folder
from api.settings import Settings
from rag.evaluation.golden import GoldenResult
from rag.types import Answer

CORPUS = Path(__file__).parents[2] / "corpora" / "aldermoor"

FLOORS = {
    "recall@10": 0.95,
    "answer_accuracy": 0.7,
    "refusal_precision": 0.62,
    "refusal_recall": 0.8,
    "citation_precision": 0.95,
    "citation_recall": 0.8,
}
"""What the default reaches, less a little for another processor's rounding. The aim for
refusals (.9 both) is not reached: README, "Measuring"."""


def untold(_doing: str, _done: int, _of: int) -> None:
    """Nobody watches."""


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def golden() -> tuple[dict[str, Any], Sequence[GoldenResult]]:
    return await evaluate_golden_folder(Settings(), CORPUS, progress=untold)


async def test_the_golden_set_is_answered_as_well_as_promised(
    golden: tuple[dict[str, Any], Sequence[GoldenResult]],
) -> None:
    report, _ = golden
    assert report["failed"] == 0
    assert report["forbidden_leaks"] == 0
    assert {name: report[name] for name in FLOORS if report[name] < FLOORS[name]} == {}


async def test_every_citation_quotes_the_passage_it_names(
    golden: tuple[dict[str, Any], Sequence[GoldenResult]],
) -> None:
    _, results = golden
    answers = [result.outcome for result in results if isinstance(result.outcome, Answer)]
    assert answers
    for citation in (citation for answer in answers for citation in answer.citations):
        assert citation.verified
        start, end = citation.span.start, citation.span.end
        assert citation.chunk.text[start:end] == citation.quote
