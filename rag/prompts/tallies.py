"""Outcomes, counted: what a version or an arm of a rollout did over some time."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from math import sqrt

from rag.gateway.money import FREE, Micro


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    asked: int = 0
    failed: int = 0
    judged: int = 0
    """Answers that were held against their evidence."""
    grounded: int = 0
    slow: int = 0
    """Those that took longer than the settings call slow."""
    latency_ms: int = 0
    """Of all together."""
    cost: Micro = FREE

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            asked=self.asked + other.asked,
            failed=self.failed + other.failed,
            judged=self.judged + other.judged,
            grounded=self.grounded + other.grounded,
            slow=self.slow + other.slow,
            latency_ms=self.latency_ms + other.latency_ms,
            cost=Micro(self.cost + other.cost),
        )

    @property
    def ungrounded(self) -> int:
        return self.judged - self.grounded

    @property
    def good(self) -> int:
        """Without an error, and not held to be unsupported."""
        return self.asked - self.failed - self.ungrounded

    @property
    def mean_latency_ms(self) -> float:
        return self.latency_ms / self.asked if self.asked else 0.0


def total(tallies: Iterable[Tally]) -> Tally:
    return reduce(Tally.__add__, tallies, Tally())


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much worse a version may do than what it took the place of. Shares run from 0 to 1."""

    least: int = 30
    """Fewer outcomes than these say nothing."""
    error_rise: float = 0.02
    ungrounded_rise: float = 0.05
    slow_rise: float = 0.10
    error_ceiling: float = 0.10
    """The most errors where there is nothing to compare with; so for the other two."""
    ungrounded_ceiling: float = 0.30
    slow_ceiling: float = 0.50


def faults_of(new: Tally, old: Tally, limits: Limits) -> tuple[str, ...]:
    """Why `new` must go, in words with its figures; empty where nothing speaks against it.

    A share is too high only where the lower end of its 95 % interval is: a few unlucky questions
    take nothing back.
    """
    rates = (
        ("errors", (new.failed, new.asked), (old.failed, old.asked)),
        ("unsupported answers", (new.ungrounded, new.judged), (old.ungrounded, old.judged)),
        ("slow answers", (new.slow, new.asked), (old.slow, old.asked)),
    )
    allowed = (
        (limits.error_rise, limits.error_ceiling),
        (limits.ungrounded_rise, limits.ungrounded_ceiling),
        (limits.slow_rise, limits.slow_ceiling),
    )
    faults: list[str] = []
    for (figure, (bad, of), (bad_before, of_before)), (rise, ceiling) in zip(
        rates, allowed, strict=True
    ):
        compares = of_before >= limits.least
        before = bad_before / of_before if compares else None
        most = before + rise if before is not None else ceiling
        if of >= limits.least and at_least(bad, of) > most:
            then = "nothing to compare with" if before is None else f"{before:.1%} before"
            faults.append(f"{bad / of:.1%} {figure} ({bad} of {of}; {then}; at most {most:.1%})")
    return tuple(faults)


def at_least(bad: int, of: int, z: float = 1.645) -> float:
    """The lower end of Wilson's score interval for the share `bad` of `of`: in 95 of 100 samples
    the true share is not below it. (Wilson, JASA 22, 1927.)"""
    share = bad / of
    centre = share + z * z / (2 * of)
    spread = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, (centre - spread) / (1 + z * z / of))
