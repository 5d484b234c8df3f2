"""One text, its checks and its policy: what each check says, what follows, and the record of it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rag.guardrails.checks import Check, Finding, NotRun, Report, Said, Scanned
from rag.guardrails.policy import Action, Policy, Rule
from rag.trail import Direction, GuardVerdict, Standing
from rag.types import Span

REMOVED = "[removed]"
"""What stands where a finding was masked."""
NOTHING_TO_SCAN = NotRun("there is no text")
_REFUSED: Mapping[Direction, str] = {
    "input": "This request cannot be served: it was stopped by a guardrail",
    "evidence": "This passage was left out by a guardrail",
    "output": "The answer was withheld: it was stopped by a guardrail",
}
_STANDINGS: Mapping[Action, Standing] = {
    Action.ALLOW: "passed",
    Action.FLAG: "flagged",
    Action.MASK: "masked",
    Action.BLOCK: "blocked",
}
_SEVERITY: tuple[Standing, ...] = ("passed", "not_run", "flagged", "masked", "blocked")
_MILDEST_FIRST = (Action.ALLOW, Action.FLAG, Action.MASK, Action.BLOCK)


@dataclass(frozen=True, slots=True)
class Cleared:
    """It may go on, as `text`: what was to be masked is taken out."""

    text: str
    flagged: tuple[str, ...] = ()
    """The checks that want a person to look at it later."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """It may not go on. `reason` may be shown: it names the check and repeats nothing."""

    check: str
    reason: str


Outcome = Cleared | Stopped


@dataclass(frozen=True, slots=True)
class Judged:
    """What follows from one check of one text."""

    verdict: GuardVerdict
    stops: bool = False
    masked: tuple[Span, ...] = ()


@dataclass(slots=True)
class Judging:
    """The checks of one text: what was said at once, and who is still to be waited for."""

    rules: Mapping[str, Rule]
    scanned: Scanned
    policy: Policy
    judged: dict[str, Judged]
    asked: dict[str, Coroutine[Any, Any, Said]]
    """Not begun yet. It is for `rest` to run them, or to leave them."""
    why_left: str = "another check had stopped it"

    @property
    def stopped(self) -> Stopped | None:
        """By the first, in the policy's order, of those that block so far."""
        return next((stopped_by(each.verdict) for each in self.judged.values() if each.stops), None)

    def in_order(self) -> tuple[Judged, ...]:
        """One for each rule. A check that nobody waited for was called off, and is `not_run`."""
        return tuple(
            self.judged.get(name) or self._off(name, rule) for name, rule in self.rules.items()
        )

    def leave(self) -> None:
        """Ask nobody any more."""
        for said in self.asked.values():
            said.close()
        self.asked = {}

    async def rest(self, stopped: Callable[[Stopped], None] | None = None) -> tuple[Judged, ...]:
        """Ask those that are left, at the same time. `stopped` hears of the first that blocks, at
        once; those still looking then are called off."""
        if (already := self.stopped) is not None:
            self.leave()
            if stopped is not None:
                stopped(already)
            return self.in_order()
        tasks = {
            asyncio.create_task(self._waited_for(name, said)): name
            for name, said in self.asked.items()
        }
        looking = set(tasks)
        try:
            while looking and self.stopped is None:
                over, looking = await asyncio.wait(looking, return_when=asyncio.FIRST_COMPLETED)
                self.judged |= {tasks[task]: task.result() for task in over}
            if (blocked := self.stopped) is not None and stopped is not None:
                stopped(blocked)
        finally:
            if looking:
                for task in looking:
                    task.cancel()
                await asyncio.gather(*looking, return_exceptions=True)
            self.leave()  # a task that was cancelled before its first step has begun nothing
        return self.in_order()

    async def _waited_for(self, name: str, said: Coroutine[Any, Any, Said]) -> Judged:
        rule, began = self.rules[name], time.perf_counter()
        timer = asyncio.timeout(rule.timeout_s)
        try:
            async with timer:
                outcome = await said
        except TimeoutError as error:
            late = NotRun(f"it took longer than {rule.timeout_s:g} s")
            outcome = late if timer.expired() else _failed(error)
        except Exception as error:  # noqa: BLE001 - whatever a check does, the policy says what follows
            outcome = _failed(error)
        return self._follow(name, rule, outcome, began)

    def begin(self, name: str, check: Check) -> None:
        """Ask `check`. It never raises: a check that fails or takes too long is a verdict too."""
        rule, began = self.rules[name], time.perf_counter()
        try:
            said = check.scan(self.scanned)
        except Exception as error:  # noqa: BLE001 - whatever a check does, the policy says what follows
            said = _failed(error)
        if isinstance(said, Report | NotRun):
            self.judged[name] = self._follow(name, rule, said, began)
        else:
            self.asked[name] = said

    def _follow(self, name: str, rule: Rule, said: Said, began: float) -> Judged:
        took_ms = (time.perf_counter() - began) * 1_000
        direction = self.scanned.direction
        judged = follow(name, said, direction, rule=rule, policy=self.policy, took_ms=took_ms)
        if not self.scanned.repeated:
            return judged
        return replace(judged, verdict=replace(judged.verdict, repeated=True))

    def _off(self, name: str, rule: Rule) -> Judged:
        return follow(
            name,
            NotRun(self.why_left),
            self.scanned.direction,
            rule=rule,
            policy=self.policy,
            called_off=True,
        )


