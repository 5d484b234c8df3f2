"""Whether evidence answers at all: likelier where it says what is asked, impossible for other codes."""

from dataclasses import replace

import pytest

from rag.adapters.answerability import Answerability
from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.adapters.relevance import StatementRanker
from rag.packing import pack_evidence
from rag.types import Evidence
from tests.values import hit


def evidence(*texts: str) -> tuple[Evidence, ...]:
    hits = [
        replace(hit(text, document=f"d{at}"), stage_scores={"sparse": 15.0, "dense": 0.5})
        for at, text in enumerate(texts)
    ]
    return pack_evidence(hits, count_tokens=lambda each: [9] * len(each), budget_tokens=1_000)


async def sure_of(gate: Answerability, question: str, shown: tuple[Evidence, ...]) -> float:
    return gate.probability(await gate.ranker.rank(question, shown), shown)


@pytest.fixture
def gate(minilm: OnnxEmbedder) -> Answerability:
    return Answerability(ranker=StatementRanker(embedder=minilm))


async def test_what_is_said_is_likelier_answered_than_what_is_not(gate: Answerability) -> None:
    shown = evidence(
        "In London the hotel limit is 190 pounds a night.",
        "The canteen is open from 11:30 to 14:00.",
    )
    said = await sure_of(gate, "What is the hotel limit in London?", shown)
    near = await sure_of(gate, "What is the hotel limit in Paris?", shown)
    far = await sure_of(gate, "Who won the football championship?", shown)
    assert said > near > far


async def test_another_code_answers_nothing(gate: Answerability) -> None:
    shown = evidence("The mechanical seal SEAL-4471-B costs 48 euros.")
    assert await sure_of(gate, "What does SEAL-4471-B cost?", shown) > 0
    assert await sure_of(gate, "What does SEAL-4499-D cost?", shown) == 0.0
    assert not await gate.may_answer("What does SEAL-4499-D cost?", shown)


async def test_without_evidence_no_model_is_asked(gate: Answerability) -> None:
    assert not await gate.may_answer("What does SEAL-4471-B cost?", ())
