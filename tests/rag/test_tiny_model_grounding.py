"""A real language model that is wrong most of the time, and what of it reaches the asker."""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

import pytest_asyncio
from pydantic import SecretStr

from rag.access import Principal, PrincipalId
from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.adapters.openai_wire import OpenAIWire
from rag.asking import AskEvent, Finished, SentenceJudged, TextReleased
from rag.grounding import SUPPORTED, GroundingCheck
from rag.packing import pack_evidence
from rag.prompts.registry import Prompt, parse_prompt
from rag.protocols import Completion, LanguageModel, ModelPrompt
from rag.statements import statements_of
from rag.testing import FixedRetriever
from rag.types import Answer, Refusal
from tests.asking import ShippedPrompts, answerer_of, asked
from tests.model_server import MODEL_NAME, ModelServer
from tests.values import ACME, hit

PASSAGES = (
    hit("The intake filter of the pump AP-450X is changed every 14 days.", document="manual"),
    hit("Night work is paid a supplement of 25 percent.", document="agreement"),
    hit(
        "The canteen in Aldermoor opens at 11:30. It serves lunch until 14:00.", document="canteen"
    ),
)
QUESTIONS = (
    "How often is the intake filter of the AP-450X changed?",
    "What is the supplement for night work?",
    "When does the canteen open?",
    "Who is the head of the canteen?",
    "What is the warranty of the pump AP-450X?",
    "Until when is lunch served?",
)
ASKER = Principal(ACME, PrincipalId("ada"))


@dataclass(frozen=True, slots=True)
class Brief:
    """A model that is stopped after a few sentences."""

    inner: LanguageModel
    max_output_tokens: int = 48

    @property
    def name(self) -> str:
        return self.inner.name

    def stream(self, prompt: ModelPrompt) -> AsyncGenerator[str | Completion]:
        return self.inner.stream(replace(prompt, max_output_tokens=self.max_output_tokens))

    async def aclose(self) -> None:
        await self.inner.aclose()


def _short_prompt() -> Prompt:
    """As the shipped one asks, in the few words that a model of 135M parameters can follow."""
    return parse_prompt(
        "# SYSTEM\n\nAnswer the question from the passages, in one or two full sentences.\n\n"
        "# CONTEXT\n\n{{evidence}}\n\n# INSTRUCTION\n\n{{question}}\n\n({{marker}})\n\n"
        "# FORMAT\n\nEnd a sentence with its passage's number, such as [2].\n",
        name="short",
        version="v1",
    )


@pytest_asyncio.fixture(name="model")
async def tiny_model(model_server: ModelServer) -> AsyncGenerator[LanguageModel]:
    model = OpenAIWire(
        base_url=model_server.base_url,
        model=MODEL_NAME,
        api_key=SecretStr(model_server.api_key),
    )
    yield Brief(model)
    await model.aclose()


async def test_of_a_model_that_makes_things_up_only_what_the_evidence_says_is_released(
    model: LanguageModel, minilm: OnnxEmbedder
) -> None:
    grounding = GroundingCheck(embedder=minilm)
    answerer = answerer_of(
        model,
        retriever=FixedRetriever(PASSAGES),
        embedder=minilm,
        prompts=ShippedPrompts(answer=_short_prompt()),
    )
    judged: list[SentenceJudged] = []
    refused = 0
    for question in QUESTIONS:
        events = [event async for event in answerer.stream(asked(question, ASKER))]
        judged += _judged(events)
        [*_, last] = events
        assert isinstance(last, Finished)
        if isinstance(last.outcome, Refusal):
            refused += 1
            assert not _released(events)
        else:
            await _assert_grounded(last.outcome, _released(events), grounding)

    removed = sum(each.verdict == "unsupported" for each in judged)
    assert len(judged) >= len(QUESTIONS) / 2, "it said too little to be a test"
    assert removed >= 1
    assert refused < len(QUESTIONS), "nothing that it said could be released"


def _judged(events: Sequence[AskEvent]) -> list[SentenceJudged]:
    return [event for event in events if isinstance(event, SentenceJudged)]


def _released(events: Sequence[AskEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, TextReleased)]


async def _assert_grounded(
    answer: Answer, released: Sequence[str], grounding: GroundingCheck
) -> None:
    assert "".join(released) == answer.text
    assert answer.citations and answer.usage.output_tokens > 0
    cited = {citation.number: citation for citation in answer.citations}
    statements = statements_of(
        pack_evidence(PASSAGES, count_tokens=grounding.embedder.count_tokens, budget_tokens=10_000)
    )
    shown = "\n".join(hit.chunk.embedded_text for hit in PASSAGES)
    for citation in answer.citations:
        span = citation.span
        assert citation.verified
        assert citation.chunk.text[span.start : span.end] == citation.quote
    for piece in released:
        sentence = re.fullmatch(r"\s*(.+) \[(\d+)\]", piece, re.DOTALL)
        assert sentence is not None and int(sentence[2]) in cited
        support = await grounding.support(sentence[1], statements)
        assert support is not None and support.score >= SUPPORTED
        for number in re.findall(r"\d+", sentence[1]):
            assert number in shown
