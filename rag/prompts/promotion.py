"""The gate before a version is promoted: its evaluation must be no worse than production's."""

from dataclasses import dataclass

from rag.evaluation.gate import Passed, Refused, Thresholds, figures_of, judge
from rag.prompts.versions import PromptVersion


@dataclass(frozen=True, slots=True)
class Open:
    """Nothing speaks against the promotion."""


@dataclass(frozen=True, slots=True)
class Shut:
    against: tuple[str, ...]
    """Why, in words; at least one."""
    may_be_forced: bool
    """Never where forbidden documents were shown."""


def gate_of(
    candidate: PromptVersion, production: PromptVersion, allowed: Thresholds
) -> Open | Shut:
    before, after = production.report, candidate.report
    if before is None or after is None:
        missing = [each for each in (candidate, production) if each.report is None]
        return Shut(
            tuple(
                f"{each.key} has no evaluation report: attach what `rag eval golden --json` told"
                for each in missing
            ),
            may_be_forced=True,
        )
    old, new = figures_of(before), figures_of(after)
    if old.cases != new.cases:
        words = (
            f"{candidate.key} was evaluated on {new.cases} cases and {production.key} on "
            f"{old.cases}: they must be the same"
        )
        return Shut((words,), may_be_forced=True)
    match judge(old, new, allowed):
        case Passed():
            return Open()
        case Refused(reasons=reasons):
            leaks = any(reason.figure == "forbidden leaks" for reason in reasons)
            return Shut(tuple(reason.words for reason in reasons), may_be_forced=not leaks)
