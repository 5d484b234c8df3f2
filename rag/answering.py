"""Asking, from the question to the cited answer. Read this file to know what `ask` does.

    make a follow-up stand alone ─ guard the question ─ look for a kept answer ─ retrieve inside the
    scope ─ drop hostile passages ─ call a model ─ verify each sentence ─ guard the output ─ where it
    did not do, a stricter prompt or a dearer model ─ Answer | Refusal

The input's checks run beside all of it, and nothing is released before they are done.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter

from rag.afterwards import Shadowing, recheck
from rag.asking import (
    EFFORTS,
    NO_EVIDENCE,
    Ask,
    AskEvent,
    CitationMade,
    Effort,
    EvidenceFound,
    Finished,
    TextReleased,
    scanned_of,
)
from rag.asking_protocols import (
    AnswerMemory,
    Escalation,
    Later,
    Made,
    NoMemory,
    RelevanceGate,
    Retriever,
)
from rag.compression import for_prompt
from rag.drafting import Draft, is_grounded
from rag.evidence_search import EvidenceSearch
from rag.follow_up import Rewriting, stood_alone
from rag.gateway.answer_cache.entries import CachedAnswer
from rag.gateway.calls import Gateway, ModelCall
from rag.gateway.routing import ANSWER, ANSWER_STRICT
from rag.grounding import GroundingCheck
from rag.guardrails.flow import Guardrails, Watch
from rag.guardrails.judging import Stopped
from rag.packing import CountTokens
from rag.prompting import call_of, model_prompt, system_of
from rag.prompts.choosing import Chosen, Outcome, PromptChoice
from rag.statements import statements_of
from rag.trail import sent_of
from rag.types import (
    Answer,
    Evidence,
    Quality,
    Refusal,
    RefusalReason,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    retriever: Retriever
    gateway: Gateway
    routes: Escalation
    prompts: PromptChoice
    guardrails: Guardrails
    grounding: GroundingCheck
    count_tokens: CountTokens
    memory: AnswerMemory
    later: Later
    relevance: RelevanceGate | None = None
    """None where the model itself abstains, as the extractive one does."""
    rewriting: Rewriting | None = None
    """None where no model is there that writes: then the rules alone make a follow-up stand alone."""
    shortens: bool = False
    """Whether prompts hold of long evidence only what bears on the question: no model that quotes
    reads them."""
    efforts: Mapping[Quality, Effort] = field(default_factory=lambda: EFFORTS)

    async def ask(self, ask: Ask) -> Answer | Refusal:
        """The answer from what the asker may read, or an honest refusal.

        Errors: those of retrieval and of the gateway.
        """
        async with aclosing(self.stream(ask)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.outcome
        raise AssertionError("a stream of events ends with Finished")

    async def stream(self, ask: Ask) -> AsyncGenerator[AskEvent]:
        """What happens while the question is answered; the last event is `Finished`.

        Closing the generator stops the model.
        """
        began = perf_counter()
        ask = stood_alone(ask)
        ask.trail.searched = ask.question
        chosen = self.prompts.choose(ANSWER, ask.trail.account, locale=ask.locale)
        ask.trail.prompt, ask.trail.rollout = chosen.prompt.id, chosen.rollout
        outcome: Answer | Refusal | None = None
        failed = True
        try:
            async with (
                self.guardrails.watching(scanned_of(ask, "input"), ask.trail) as watch,
                aclosing(self._answered(ask, chosen, watch)) as events,
            ):
                async for event in events:
                    if isinstance(event, Finished):
                        outcome, failed = event.outcome, False
                    yield event
        except GeneratorExit:  # whoever asked went away: that says nothing of the prompt
            failed = False
            raise
        finally:
            if failed or outcome is not None:
                self.prompts.record(
                    Outcome(
                        chosen=chosen,
                        ok=not failed,
                        grounded=is_grounded(outcome),
                        latency_ms=(perf_counter() - began) * 1_000,
                        cost=ask.trail.cost,
                    )
                )

    async def _answered(self, ask: Ask, chosen: Chosen, watch: Watch) -> AsyncGenerator[AskEvent]:
        asked_at = datetime.now(UTC)
        policy = self.guardrails.policy_for(ask.trail).version
        kept = await watch.unless_stopped(self.memory.recall(ask, chosen, policy=policy))
        if isinstance(kept, CachedAnswer):
            stopped = await watch.verdict()
            events = [_blocked(stopped)] if isinstance(stopped, Stopped) else _again(ask, kept)
            # First this: who has heard the end does not come back.
            if self.memory.should_recheck():
                anew = replace(self, memory=NoMemory())
                self.later(recheck(ask, kept, memory=self.memory, answer=anew.ask))
            for event in events:
                yield event
            return

        found = await watch.unless_stopped(self._search().find(ask, chosen.profile))
        if isinstance(found, Stopped):
            yield _blocked(found)
            return
        ask, evidence = found
        if not evidence or not await self._may_answer(ask.question, evidence):
            stopped = await watch.verdict()
            yield _blocked(stopped) if isinstance(stopped, Stopped) else Finished(NO_EVIDENCE)
            return

        made: Made | None = None
        async with aclosing(self._made(ask, chosen, watch, evidence)) as events:
            async for event in events:
                if isinstance(event, Made):
                    made = replace(event, asked_at=asked_at)
                else:
                    yield event
        if made is not None:
            await self.memory.keep(ask, chosen, made, policy=policy)
            if chosen.shadow is not None:
                self.later(self._shadowing().run(ask, chosen, chosen.shadow, evidence))
            yield Finished(made.outcome)

    async def _may_answer(self, question: str, evidence: Sequence[Evidence]) -> bool:
        return self.relevance is None or await self.relevance.may_answer(question, evidence)

    async def _shown(self, evidence: tuple[Evidence, ...], question: str) -> tuple[Evidence, ...]:
        """The evidence as a prompt has it. What is said is checked against all of it."""
        if not self.shortens:
            return evidence
        return await asyncio.to_thread(
            for_prompt, evidence, question, count_tokens=self.count_tokens
        )

    async def _made(
        self, ask: Ask, chosen: Chosen, watch: Watch, evidence: tuple[Evidence, ...]
    ) -> AsyncGenerator[AskEvent | Made]:
        """What models make of the evidence, one after the other until one of them does."""
        shown = await self._shown(evidence, ask.question)
        call = call_of(ask, chosen, evidence, shown=shown, canary=self.prompts.canary)
        scanned = replace(scanned_of(ask, "output"), evidence=evidence, system=system_of(call))
        async with self.guardrails.output(scanned, ask.trail) as output:
            draft = Draft(
                evidence, statements_of(evidence), self.grounding.for_one_answer(), output
            )
            following: ModelCall | None = call
            while following is not None:
                async with aclosing(self._said(ask, following, draft, watch)) as events:
                    async for event in events:
                        yield event
                following = self._next(ask, following, draft, shown)
            for event in await draft.end():
                yield event
        yield Made(
            outcome=draft.outcome(usage=ask.trail.usage, prompt=chosen.prompt.id),
            evidence=evidence,
            finish_reason=draft.finish_reason,
        )

    async def _said(
        self, ask: Ask, call: ModelCall, draft: Draft, watch: Watch
    ) -> AsyncGenerator[AskEvent]:
        """One model's answer, sentence by sentence. The call begins before the input is judged;
        what comes of it is shown after."""
        passages = [sent_of(part) for each in draft.evidence for part in each.parts]
        ask.trail.sent.extend(passages)
        draft.begin()
        async with watch.begun(self.gateway.stream(call, ask.trail)) as pieces:
            if isinstance(stopped := await watch.verdict(), Stopped):
                draft.stopped = stopped
                return
            if not ask.trail.shown:
                ask.trail.shown.extend(passages)
                yield EvidenceFound(draft.evidence)
            async for piece in pieces:
                for event in await draft.hear(piece):
                    yield event
        for event in await draft.finish():
            yield event

    def _next(
        self, ask: Ask, call: ModelCall, draft: Draft, shown: Sequence[Evidence]
    ) -> ModelCall | None:
        """Where a model's answer did not do: the same evidence for a dearer one, and with a
        stricter prompt where this one invented."""
        if draft.is_settled:
            return None
        # The catalogue's name: what the provider calls the model is its own affair.
        own = [each.model for each in ask.trail.attempts if each.step == call.step]
        answered_by = own[-1] if own else draft.model
        dearer = self.routes.escalation(call, answered_by)
        if draft.abstained or call.step == ANSWER_STRICT:
            return dearer
        strict = self.prompts.choose(ANSWER_STRICT, ask.trail.account, locale=ask.locale)
        prompt = model_prompt(
            strict.prompt, ask.question, draft.evidence, shown=shown, canary=self.prompts.canary
        )
        return replace(dearer or call, step=ANSWER_STRICT, prompt=prompt)

    def _search(self) -> EvidenceSearch:
        return EvidenceSearch(
            retriever=self.retriever,
            guardrails=self.guardrails,
            count_tokens=self.count_tokens,
            efforts=self.efforts,
            rewriting=self.rewriting,
        )

    def _shadowing(self) -> Shadowing:
        return Shadowing(
            gateway=self.gateway,
            prompts=self.prompts,
            guardrails=self.guardrails,
            grounding=self.grounding,
            find=self._search().evidence,
            show=self._shown,
        )


def _blocked(stopped: Stopped) -> Finished:
    return Finished(Refusal(RefusalReason.BLOCKED, stopped.reason))


def _again(ask: Ask, kept: CachedAnswer) -> list[AskEvent]:
    """A kept answer, told as one that is being made."""
    ask.trail.shown.extend(sent_of(part) for each in kept.evidence for part in each.parts)
    return [
        EvidenceFound(kept.evidence),
        TextReleased(kept.answer.text),
        *map(CitationMade, kept.answer.citations),
        Finished(kept.answer),
    ]
