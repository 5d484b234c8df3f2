"""Guarding an output while it is made: what waits, what is released, what is taken back.

A piece waits until no check could see more in it with what comes next: a number, a link or a
token that is still being written stays, and so do the last few characters. Checks of the policy's
`piece` stage run over what waits and the text just before it; those of the `sentence` stage make
whole sentences wait; those of the `answer` stage run over all of it, at the end.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rag.guardrails.checks import Check, NotRun, Scanned
from rag.guardrails.judging import (
    Judged,
    Stopped,
    follow,
    judge_all,
    outcome_of,
    without,
    worse,
)
from rag.guardrails.policy import Policy, Rule, Stage
from rag.sentences import split_sentences
from rag.trail import GuardVerdict
from rag.types import Span

LOOK_BACK = 400
"""Characters already released that a check sees before the ones that wait."""
_LONGEST_WAIT = 400
"""A token that never ends is released beyond so many characters, as far as it was checked."""
_FIRST_STEP, _LONGEST_STEP = 8, 64
"""Characters that are worth a look: the first few at once, later ones some words at a time. Each
look goes over what stands before, too."""
_WHOLE = re.compile(
    r"\[[^\]\n]{0,300}(?:\](?:\([^)\n]{0,400}\)|[^(])|\n)"  # a link, or no link after all
    r"|<(?:[^>\n]{0,400}[>\n]|[^A-Za-z/!])"  # a tag, or a sign
)


@dataclass(frozen=True, slots=True)
class Released:
    """The next piece that may be shown."""

    text: str


@dataclass(frozen=True, slots=True)
class Retracted:
    """What was released is void: a check of the whole answer blocked it."""

    stopped: Stopped


OutputEvent = Released | Retracted | Stopped


@dataclass(slots=True)
class OutputStream:
    """Push the model's pieces, then call `end` once; show what comes back.

    After `Stopped` (nothing had been released) or `Retracted` nothing follows.
    """

    checks: Mapping[str, Check]
    scanned: Scanned = field(kw_only=True)
    policy: Policy = field(kw_only=True)
    waits: bool = field(kw_only=True)
    """Whether everything waits for the end, and is checked once."""
    released: str = field(default="", init=False)
    """All that was released so far."""
    stopped: Stopped | None = field(default=None, init=False)
    _waiting: str = field(default="", init=False)
    _verdicts: dict[str, GuardVerdict] = field(default_factory=dict[str, GuardVerdict], init=False)
    _ended: bool = field(default=False, init=False)

    async def push(self, piece: str, *, is_whole: bool = False) -> list[OutputEvent]:
        """What may be shown now that `piece` came. `is_whole`: it ends a sentence, and nothing that
        comes next goes on with its last word."""
        if self.stopped is not None:
            return []
        self._waiting += piece
        ready = 0 if self.waits else len(self._waiting) if is_whole else self._ready()
        return await self._release(ready) if ready else []

    async def end(self) -> list[OutputEvent]:
        """The rest, after every check of the whole answer."""
        self._ended = True
        if self.stopped is not None:
            return []
        events = [] if self.waits else await self._release(len(self._waiting))
        if self.stopped is not None:
            return events
        whole = self.released + self._waiting
        stages = tuple(Stage) if self.waits else (Stage.ANSWER,)
        judged = await self._judge(whole, stages)
        outcome = outcome_of(whole, judged)
        if isinstance(outcome, Stopped):
            return [*events, self._stop(outcome)]
        if not self.waits:
            if outcome.text == whole:
                return events
            # What is to be masked was shown already: all of it is taken back.
            masking = next(each.verdict for each in judged if each.masked)
            return [*events, self._stop(Stopped(masking.check, "The answer was taken back."))]
        self._waiting, self.released = "", outcome.text
        return [Released(outcome.text)] if outcome.text else []

    def restart(self) -> None:
        """Another model begins from the start: what waits is void. What was released is the
        caller's to take back."""
        self._waiting, self.released = "", ""

    def verdicts(self) -> tuple[GuardVerdict, ...]:
        """One for each check of the policy. Those that saw nothing are `not_run`."""
        reason = "there is no text" if self._ended else "the output was not finished"
        return tuple(
            self._verdicts.get(name)
            or follow(
                name,
                NotRun(reason),
                "output",
                rule=rule,
                policy=self.policy,
                called_off=True,
            ).verdict
            for name, rule in self.policy.output.items()
        )

    def _ready(self) -> int:
        """How many of the waiting characters may be checked and released now."""
        if self._rules((Stage.SENTENCE,)):
            sentences = split_sentences(self._waiting)
            return sentences[-1].start if len(sentences) > 1 else 0
        most = len(self._waiting) - self.policy.hold_back
        if most < min(_LONGEST_STEP, _FIRST_STEP + len(self.released) // 4):
            return 0
        return max(0, min(_finished(self._waiting), most))

    async def _release(self, ready: int) -> list[OutputEvent]:
        """Check what waits, all of it, and release the first `ready` characters."""
        if not self._waiting:
            return []
        before = self.released[-LOOK_BACK:]
        judged = await self._judge(before + self._waiting, (Stage.PIECE,))
        if sentence_rules := self._rules((Stage.SENTENCE,)):
            judged += await self._judge_sentences(ready, sentence_rules, len(before))
        outcome = outcome_of("", judged)
        if isinstance(outcome, Stopped):
            return [self._stop(outcome)]
        spans = [
            Span(max(0, span.start - len(before)), span.end - len(before))
            for each in judged
            for span in each.masked
            if span.end > len(before)
        ]
        for span in spans:  # what is masked is masked whole
            if span.start < ready < span.end:
                ready = span.start
        if not ready:
            return []
        text = without(self._waiting[:ready], [each for each in spans if each.end <= ready])
        self._waiting = self._waiting[ready:]
        self.released += text
        return [Released(text)]

    async def _judge_sentences(
        self, ready: int, rules: Mapping[str, Rule], shift: int
    ) -> tuple[Judged, ...]:
        found: tuple[Judged, ...] = ()
        for span in split_sentences(self._waiting[:ready]):
            text = self._waiting[span.start : span.end]
            judged = await self._judge(text, (Stage.SENTENCE,), rules)
            found += tuple(
                replace(
                    each, masked=tuple(_moved(part, shift + span.start) for part in each.masked)
                )
                for each in judged
            )
        return found

    async def _judge(
        self, text: str, stages: tuple[Stage, ...], rules: Mapping[str, Rule] | None = None
    ) -> tuple[Judged, ...]:
        judged = await judge_all(
            self.checks,
            replace(self.scanned, text=text, direction="output"),
            policy=self.policy,
            rules=self._rules(stages) if rules is None else rules,
        )
        for each in judged:
            self._note(each.verdict)
        return judged

    def _rules(self, stages: Sequence[Stage]) -> dict[str, Rule]:
        return {name: rule for name, rule in self.policy.output.items() if rule.stage in stages}

    def _note(self, verdict: GuardVerdict) -> None:
        """One verdict a check, the severest of all it said, with the time of all together."""
        known = self._verdicts.get(verdict.check)
        self._verdicts[verdict.check] = verdict if known is None else worse(known, verdict)

    def _stop(self, stopped: Stopped) -> Stopped | Retracted:
        self.stopped, self._waiting = stopped, ""
        return Retracted(stopped) if self.released else stopped


def _finished(text: str) -> int:
    """Where the word, the number, the link or the tag begins that `text` ends in."""
    floor = max(0, len(text) - _LONGEST_WAIT)
    end = _token_start(text, len(text), floor)
    tail = text[end:]
    while end > floor and (not tail or any(map(str.isdigit, tail))):
        # Numbers are written in groups: an account number is one with spaces in it.
        before = len(text[:end].rstrip())
        start = _token_start(text, before, floor)
        tail = text[start:before]
        if not any(map(str.isdigit, tail)):
            break
        end = start
    for opening in "[<":
        at = text.rfind(opening, floor, end)
        if at >= 0 and not _WHOLE.match(text, at):
            end = at - 1 if text[at - 1 : at] == "!" else at
    return end


def _token_start(text: str, end: int, floor: int) -> int:
    while end > floor and not text[end - 1].isspace():
        end -= 1
    return end


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
