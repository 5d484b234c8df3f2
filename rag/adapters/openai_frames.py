"""What an OpenAI-compatible endpoint streams: the shape of its events, and what they add up to."""

import math
from dataclasses import dataclass, field

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic's own need below Python 3.12

from rag.types import Usage


class FailedMidway(Exception):  # noqa: N818 - it never leaves the adapter
    """The endpoint says in its stream that it failed."""


# Plain dictionaries: a frame comes for every token, and objects would take three times as long.
class _Delta(TypedDict, total=False):
    content: str | None


class _Token(TypedDict):
    logprob: float


class _LogProbs(TypedDict, total=False):
    content: list[_Token] | None


class _Choice(TypedDict, total=False):
    delta: _Delta
    finish_reason: str | None
    logprobs: _LogProbs | None


class _Cached(TypedDict, total=False):
    cached_tokens: int | None


class _Counts(TypedDict, total=False):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _Cached | None


@with_config(ConfigDict(hide_input_in_errors=True))
class _Frame(TypedDict, total=False):
    """One event of the stream. The last one before the end has the usage and no choice.

    A frame that is none may repeat the key or the prompt: pydantic's error must not show it.
    """

    choices: list[_Choice]
    usage: _Counts | None
    error: object


_FRAME = TypeAdapter(_Frame)


@dataclass(slots=True)
class Heard:
    """What the events of one answer told besides its text."""

    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    anything: bool = False
    """Whether it has said anything. The opening event names a role before the model has read the
    prompt: that is nothing."""
    _logprob: float = 0.0
    _tokens: int = 0

    def take(self, event: bytes) -> str | None:
        """The text in `event`: empty where it said something else, None where it said nothing.

        Errors: `ValueError` for what is no event of a completion; `FailedMidway`.
        """
        frame = _FRAME.validate_json(event)
        if frame.get("error") is not None:
            raise FailedMidway
        text: str | None = None
        if counts := frame.get("usage"):
            self.usage = _usage_of(counts)
            text = ""
        if choices := frame.get("choices"):
            choice = choices[0]
            if delta := choice.get("delta"):
                text = delta.get("content") or text
            if ended := choice.get("finish_reason"):
                self.finish_reason = ended
                text = text or ""
            if logprobs := choice.get("logprobs"):
                self._weigh(logprobs)
        if text is not None:
            self.anything = True
        return text

    def _weigh(self, logprobs: _LogProbs) -> None:
        for token in logprobs.get("content") or ():
            self._logprob += token["logprob"]
            self._tokens += 1

    @property
    def sureness(self) -> float | None:
        """The geometric mean of the tokens' probabilities, where the endpoint gave them."""
        return math.exp(min(0.0, self._logprob / self._tokens)) if self._tokens else None


def _usage_of(counts: _Counts) -> Usage:
    details = counts.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if details else None
    return Usage(
        max(0, counts.get("prompt_tokens", 0)),
        max(0, counts.get("completion_tokens", 0)),
        max(0, cached or 0),
    )
