"""Asking, from the question to the cited answer. Read this file to know what `ask` does.

    guard the question ─ look for a kept answer ─ retrieve inside the scope ─ drop hostile passages
    ─ call a model ─ verify each sentence ─ guard the output ─ where it did not do, a stricter
    prompt or a dearer model ─ Answer | Refusal

The input's checks run beside all of it, and nothing is released before they are done.
"""

from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Protocol

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
)
from rag.drafting import Draft
from rag.gateway.answer_cache.entries import CachedAnswer
from rag.gateway.calls import Gateway, ModelCall
from rag.grounding import GroundingCheck
from rag.guardrails.checks import Scanned
from rag.guardrails.flow import Guardrails, Watch
from rag.guardrails.judging import Stopped
from rag.packing import CountTokens, pack_evidence
from rag.prompting import call_of, model_prompt, system_of
from rag.prompts.choosing import Chosen, Outcome, Profile, PromptChoice, Shadow
from rag.statements import statements_of
from rag.streams import begun
from rag.trail import Direction, RequestId, Sent, Trail
from rag.types import (
    Answer,
    Evidence,
    Quality,
    Query,
    Refusal,
    RefusalReason,
    Retrieved,
    RetrievedChunk,
)

ANSWER, ANSWER_STRICT = "answer", "answer-strict"


class Retriever(Protocol):
    async def retrieve(self, query: Query) -> Retrieved: ...


class RelevanceGate(Protocol):
    async def may_answer(self, question: str, evidence: Sequence[Evidence]) -> bool:
        """Whether it is worth asking a model: false where no statement bears on the question."""
        ...


