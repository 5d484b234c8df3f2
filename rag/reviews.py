"""What a guardrail let pass for a person to look at later, and what that person said of it.

A review holds nothing of the text: it names the entry of the audit that does, as far as the audit
keeps any. It goes when that entry goes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from rag.access import TenantId
from rag.errors import NotFound
from rag.trail import Direction, GuardVerdict, RequestId, Trail, UseCase

Decision = Literal["confirmed", "dismissed"]
"""Whether the guardrail was right to flag it."""
ReviewState = Literal["open", "confirmed", "dismissed"]

_ID = re.compile(r"([1-9][0-9]{0,17})\.([1-9][0-9]{0,3})")


class ReviewId(NamedTuple):
    """Which entry of the audit, and which of its flags, from 1. Written `42.1`."""

    sequence: int
    ordinal: int

    def __str__(self) -> str:
        return f"{self.sequence}.{self.ordinal}"


def review_id_of(text: str) -> ReviewId:
    """Raises `NotFound` for what is no id."""
    parts = _ID.fullmatch(text)
    if parts is None:
        raise NotFound("there is no such review")
    return ReviewId(int(parts[1]), int(parts[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """That one check wants a person to look at a request."""

    use_case: UseCase
    check: str
    direction: Direction
    score: float
    kinds: tuple[str, ...]
    policy: str
    """Version of the policy that asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    decision: Decision
    by: str
    """`(erased)` where the person who decided was erased from the audit."""
    at: datetime
    note: str
    """`(erased)` where the person whom it is about was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A flag in the queue."""

    id: ReviewId
    at: datetime
    trace: RequestId
    flag: Flag
    decided: Decided | None
    """None while nobody has decided."""

    @property
    def state(self) -> ReviewState:
        return "open" if self.decided is None else self.decided.decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewQuery:
    tenant: TenantId
    state: ReviewState | None = None
    check: str | None = None
    use_case: UseCase | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: ReviewId | None = None
    """Only what was flagged before this one: the next page."""
    limit: int = 100


def flags_of(trail: Trail) -> tuple[Flag, ...]:
    """What the checks of a request want looked at, each check once in each direction. A policy that
    only watches wants nothing done, and so nothing looked at; and what an earlier request said is
    looked at with that one."""
    flagged = (
        each
        for each in trail.verdicts
        if each.standing == "flagged" and not (each.dry_run or each.repeated)
    )
    by_check: dict[tuple[str, Direction], list[GuardVerdict]] = {}
    for verdict in flagged:
        by_check.setdefault((verdict.check, verdict.direction), []).append(verdict)
    return tuple(_flag_of(trail.use_case, verdicts) for verdicts in by_check.values())


def _flag_of(use_case: UseCase, verdicts: Sequence[GuardVerdict]) -> Flag:
    """Of what one check said of several texts, the worst."""
    worst = max(verdicts, key=lambda verdict: verdict.score)
    return Flag(
        use_case=use_case,
        check=worst.check,
        direction=worst.direction,
        score=worst.score,
        kinds=tuple(sorted({kind for verdict in verdicts for kind in verdict.kinds})),
        policy=worst.policy,
    )
