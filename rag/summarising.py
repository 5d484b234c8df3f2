"""The older turns of a conversation in few words, for later questions in it: made after an answer.

Nobody waits for it. What a model says is kept only as far as somebody said it before; where no
summary can be had, sentences of the turns are chosen instead (`rag.conversation.turns.recall`).
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rag.conversation.turns import (
    CountTokens,
    History,
    Summary,
    Turn,
    first_whole,
    recall,
    text_of,
    transcript,
)
from rag.errors import Error, OverBudget, PolicyForbids, RateLimited
from rag.gateway.batches import Completed
from rag.gateway.calls import Gateway, Lane, ModelCall
from rag.guardrails.checks import Scanned
from rag.guardrails.flow import Guardrails
from rag.guardrails.judging import Stopped
from rag.guardrails.words import SURE, Kind, lexicon
from rag.prompts.choosing import Chosen, PromptChoice
from rag.prompts.registry import render_values
from rag.prompts.telling import complete_and_tell
from rag.protocols import ModelPrompt
from rag.sentences import split_sentences
from rag.terms import codes_of, is_german, is_stop_word, numbers_of, stem, words_of
from rag.trail import Trail

SUMMARY = "summary"
_POSSESSIVE = re.compile(r"['’]s?$")

WhyNot = Literal["over_budget", "rate_limited", "forbidden", "no_model", "blocked", "nothing_left"]


@dataclass(frozen=True, slots=True)
class NotDue:
    """All that is not summed up is shown as it was said, or nearly."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """There is no new summary: of the older turns, sentences are chosen."""

    why: WhyNot


Summarised = Summary | NotDue | LeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class _Older:
    """The turns that a summary is due for, as a model is shown them."""

    shown: str
    through: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarising:
    """Asks the cheapest model that will do, behind everybody who waits for an answer."""

    gateway: Gateway
    prompts: PromptChoice
    guardrails: Guardrails
    count_tokens: CountTokens
    history_tokens: int = 600
    """What a model is shown of a conversation; a summary may take half of it."""
    input_tokens: int = 3_000
    """What is summed up at a time, at most; of more, the sentences that tell most."""
    deadline_s: float = 120.0

    async def summarised(self, history: History, trail: Trail) -> Summarised:
        """What `history` comes to with another summary. Decisions, attempts and verdicts are on
        `trail`, whose account pays."""
        older = await asyncio.to_thread(self._older, history)
        if older is None:
            return NotDue()
        scanned = Scanned(
            text=older.shown,
            direction="input",
            tenant=trail.account.tenant,
            use_case=trail.use_case,
            question=older.shown,
            repeated=True,
        )
        if isinstance(await self.guardrails.check(scanned, trail), Stopped):
            return LeftOut("blocked")
        chosen = self.prompts.choose(SUMMARY, trail.account)
        trail.prompt, trail.rollout = chosen.prompt.id, chosen.rollout
        call = self._call(chosen, older.shown, trail)
        try:
            made = await complete_and_tell(
                self.gateway, call, trail, chosen=chosen, prompts=self.prompts
            )
        except Error as error:
            return LeftOut(_why(error))
        sentences = _said_before(made, older.shown)
        kept = await self._guarded(" ".join(sentences), scanned, call, trail)
        if kept is None:
            return LeftOut("blocked")
        text = await asyncio.to_thread(self._shortened, kept)
        return Summary(text, older.through) if text else LeftOut("nothing_left")

    def _older(self, history: History) -> _Older | None:
        """None while it is too little to be worth a call."""
        untold = history.untold
        costs = self.count_tokens([text_of(turn) for turn in untold]) if untold else []
        count = first_whole(costs, self.history_tokens)
        if sum(costs[:count]) * 4 < self.history_tokens:
            return None
        older = untold[:count]
        return _Older(shown=self._shown(older, history), through=_number_of_last(older, history))

    def _shown(self, older: Sequence[Turn], history: History) -> str:
        recalled = recall(
            older,
            question=history.turns[-1].standalone,
            budget_tokens=self.input_tokens,
            count_tokens=self.count_tokens,
            summary="" if history.summary is None else history.summary.text,
        )
        return transcript(recalled)

    def _call(self, chosen: Chosen, shown: str, trail: Trail) -> ModelCall:
        prompt = ModelPrompt(
            messages=render_values(
                chosen.prompt, {"conversation": shown}, canary=self.prompts.canary
            ),
            prompt=chosen.prompt.id,
            temperature=chosen.prompt.temperature,
            max_output_tokens=chosen.prompt.max_output_tokens,
        )
        return ModelCall(
            prompt=prompt,
            account=trail.account,
            request=trail.counts_for,
            use_case=trail.use_case,
            step=SUMMARY,
            quality="fast",
            lane=Lane.BATCH,
            deadline_s=self.deadline_s,
            model=chosen.model,
        )

    async def _guarded(
        self, text: str, scanned: Scanned, call: ModelCall, trail: Trail
    ) -> str | None:
        """`text` as it may be kept and shown to a model later, as a passage is: None where not."""
        system = "\n".join(each.content for each in call.prompt.messages if each.role == "system")
        for direction in ("output", "evidence"):
            found = await self.guardrails.check(
                replace(scanned, text=text, direction=direction, system=system, repeated=False),
                trail,
            )
            if isinstance(found, Stopped):
                return None
            text = found.text
        return text

    def _shortened(self, text: str) -> str:
        """As many of the first sentences as always find room beside the turns."""
        sentences = [text[span.start : span.end] for span in split_sentences(text)]
        kept: list[str] = []
        room = self.history_tokens // 2
        for sentence, cost in zip(sentences, self.count_tokens(sentences), strict=True):
            if cost > room:
                break
            kept.append(sentence)
            room -= cost
        return " ".join(kept)


def _why(error: Error) -> WhyNot:
    match error:
        case OverBudget():
            return "over_budget"
        case RateLimited():
            return "rate_limited"
        case PolicyForbids():
            return "forbidden"
        case _:
            return "no_model"


def _number_of_last(older: Sequence[Turn], history: History) -> int:
    told = len(history.turns) - len(history.untold)
    return history.first + told + len(older) - 1


def _said_before(made: Completed, shown: str) -> list[str]:
    """The sentences of a summary that bring no number, no code and no name which nobody said; of one
    that was cut off, the last goes."""
    text = " ".join(made.text.split())
    sentences = [text[span.start : span.end] for span in split_sentences(text)]
    if made.completion.finish_reason == "length":
        sentences = sentences[:-1]
    codes, numbers, words = codes_of(shown), numbers_of(shown), _stems(words_of(shown))
    return [
        each
        for each in sentences
        if codes_of(each) <= codes and numbers_of(each) <= numbers and _names_of(each) <= words
    ]


def _names_of(sentence: str) -> frozenset[str]:
    """The stems of what may be names: capitals that are no ordinary word, or that English would not
    write with one."""
    german = is_german(sentence)
    capitals = [(at, word) for at, word in enumerate(words_of(sentence)) if word[0].isupper()]
    return _stems(
        word
        for at, word in capitals
        if len(word) > 1
        and not is_stop_word(word)
        and ((at and not german) or _may_be_a_name(word))
    )


def _may_be_a_name(word: str) -> bool:
    kinds = lexicon().word(word).kinds
    return not kinds & SURE or bool(kinds & (Kind.NAME | Kind.ALSO_NAME | Kind.ALSO_TOWN))


def _stems(words: Iterable[str]) -> frozenset[str]:
    return frozenset(stem(_POSSESSIVE.sub("", word)) for word in words)
