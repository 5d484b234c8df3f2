"""One text, its checks and its policy: what each check says, what follows, and the record of it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rag.guardrails.checks import Check, Finding, NotRun, Report, Scanned
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


async def judge(check: Check, scanned: Scanned, *, rule: Rule, policy: Policy) -> Judged:
    """Ask one check. It never raises: a check that fails or takes too long is a verdict too."""
    began = time.perf_counter()
    said = await _asked(check, scanned, rule)
    took_ms = (time.perf_counter() - began) * 1000
    return follow(check.name, said, scanned.direction, rule=rule, policy=policy, took_ms=took_ms)


async def _asked(check: Check, scanned: Scanned, rule: Rule) -> Report | NotRun:
    if not scanned.text.strip():
        return NOTHING_TO_SCAN
    try:
        async with asyncio.timeout(rule.timeout_s):
            return await check.scan(scanned)
    except TimeoutError:
        return NotRun(f"it took longer than {rule.timeout_s:g} s")
    except Exception as error:  # noqa: BLE001 - whatever a check does, the policy says what follows
        # The error's own text may hold what was scanned.
        return NotRun(f"it failed ({type(error).__name__})")


def follow(
    name: str,
    said: Report | NotRun,
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
    verdict = GuardVerdict(
        check=name,
        direction=direction,
        standing="not_run",
        score=0.0,
        dry_run=watches,
        policy=policy.version,
        took_ms=took_ms,
    )
    if isinstance(said, NotRun):
        closes = rule.on_error == "closed" and not called_off and said != NOTHING_TO_SCAN
        standing: Standing = "blocked" if closes else "not_run"
        return Judged(
            replace(verdict, standing=standing, reason=said.reason), stops=closes and not watches
        )
    action = _action_on(said, rule)
    masks = [each for each in said.findings if _action_of(each, rule) is Action.MASK]
    spans = tuple(each.span for each in masks if each.span is not None)
    if action is Action.MASK and (not spans or len(spans) < len(masks)):
        action = Action.BLOCK  # what has no place in the text cannot be taken out of it
    return Judged(
        replace(
            verdict,
            standing=_STANDINGS[action],
            score=said.score,
            kinds=tuple(sorted({finding.kind for finding in said.findings})),
        ),
        stops=action is Action.BLOCK and not watches,
        masked=() if watches else spans,
    )


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


async def judge_all(
    checks: Mapping[str, Check],
    scanned: Scanned,
    *,
    policy: Policy,
    rules: Mapping[str, Rule],
    stopped: Callable[[Stopped], None] | None = None,
) -> tuple[Judged, ...]:
    """Ask `rules`' checks at the same time. `stopped` hears of the first that blocks, at once;
    those still looking then are called off, and are `not_run`."""
    if len(rules) == 1:
        [(name, rule)] = rules.items()
        judged = await judge(checks[name], scanned, rule=rule, policy=policy)
        if judged.stops and stopped is not None:
            stopped(stopped_by(judged.verdict))
        return (judged,)
    tasks = {
        name: asyncio.create_task(judge(checks[name], scanned, rule=rule, policy=policy))
        for name, rule in rules.items()
    }
    looking = set(tasks.values())
    try:
        while looking:
            _, looking = await asyncio.wait(looking, return_when=asyncio.FIRST_COMPLETED)
            stops = next(
                (task for task in tasks.values() if task not in looking and task.result().stops),
                None,
            )
            if stops is not None:
                if stopped is not None:
                    stopped(stopped_by(stops.result().verdict))
                break
    finally:
        if looking:
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
    off = NotRun("another check had stopped it")
    return tuple(
        follow(name, off, scanned.direction, rule=rules[name], policy=policy, called_off=True)
        if task.cancelled()
        else task.result()
        for name, task in tasks.items()
    )  # fmt: skip
