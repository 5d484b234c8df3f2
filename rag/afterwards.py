"""What is done after an answer, for nobody to see: made again to compare, or with something else tried."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import perf_counter

from rag.asking import Ask, scanned_of
from rag.asking_protocols import AnswerMemory
from rag.drafting import Draft, is_grounded
from rag.gateway.answer_cache.entries import CachedAnswer
from rag.gateway.calls import Gateway, Lane
from rag.grounding import GroundingCheck
from rag.guardrails.flow import Guardrails
from rag.prompting import call_of
from rag.prompts.choosing import Chosen, Outcome, Profile, PromptChoice, Shadow
from rag.statements import statements_of
from rag.trail import RequestId, Trail
from rag.types import Answer, Evidence, Refusal

Find = Callable[[Ask, Profile], Awaitable[tuple[Evidence, ...]]]
Show = Callable[[tuple[Evidence, ...], str], Awaitable[tuple[Evidence, ...]]]
"""Evidence as a model is shown it that reads, for a question."""


async def recheck(
    ask: Ask,
    kept: CachedAnswer,
    *,
    memory: AnswerMemory,
    answer: Callable[[Ask], Awaitable[Answer | Refusal]],
) -> None:
    """The same question answered anew by `answer`, which remembers nothing: whether the kept answer
    is what it would be is told to `memory`."""
    trail = _trail_behind(ask.trail, "recheck")
    outcome = await answer(replace(ask, trail=trail, lane=Lane.BATCH))
    quoted = {(each.chunk.id, each.span) for each in kept.answer.citations}
    agreed = isinstance(outcome, Answer) and any(
        (each.chunk.id, each.span) in quoted for each in outcome.citations
    )
    memory.rechecked(agreed=agreed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadowing:
    """Answers a question once more, with what a rollout tries."""

    gateway: Gateway
    prompts: PromptChoice
    guardrails: Guardrails
    grounding: GroundingCheck
    find: Find
    show: Show

    async def run(
        self, ask: Ask, chosen: Chosen, shadow: Shadow, evidence: tuple[Evidence, ...]
    ) -> None:
        """`evidence` is what the answer was made of; a tried profile of retrieval finds its own."""
        began = perf_counter()
        trail = _trail_behind(ask.trail, "shadow")
        tried = replace(chosen, prompt=shadow.prompt, model=shadow.model, shadow=None)
        again = replace(ask, trail=trail)
        ok, outcome = False, None
        try:
            if shadow.profile:
                evidence = await self.find(again, shadow.profile)
            scanned = replace(scanned_of(again, "output"), evidence=evidence)
            async with self.guardrails.output(scanned, trail) as output:
                draft = Draft(
                    evidence, statements_of(evidence), self.grounding.for_one_answer(), output
                )
                shown = await self.show(evidence, ask.question)
                call = call_of(again, tried, evidence, shown=shown, canary=self.prompts.canary)
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
                    grounded=is_grounded(outcome),
                    latency_ms=(perf_counter() - began) * 1_000,
                    cost=trail.cost,
                    shadow=True,
                )
            )


def _trail_behind(trail: Trail, name: str) -> Trail:
    return Trail(
        request=RequestId(f"{trail.request}-{name}"),
        account=trail.account,
        use_case=trail.use_case,
        endpoint=name,
    )
