"""What the answer cache did, counted; and the share of its hits that are asked anew."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_ENOUGH = 200
"""Fewer comparisons than that tell nothing of a share of one in two hundred."""


@dataclass(slots=True)
class CacheTally:
    """Of this process, since it started."""

    recheck_share: float = 0.02
    drawn: Callable[[], float] = random.random
    outcomes: Counter[str] = field(default_factory=Counter[str])
    """`exact`, `semantic`, `miss`, `off`."""
    dropped: Counter[str] = field(default_factory=Counter[str])
    """Answers that were found and not given, by why: `changed`, `not_admitted`, `not_shared`."""
    not_kept: Counter[str] = field(default_factory=Counter[str])
    kept: int = 0
    saved: int = 0
    """Micro-currency that the answers given again had cost."""
    agreed: int = 0
    disagreed: int = 0

    def should_recheck(self) -> bool:
        """Whether this hit is one of those to be answered anew, after it was given."""
        return self.drawn() < self.recheck_share

    def record_recheck(self, *, agreed: bool) -> None:
        if agreed:
            self.agreed += 1
        else:
            self.disagreed += 1

    @property
    def false_hit_rate(self) -> float | None:
        """Of the hits that were asked anew; None while they are too few to tell."""
        asked = self.agreed + self.disagreed
        return self.disagreed / asked if asked >= _ENOUGH else None
