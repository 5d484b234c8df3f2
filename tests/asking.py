"""An `Answerer` from its parts, with stand-ins that behave for what a test does not look at."""

import uuid
from collections.abc import AsyncGenerator, Coroutine, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rag.access import Principal
from rag.answering import Answerer
from rag.asking import Ask
from rag.asking_protocols import (
    AnswerMemory,
    Escalation,
    NoMemory,
    RelevanceGate,
    Retriever,
)
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.gateway.money import FREE
from rag.grounding import GroundingCheck
from rag.guardrails.checks import Check
from rag.guardrails.flow import Guardrails
from rag.guardrails.policy import Policies, Policy, Rule
from rag.prompts.choosing import Chosen, Outcome, PromptBook, PromptChoice, shipped_book
from rag.prompts.versions import Prompt
from rag.protocols import Completion, Embedder, LanguageModel
from rag.trail import Account, Attempt, AttemptOutcome, RequestId, Trail, UseCase
from rag.types import Quality, Usage


@dataclass(frozen=True, slots=True)
class DirectGateway:
    """The gateway to one model, with nothing in between."""

    model: LanguageModel

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        pieces = self.model.stream(call.prompt)
        usage = Usage()
        outcome: AttemptOutcome = "cancelled"
        try:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    usage, outcome = piece.usage, "ok"
                yield piece
        finally:
            await pieces.aclose()
            trail.attempts.append(
                Attempt(
                    model=self.model.name,
                    deployment=self.model.name,
                    step=call.step,
                    outcome=outcome,
                    usage=usage,
                    estimated=False,
                    cost=FREE,
                    started_at=trail.started_at,
                    first_token_ms=None,
                    total_ms=0.0,
                )
            )


@dataclass(frozen=True, slots=True)
class NoDearer:
    """There is no other model to ask."""

    def escalation(self, call: ModelCall, answered_by: str) -> ModelCall | None:
        _ = call, answered_by
        return None


@dataclass(slots=True)
class ShippedPrompts:
    """What comes with the platform, or one prompt in its place; keeps what it is told."""

    answer: Prompt | None = None
    book: PromptBook = field(default_factory=shipped_book)
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    canary: str = "canary-of-the-tests"

    def choose(
        self, name: str, account: Account, *, locale: str = "", audience: str = ""
    ) -> Chosen:
        if name == "answer" and self.answer is not None:
            return Chosen(prompt=self.answer, tenant=account.tenant)
        return self.book.choose(name, account, locale=locale, audience=audience)

    def record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def guardrails_of(
    *checks: Check,
    input: Mapping[str, Rule] = MappingProxyType({}),  # noqa: A002 - the policy's own word
    evidence: Mapping[str, Rule] = MappingProxyType({}),
    output: Mapping[str, Rule] = MappingProxyType({}),
) -> Guardrails:
    policy = Policy(input=input, evidence=evidence, output=output)
    return Guardrails(checks=checks, policies=Policies(default=policy))


def never(work: Coroutine[None, None, None], /) -> None:
    work.close()


def answerer_of(
    model: LanguageModel | None = None,
    *,
    retriever: Retriever,
    embedder: Embedder,
    gateway: Gateway | None = None,
    prompts: PromptChoice | None = None,
    guardrails: Guardrails | None = None,
    memory: AnswerMemory | None = None,
    routes: Escalation | None = None,
    relevance: RelevanceGate | None = None,
) -> Answerer:
    if gateway is None:
        assert model is not None
        gateway = DirectGateway(model)
    return Answerer(
        retriever=retriever,
        gateway=gateway,
        routes=routes or NoDearer(),
        prompts=prompts or ShippedPrompts(),
        guardrails=guardrails or guardrails_of(),
        grounding=GroundingCheck(embedder=embedder),
        count_tokens=embedder.count_tokens,
        memory=memory or NoMemory(),
        later=never,
        relevance=relevance,
    )


def asked(question: str, principal: Principal, *, quality: Quality = "balanced") -> Ask:
    account = Account(tenant=principal.tenant, user=principal.id)
    trail = Trail(
        request=RequestId(uuid.uuid4().hex),
        account=account,
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
    )
    return Ask(question=question, principal=principal, trail=trail, quality=quality)
