"""Outcomes are added up in memory, by minute, version and arm, until the ledger takes them."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from rag.access import TenantId
from rag.prompts.choosing import Outcome
from rag.prompts.rollouts import RolloutId
from rag.prompts.tallies import Tally
from rag.prompts.versions import VersionKey

NO_ROLLOUT = RolloutId(0)
"""Outcomes of a version as such, outside any trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What outcomes are added up by."""

    minute: datetime
    tenant: TenantId
    name: str
    version: VersionKey
    rollout: RolloutId = NO_ROLLOUT
    arm: str = ""


@dataclass(slots=True)
class Counts:
    """What waits for the ledger. It holds `most` sums at most, and drops what does not fit."""

    most: int = 50_000
    held: dict[Counted, Tally] = field(default_factory=dict[Counted, Tally])
    dropped: int = 0

    def add(self, outcome: Outcome, *, moment: datetime, slow_ms: float) -> None:
        tally = tally_of(outcome, slow_ms=slow_ms)
        for counted in counted_for(outcome, moment):
            self._add(counted, tally)

    def take(self) -> dict[Counted, Tally]:
        """All of it; what comes later is counted anew."""
        taken, self.held = self.held, {}
        return taken

    def give_back(self, taken: dict[Counted, Tally]) -> None:
        """The ledger did not take it."""
        for counted, tally in taken.items():
            self._add(counted, tally)

    def _add(self, counted: Counted, tally: Tally) -> None:
        if counted in self.held:
            self.held[counted] += tally
        elif len(self.held) < self.most:
            self.held[counted] = tally
        else:
            self.dropped += tally.asked


def tally_of(outcome: Outcome, *, slow_ms: float) -> Tally:
    return Tally(
        asked=1,
        failed=int(not outcome.ok),
        judged=int(outcome.grounded is not None),
        grounded=int(outcome.grounded is True),
        slow=int(outcome.latency_ms > slow_ms),
        latency_ms=round(outcome.latency_ms),
        cost=outcome.cost,
    )


def counted_for(outcome: Outcome, moment: datetime) -> list[Counted]:
    """What one outcome counts for: each rollout that it was part of, and outside of a trial its
    version as such. Of a shadow, the candidate's run and the answer beside it are the two arms."""
    chosen, shadow = outcome.chosen, outcome.chosen.shadow
    as_such = Counted(
        minute=moment.replace(second=0, microsecond=0),
        tenant=chosen.tenant,
        name=chosen.prompt.name,
        version=chosen.prompt.key,
    )
    if outcome.shadow:
        if shadow is None:
            return []
        key = shadow.prompt.key
        return [replace(as_such, version=key, rollout=shadow.rollout, arm="candidate")]
    counted = [replace(as_such, rollout=each.rollout, arm=each.arm) for each in chosen.assignments]
    if shadow is not None:
        counted.append(replace(as_such, rollout=shadow.rollout, arm="control"))
    return counted if chosen.is_trial else [as_such, *counted]
