"""llama-index's models behind our protocol: real `LLM` classes, one of them a provider's double."""

import asyncio
import traceback
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import LLM, CompletionResponse, CustomLLM, MockLLM
from pydantic import PrivateAttr

from rag.adapters.llama_index import LlamaIndexModel
from rag.errors import ModelUnavailable, PermanentError
from rag.gateway.patience import Patience
from rag.protocols import Completion, Message, ModelPrompt
from rag.types import Usage

SECRET = "sk-never-to-be-shown"
PROMPT = ModelPrompt(
    question="How deep is the sea?",
    evidence=(),
    messages=(Message("system", "Answer in a word."), Message("user", "How deep is the sea?")),
    prompt="short",
)


class ProviderError(Exception):
    """What a provider's own library raises: a status, where there is one, and too many words."""

    def __init__(self, status_code: int | None) -> None:
        super().__init__("the provider failed")
        self.status_code = status_code


class Provider(CustomLLM):
    """Streams what it is given, as providers' classes do: deltas, then a response with counts."""

    responses: tuple[ChatResponse, ...] = ()
    error: Any = None
    silent: bool = False
    _asked: list[ChatMessage] = PrivateAttr(default_factory=list[ChatMessage])
    _closed: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="provided", is_chat_model=True)

    @property
    def asked(self) -> list[ChatMessage]:
        return self._asked

    @property
    def closed(self) -> asyncio.Event:
        return self._closed

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        del kwargs
        self._asked.extend(messages)

        async def stream() -> ChatResponseAsyncGen:
            try:
                for response in self.responses:
                    yield response
                if self.error is not None:
                    raise self.error
                if self.silent:
                    await asyncio.Event().wait()
            finally:
                self._closed.set()

        return stream()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT001, FBT002 - llama-index's signature
        raise NotImplementedError

    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: FBT001, FBT002 - llama-index's signature
        **kwargs: Any,
    ) -> CompletionResponseGen:
        raise NotImplementedError


def said(delta: str, *, raw: Any = None, **counts: int) -> ChatResponse:
    return ChatResponse(
        message=ChatMessage(role="assistant", content=delta),
        delta=delta,
        raw=raw,
        additional_kwargs=counts,
    )


async def everything(llm: LLM) -> list[str | Completion]:
    return [piece async for piece in LlamaIndexModel(llm).stream(PROMPT)]


async def test_a_class_of_llama_index_streams_its_text_and_a_completion() -> None:
    *text, last = await everything(MockLLM(max_tokens=3))

    assert text == ["text ", "text ", "text"]
    assert isinstance(last, Completion)
    assert last.usage == Usage()


async def test_the_provider_is_given_every_message_in_its_role() -> None:
    provider = Provider(responses=(said("Deep."),))
    await everything(provider)

    assert [(message.role.value, message.content) for message in provider.asked] == [
        ("system", "Answer in a word."),
        ("user", "How deep is the sea?"),
    ]


@pytest.mark.parametrize(
    "last",
    [
        said("", prompt_tokens=21, completion_tokens=2),
        said("", raw={"usage": {"prompt_tokens": 21, "completion_tokens": 2}}),
    ],
    ids=["beside the response", "in the raw one"],
)
async def test_tokens_are_counted_where_the_provider_counts_them(last: ChatResponse) -> None:
    pieces = await everything(
        Provider(
            responses=(
                said("Very"),
                said(" deep."),
                last,
            )
        )
    )

    assert pieces == [
        "Very",
        " deep.",
        Completion(model="provided", usage=Usage(21, 2), finish_reason="stop"),
    ]


async def test_a_text_that_was_cut_short_says_so() -> None:
    cut = said("Ve", raw={"choices": [{"finish_reason": "length"}]})
    [_, last] = await everything(Provider(responses=(cut,)))

    assert isinstance(last, Completion)
    assert last.finish_reason == "length"


@pytest.mark.parametrize("status", [None, 408, 429, 500, 503])
async def test_an_error_that_may_pass_is_transient(status: int | None) -> None:
    with pytest.raises(ModelUnavailable):
        await everything(Provider(responses=(said("Very"),), error=ProviderError(status)))


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_an_error_that_blames_the_request_is_permanent(status: int) -> None:
    with pytest.raises(PermanentError):
        await everything(Provider(error=ProviderError(status)))


async def test_an_errors_text_tells_its_kind_and_none_of_its_words() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await everything(Provider(error=RuntimeError(f"Incorrect API key provided: {SECRET}")))

    assert "RuntimeError" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))


async def test_a_provider_that_falls_silent_is_given_up() -> None:
    provider = Provider(responses=(said("Very"),), silent=True)
    model = LlamaIndexModel(provider, Patience(gap_s=0.05))

    with pytest.raises(ModelUnavailable):
        [_ async for _ in model.stream(PROMPT)]
    assert provider.closed.is_set()


async def test_closing_the_stream_closes_the_providers() -> None:
    provider = Provider(
        responses=(
            said("Very"),
            said(" deep."),
        )
    )
    async with aclosing(LlamaIndexModel(provider).stream(PROMPT)) as pieces:
        assert await anext(pieces) == "Very"

    assert provider.closed.is_set()
