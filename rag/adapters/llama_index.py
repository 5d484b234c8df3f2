"""Any llama-index `LLM` as a language model: its catalogue of providers, behind our protocol."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import LLM

from rag.errors import ModelUnavailable, PermanentError
from rag.gateway.patience import Patience, paced
from rag.protocols import Completion, ModelPrompt
from rag.types import Usage

_TRY_AGAIN = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class LlamaIndexModel:
    llm: LLM
    patience: Patience = field(default_factory=Patience)

    @property
    def name(self) -> str:
        return self.llm.metadata.model_name

    async def stream(self, prompt: ModelPrompt) -> AsyncGenerator[str | Completion]:
        last: ChatResponse | None = None
        async with (
            aclosing(self._responses(prompt)) as responses,
            aclosing(paced(responses, self.patience, model=self.name)) as timed,
        ):
            async for response in timed:
                last = response
                if response.delta:
                    yield response.delta
        yield Completion(
            model=self.name,
            usage=Usage() if last is None else _usage_of(last),
            finish_reason="stop" if last is None else _finish_reason_of(last),
        )

    async def aclose(self) -> None:
        """llama-index's models hold nothing that can be closed."""

    async def _responses(self, prompt: ModelPrompt) -> AsyncGenerator[ChatResponse]:
        messages = [
            ChatMessage(role=message.role, content=message.content) for message in prompt.messages
        ]
        try:
            responses = await self.llm.astream_chat(messages)
            async with aclosing(responses):
                async for response in responses:
                    yield response
        except Exception as error:
            # Each provider raises errors of its own, which may repeat the key or the prompt: what
            # they share is at most a status, and only that and the error's kind are told.
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> ModelUnavailable | PermanentError:
        status = getattr(error, "status_code", None)
        message = f"{self.name} failed ({type(error).__name__})"
        if isinstance(status, int) and 400 <= status < 500 and status not in _TRY_AGAIN:
            return PermanentError(message)
        return ModelUnavailable(message)


def _usage_of(response: ChatResponse) -> Usage:
    """Where the provider counted tokens: beside the response, or in the raw one's `usage`."""
    places: tuple[Any, ...] = (
        cast("Any", response).additional_kwargs,
        _part(response.raw, "usage"),
    )
    for counts in places:
        asked = _part(counts, "prompt_tokens")
        said = _part(counts, "completion_tokens")
        if isinstance(asked, int) and isinstance(said, int):
            return Usage(asked, said)
    return Usage()


def _finish_reason_of(response: ChatResponse) -> str:
    choices = _part(response.raw, "choices")
    if isinstance(choices, list) and choices:
        reason = _part(cast("list[Any]", choices)[0], "finish_reason")
        if isinstance(reason, str):
            return reason
    return "stop"


def _part(whole: Any, name: str) -> Any:
    if isinstance(whole, Mapping):
        return cast("Mapping[str, Any]", whole).get(name)
    return getattr(whole, name, None)