class AnswerMemory(Protocol):
    """Answers that were given before, and may be given again to whoever may read what they rest on."""

    async def recall(self, ask: Ask, chosen: Chosen, *, policy: str) -> CachedAnswer | None: ...

    async def keep(self, ask: Ask, chosen: Chosen, made: "Made", *, policy: str) -> None: ...

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An answer as it was just made."""

    outcome: Answer | Refusal
    evidence: tuple[Evidence, ...]
    finish_reason: str
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """A moment before retrieval began."""


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
        chosen = self.prompts.choose(ANSWER, ask.trail.account, locale=ask.locale)
        ask.trail.prompt, ask.trail.rollout = chosen.prompt.id, chosen.rollout
        outcome: Answer | Refusal | None = None
        failed = True
        try:
            async with (
                self.guardrails.watching(_scanned(ask, "input"), ask.trail) as watch,
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
                        grounded=_is_grounded(outcome),
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
                self.later(self._rechecked(ask, kept))
            for event in events:
                yield event
            return

        evidence = await watch.unless_stopped(self._evidence(ask, chosen.profile))
        if isinstance(evidence, Stopped):
            yield _blocked(evidence)
            return
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
                self.later(self._shadowed(ask, chosen, chosen.shadow, evidence))
            yield Finished(made.outcome)

    async def _evidence(self, ask: Ask, profile: Profile) -> tuple[Evidence, ...]:
        effort = replace(self.efforts[ask.quality], **profile)
        retrieved = await self.retriever.retrieve(
            Query(
                text=ask.question,
                scope=ask.scope,
                limit=effort.hits,
                rerank=effort.rerank,
                filters=ask.filters,
            )
        )
        packed = pack_evidence(
            retrieved.hits,
            count_tokens=self.count_tokens,
            budget_tokens=effort.evidence_tokens,
            passages=effort.passages,
        )
        isolated = await self.guardrails.isolate(packed, _scanned(ask, "evidence"), ask.trail)
        ask.trail.classification = isolated.classification
        return isolated.kept

    async def _may_answer(self, question: str, evidence: Sequence[Evidence]) -> bool:
        return self.relevance is None or await self.relevance.may_answer(question, evidence)

    async def _made(
        self, ask: Ask, chosen: Chosen, watch: Watch, evidence: tuple[Evidence, ...]
    ) -> AsyncGenerator[AskEvent | Made]:
        """What models make of the evidence, one after the other until one of them does."""
        call = call_of(ask, chosen, evidence, self.prompts.canary)
        scanned = replace(_scanned(ask, "output"), evidence=evidence, system=system_of(call))
        async with self.guardrails.output(scanned, ask.trail) as output:
            draft = Draft(evidence, statements_of(evidence), self.grounding, output)
            following: ModelCall | None = call
            while following is not None:
                async with aclosing(self._said(ask, following, draft, watch)) as events:
                    async for event in events:
                        yield event
                following = self._next(ask, following, draft)
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
        passages = [_sent_of(part) for each in draft.evidence for part in each.parts]
        ask.trail.sent.extend(passages)
        draft.begin()
        async with begun(
            watch.pieces_unless_stopped(self.gateway.stream(call, ask.trail))
        ) as pieces:
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

    def _next(self, ask: Ask, call: ModelCall, draft: Draft) -> ModelCall | None:
        """Where a model's answer did not do: the same evidence for a dearer one, and with a
        stricter prompt where this one invented."""
        if draft.is_settled:
            return None
        # The catalogue's name: what the provider calls the model is its own affair.
        answered_by = ask.trail.attempts[-1].model if ask.trail.attempts else draft.model
        dearer = self.routes.escalation(call, answered_by)
        if draft.abstained or call.step == ANSWER_STRICT:
            return dearer
        strict = self.prompts.choose(ANSWER_STRICT, ask.trail.account, locale=ask.locale)
        prompt = model_prompt(strict.prompt, ask.question, draft.evidence, self.prompts.canary)
        return replace(dearer or call, step=ANSWER_STRICT, prompt=prompt)

    async def _rechecked(self, ask: Ask, kept: CachedAnswer) -> None:
        """The same question answered anew, to see whether the kept answer is what it would be."""
        anew = replace(ask, trail=_trail_behind(ask.trail, "recheck"))
        outcome = await replace(self, memory=NoMemory()).ask(anew)
        quoted = {(each.chunk.id, each.span) for each in kept.answer.citations}
        agreed = isinstance(outcome, Answer) and any(
            (each.chunk.id, each.span) in quoted for each in outcome.citations
        )
        self.memory.rechecked(agreed=agreed)

    async def _shadowed(
        self, ask: Ask, chosen: Chosen, shadow: Shadow, evidence: tuple[Evidence, ...]
    ) -> None:
        """The same question answered once more, for nobody to see."""
        began = perf_counter()
        trail = _trail_behind(ask.trail, "shadow")
        tried = replace(chosen, prompt=shadow.prompt, model=shadow.model, shadow=None)
        again = replace(ask, trail=trail)
        ok, outcome = False, None
        try:
            if shadow.profile:
                evidence = await self._evidence(again, shadow.profile)
            scanned = replace(_scanned(again, "output"), evidence=evidence)
            async with self.guardrails.output(scanned, trail) as output:
                draft = Draft(evidence, statements_of(evidence), self.grounding, output)
                call = call_of(again, tried, evidence, self.prompts.canary)
                async with aclosing(self.gateway.stream(call, trail)) as pieces:
                    async for piece in pieces:
                        await draft.hear(piece)
                await draft.finish()
                await draft.end()
            outcome, ok = draft.outcome(usage=trail.usage, prompt=tried.prompt.id), True
        finally:
            self.prompts.record(
                Outcome(
                    chosen=chosen,
                    ok=ok,
                    grounded=_is_grounded(outcome),
                    latency_ms=(perf_counter() - began) * 1_000,
                    cost=trail.cost,
                    shadow=True,
                )
            )


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


def _trail_behind(trail: Trail, name: str) -> Trail:
    """Of what is done for nobody to see, after an answer."""
    return Trail(
        request=RequestId(f"{trail.request}-{name}"),
        account=trail.account,
        use_case=trail.use_case,
        endpoint=name,
    )


def _scanned(ask: Ask, direction: Direction) -> Scanned:
    return Scanned(
        text=ask.question if direction == "input" else "",
        direction=direction,
        tenant=ask.principal.tenant,
        use_case=ask.trail.use_case,
        question=ask.question,
    )


def _blocked(stopped: Stopped) -> Finished:
    return Finished(Refusal(RefusalReason.BLOCKED, stopped.reason))


def _again(ask: Ask, kept: CachedAnswer) -> list[AskEvent]:
    """A kept answer, told as one that is being made."""
    ask.trail.shown.extend(_sent_of(part) for each in kept.evidence for part in each.parts)
    return [
        EvidenceFound(kept.evidence),
        TextReleased(kept.answer.text),
        *map(CitationMade, kept.answer.citations),
        Finished(kept.answer),
    ]


def _is_grounded(outcome: Answer | Refusal | None) -> bool | None:
    match outcome:
        case Answer():
            return True
        case Refusal(RefusalReason.UNGROUNDED):
            return False
        case _:
            return None


def _sent_of(hit: RetrievedChunk) -> Sent:
    return Sent(hit.chunk.document.id, hit.chunk.version, hit.chunk.id)
