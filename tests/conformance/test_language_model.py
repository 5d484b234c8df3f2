"""What every language model promises. Each new adapter joins here."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
import pytest_asyncio
from pydantic import SecretStr

from rag.adapters.answerability import Answerability
from rag.adapters.extractive import ExtractiveLanguageModel
from rag.adapters.openai_wire import OpenAIWire
from rag.adapters.relevance import StatementRanker
from rag.packing import pack_evidence
from rag.protocols import Completion, LanguageModel, Message, ModelPrompt
from rag.testing import HashEmbedder, ScriptedLanguageModel
from tests.model_server import MODEL_NAME, ModelServer
from tests.values import hit

QUESTION = "How often is the intake filter changed?"
EVIDENCE = pack_evidence(
    [hit("The intake filter is changed every 14 days.")],
    count_tokens=HashEmbedder().count_tokens,
    budget_tokens=100,
)


def _scripted(_: pytest.FixtureRequest) -> LanguageModel:
    return ScriptedLanguageModel("The intake filter is changed every 14 days [1].")


def _extractive(_: pytest.FixtureRequest) -> LanguageModel:
    return ExtractiveLanguageModel(
        # The weights were fitted for a real embedder: with this one nothing looks likely.
        answerability=Answerability(ranker=StatementRanker(embedder=HashEmbedder())),
        answers_from=0.0,
    )


def _openai_compatible(request: pytest.FixtureRequest) -> LanguageModel:
    server: ModelServer = request.getfixturevalue("model_server")
    return OpenAIWire(
        base_url=server.base_url,
        model=MODEL_NAME,
        api_key=SecretStr(server.api_key),
    )


def _llama_index(_: pytest.FixtureRequest) -> LanguageModel:
    from llama_index.core.llms import MockLLM  # noqa: PLC0415 - it takes seconds

    from rag.adapters.llama_index import LlamaIndexModel  # noqa: PLC0415

    return LlamaIndexModel(MockLLM(max_tokens=8))


@pytest.fixture(name="unopened", params=[_scripted, _extractive, _openai_compatible, _llama_index])
def unopened_language_model(request: pytest.FixtureRequest) -> LanguageModel:
    return request.param(request)


@pytest_asyncio.fixture(name="model")
async def language_model(unopened: LanguageModel) -> AsyncGenerator[LanguageModel]:
    yield unopened
    await unopened.aclose()


def _prompt() -> ModelPrompt:
    return ModelPrompt(
        question=QUESTION,
        evidence=EVIDENCE,
        messages=(Message("system", EVIDENCE[0].text), Message("user", QUESTION)),
        prompt="short",
        max_output_tokens=8,
    )


async def test_text_comes_first_and_one_completion_comes_last(model: LanguageModel) -> None:
    pieces = [piece async for piece in model.stream(_prompt())]

    *text, last = pieces
    assert text and all(isinstance(piece, str) and piece for piece in text)
    assert isinstance(last, Completion)
    assert last.finish_reason
    assert last.usage.input_tokens >= 0 and last.usage.output_tokens >= 0
    assert last.confidence is None or 0 <= last.confidence <= 1


async def test_a_stream_that_is_closed_early_leaves_the_model_fit_for_the_next(
    model: LanguageModel,
) -> None:
    async with aclosing(model.stream(_prompt())) as pieces:
        first = await anext(pieces)
    assert isinstance(first, str)
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)

    again = [piece async for piece in model.stream(_prompt())]
    assert again[0] == first
    assert isinstance(again[-1], Completion)


async def test_a_stream_that_nobody_reads_can_be_closed(model: LanguageModel) -> None:
    pieces = model.stream(_prompt())
    await pieces.aclose()

    with pytest.raises(StopAsyncIteration):
        await anext(pieces)


def test_a_model_has_a_name(model: LanguageModel) -> None:
    assert model.name
