"""One call of a language model, as the gateway is asked for it.

What wraps the gateway (masking, budgets, records) satisfies `Gateway` too.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rag.gateway.budgets import Amount
from rag.protocols import Completion, ModelPrompt
from rag.trail import Account, RequestId, Trail, UseCase
from rag.types import Quality


class Lane(StrEnum):
    """Who waits for it. Batch work is called when interactive work leaves room."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalSignals:
    """What retrieval tells of how hard a question is."""

    top_score: float
    """Of the first passage, 0 to 1."""
    gap: float
    """Between the first and the second."""
    passages: int
    documents: int
    """How many different documents the passages are of."""
    agreement: float
    """Share of the passages that both searches found."""


HoldMore = Callable[[Amount], Awaitable[bool]]
"""Whether there is room in the budgets for so much more; it is held then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """What is asked of a model, for whom, and what the answer must satisfy."""

    prompt: ModelPrompt
    account: Account
    request: RequestId
    use_case: UseCase
    step: str = "answer"
    """What it is for within the request (`answer`, `rewrite`, `summary`, `judge`, …)."""
    quality: Quality = "balanced"
    lane: Lane = Lane.INTERACTIVE
    deadline_s: float | None = None
    """Seconds for all attempts together; None leaves it to the settings."""
    model: str | None = None
    """A catalogue name, where the caller is an app that may choose one or a rollout chose it."""
    tried: tuple[str, ...] = ()
    """Models of a cascade whose answers did not do: a dearer one is wanted."""
    unpaid: bool = False
    """Whether nothing may be spent on it: then only what quotes is asked."""
    personal_data: bool = False
    """Whether the messages hold personal data unmasked: not every region may see them."""
    signals: RetrievalSignals | None = None
    hold_more: HoldMore | None = None
    """Asked before an attempt that follows one which was billed; None: no budget holds the call."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """What was released of this call's text is void: another deployment begins from the start."""

    reason: str


class Gateway(Protocol):
    """The one way to a language model."""

    def stream(self, call: ModelCall, trail: Trail) -> AsyncGenerator[str | Restarted | Completion]:
        """Pieces of the text as they come, then one `Completion`. Closing it stops the model,
        and what was spent until then is settled.

        Decisions and attempts are written to `trail`. Errors: `ModelUnavailable` when the chain
        of models is spent, `OverBudget`, `PolicyForbids` (no model may be sent this),
        `RateLimited`, `PermanentError` where the request itself is at fault.
        """
        ...