def begin(
    checks: Mapping[str, Check], scanned: Scanned, *, policy: Policy, rules: Mapping[str, Rule]
) -> Judging:
    """Ask `rules`' checks. What they say at once is judged; `rest` waits for the others."""
    judging = Judging(rules, scanned, policy, {}, {})
    if not scanned.text.strip():
        for name, rule in rules.items():
            judging.judged[name] = follow(
                name, NOTHING_TO_SCAN, scanned.direction, rule=rule, policy=policy
            )
        return judging
    for name in rules:
        judging.begin(name, checks[name])
    return judging


async def judge_all(
    checks: Mapping[str, Check], scanned: Scanned, *, policy: Policy, rules: Mapping[str, Rule]
) -> tuple[Judged, ...]:
    """What all of `rules`' checks say, in their order; the first that blocks calls the others off."""
    judging = begin(checks, scanned, policy=policy, rules=rules)
    return await judging.rest() if judging.asked else judging.in_order()


def _failed(error: Exception) -> NotRun:
    # The error's own text may hold what was scanned.
    return NotRun(f"it failed ({type(error).__name__})")


def follow(
    name: str,
    said: Said,
    direction: Direction,
    *,
    rule: Rule,
    policy: Policy,
    called_off: bool = False,
    took_ms: float = 0.0,
) -> Judged:
    """What the policy makes of what a check said. A check that was called off closes nothing:
    whoever called it off knows why nothing is released."""
    watches = policy.dry_run or rule.dry_run
    standing: Standing
    spans: tuple[Span, ...] = ()
    if isinstance(said, NotRun):
        closes = rule.on_error == "closed" and not called_off and said != NOTHING_TO_SCAN
        standing, stops = "blocked" if closes else "not_run", closes
    else:
        action = _action_on(said, rule)
        masks = [each for each in said.findings if _action_of(each, rule) is Action.MASK]
        spans = tuple(each.span for each in masks if each.span is not None)
        if action is Action.MASK and (not spans or len(spans) < len(masks)):
            action = Action.BLOCK  # what has no place in the text cannot be taken out of it
        standing, stops = _STANDINGS[action], action is Action.BLOCK
    verdict = GuardVerdict(
        check=name,
        direction=direction,
        standing=standing,
        score=said.score if isinstance(said, Report) else 0.0,
        kinds=_kinds_of(said) if isinstance(said, Report) else (),
        reason=said.reason if isinstance(said, NotRun) else "",
        dry_run=watches,
        policy=policy.version,
        took_ms=took_ms,
    )
    return Judged(verdict, stops=stops and not watches, masked=() if watches else spans)


def _kinds_of(report: Report) -> tuple[str, ...]:
    return tuple(sorted({finding.kind for finding in report.findings}))


def _action_on(report: Report, rule: Rule) -> Action:
    """The severest that any finding asks for; the score of the whole, where none does."""
    actions = [_action_of(each, rule) for each in report.findings if each.score >= rule.threshold]
    if not actions and report.score >= rule.threshold:
        actions.append(rule.action)
    if rule.flag_from is not None and report.score >= rule.flag_from:
        actions.append(Action.FLAG)
    return max(actions, key=_MILDEST_FIRST.index, default=Action.ALLOW)


def _action_of(finding: Finding, rule: Rule) -> Action:
    if finding.score < rule.threshold:
        return Action.ALLOW
    return rule.kinds.get(finding.kind, rule.action)


def worse(one: GuardVerdict, other: GuardVerdict) -> GuardVerdict:
    """Two verdicts of one check on parts of a text as one: the severer, with the time of both.
    A check that missed a part has not passed; one that got no text says nothing."""
    verdict = max(one, other, key=_severity)
    return replace(
        verdict,
        score=max(one.score, other.score),
        kinds=tuple(sorted({*one.kinds, *other.kinds})),
        took_ms=one.took_ms + other.took_ms,
    )


def _severity(verdict: GuardVerdict) -> int:
    if verdict.standing == "not_run" and verdict.reason == NOTHING_TO_SCAN.reason:
        return -1
    return _SEVERITY.index(verdict.standing)


def stopped_by(verdict: GuardVerdict) -> Stopped:
    return Stopped(verdict.check, f"{_REFUSED[verdict.direction]} ({verdict.check}).")


def without(text: str, spans: Sequence[Span]) -> str:
    """`text` with `REMOVED` in place of each span; those that touch become one."""
    pieces: list[str] = []
    end = 0
    for span in sorted(spans, key=lambda each: (each.start, each.end)):
        if span.start >= end:
            pieces += [text[end : span.start], REMOVED]
        end = max(end, span.end)
    return "".join((*pieces, text[end:]))


def outcome_of(text: str, judged: Sequence[Judged]) -> Outcome:
    """What follows from all checks of one text together."""
    for each in judged:
        if each.stops:
            return stopped_by(each.verdict)
    spans = [span for each in judged for span in each.masked]
    flagged = tuple(each.verdict.check for each in judged if each.verdict.standing == "flagged")
    return Cleared(without(text, spans) if spans else text, flagged)
