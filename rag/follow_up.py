"""A question that leans on earlier turns, made to stand alone before anything is searched for it.

The rules do it at once. Where a model can, it is asked too, while the search for the rules' question
goes on: its words are taken if they come in time and pass the checks of any question.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rag.asking import Ask, scanned_of
from rag.conversation.follow_ups import Leans
from rag.conversation.rewriting import by_rule, standalone
from rag.conversation.turns import Recalled, recall, transcript
from rag.errors import Error
from rag.gateway.calls import Gateway, ModelCall
from rag.guardrails.flow import Guardrails
from rag.guardrails.judging import Stopped
from rag.prompts.choosing import Chosen, PromptChoice
from rag.prompts.registry import render_values
from rag.prompts.telling import complete_and_tell
from rag.protocols import ModelPrompt

REWRITE = "rewrite"


def stood_alone(ask: Ask) -> Ask:
    """`ask` with the words that its question leans on; as it is where it leans on nothing."""
    ruled = by_rule(ask.question, ask.turns)
    if ruled.how is Leans.NOT:
        return replace(ask, turns=())
    return replace(ask, question=ruled.text, asked=ask.question, stands_alone=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """Asks a model what a follow-up means."""

    gateway: Gateway
    prompts: PromptChoice
    guardrails: Guardrails
    count_tokens: Callable[[Sequence[str]], list[int]]
    history_tokens: int = 600
    """Of the conversation, as the model is shown it."""
    deadline_s: float = 1.5

    async def rewritten(self, ask: Ask) -> Ask:
        """`ask`, which `stood_alone` made, in the words of a model; as it is where these are late,
        say what nobody said, or are blocked, or where the conversation is. What became of the call
        is on the trail."""
        recalled = await self._recalled(ask)
        shown = transcript(recalled)
        # A conversation that the asker's app sent has passed no check, and a policy may have changed.
        kept = ask.conversation is not None
        said = replace(scanned_of(ask, "input"), text=shown, repeated=kept)
        if isinstance(await self.guardrails.check(said, ask.trail), Stopped):
            return ask
        ask.trail.recalled = recalled.how
        try:
            found = await standalone(
                ask.asked,
                ask.turns,
                ask=partial(self._written, ask, shown),
                deadline_s=self.deadline_s,
                summary=ask.summary,
            )
        except Error:  # the rules' question does too, and the trail tells of the attempts
            return ask
        if found.text == ask.question:
            return ask
        again = replace(ask, question=found.text)
        judged = await self.guardrails.check(scanned_of(again, "input"), ask.trail)
        return ask if isinstance(judged, Stopped) else again

    async def _recalled(self, ask: Ask) -> Recalled:
        """What of the conversation the model is shown."""
        return await asyncio.to_thread(
            recall,
            ask.turns,
            question=ask.asked,
            budget_tokens=self.history_tokens,
            count_tokens=self.count_tokens,
            summary=ask.summary,
        )

    async def _written(self, ask: Ask, shown: str) -> str:
        chosen = self.prompts.choose(REWRITE, ask.trail.account, locale=ask.locale)
        call = self._call(ask, chosen, shown)
        written = await complete_and_tell(
            self.gateway, call, ask.trail, chosen=chosen, prompts=self.prompts
        )
        return written.text

    def _call(self, ask: Ask, chosen: Chosen, shown: str) -> ModelCall:
        values = {"conversation": shown, "question": ask.asked}
        prompt = ModelPrompt(
            messages=render_values(chosen.prompt, values, canary=self.prompts.canary),
            question=ask.asked,
            evidence=(),
            prompt=chosen.prompt.id,
            temperature=chosen.prompt.temperature,
            max_output_tokens=chosen.prompt.max_output_tokens,
        )
        return ModelCall(
            prompt=prompt,
            account=ask.trail.account,
            request=ask.trail.request,
            use_case=ask.trail.use_case,
            step=REWRITE,
            quality="fast",
            lane=ask.lane,
            deadline_s=self.deadline_s,
            model=chosen.model,
        )
