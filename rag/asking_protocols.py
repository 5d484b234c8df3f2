"""What the ask flow stands on, as it asks for it: who finds, remembers, escalates, and works later."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from rag.asking import Ask
from rag.gateway.answer_cache.entries import CachedAnswer
from rag.gateway.calls import ModelCall
from rag.prompts.choosing import Chosen
from rag.types import Answer, Evidence, Query, Refusal, Retrieved


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An answer as it was just made."""

    outcome: Answer | Refusal
    evidence: tuple[Evidence, ...]
    finish_reason: str
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """A moment before retrieval began."""


class Retriever(Protocol):
    async def retrieve(self, query: Query) -> Retrieved: ...


class RelevanceGate(Protocol):
    async def may_answer(self, question: str, evidence: Sequence[Evidence]) -> bool:
        """Whether it is worth asking a model: false where no statement bears on the question."""
        ...


class AnswerMemory(Protocol):
    """Answers that were given before, and may be given again to whoever may read what they rest on."""

    async def recall(self, ask: Ask, chosen: Chosen, *, policy: str) -> CachedAnswer | None: ...

    async def keep(self, ask: Ask, chosen: Chosen, made: Made, *, policy: str) -> None: ...

    def should_recheck(self) -> bool:
        """Whether the answer just recalled is one of the sample that is made anew, to compare."""
        ...

    def rechecked(self, *, agreed: bool) -> None: ...


class Escalation(Protocol):
    def escalation(self, call: ModelCall, answered_by: str) -> ModelCall | None:
        """`call` again for a dearer model than `answered_by`; None where there is none to ask."""
        ...


class Later(Protocol):
    def __call__(self, work: Coroutine[None, None, None], /) -> None:
        """Run `work` after the answer; nobody waits for it."""
        ...


class NoMemory:
    """Satisfies `AnswerMemory`, where every question is to be answered anew."""

    async def recall(self, ask: Ask, chosen: Chosen, *, policy: str) -> CachedAnswer | None:
        del ask, chosen, policy

    async def keep(self, ask: Ask, chosen: Chosen, made: Made, *, policy: str) -> None:
        del ask, chosen, made, policy

    def should_recheck(self) -> bool:
        return False

    def rechecked(self, *, agreed: bool) -> None:
        del agreed
