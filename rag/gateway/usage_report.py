"""What is read off the daily costs: where the month is heading, and which days stand out."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import fmean, median

from rag.gateway.money import Micro

RECENT_DAYS = 7
"""Whole days whose mean cost the rest of the month is taken to have."""
HISTORY_DAYS = 28
LEAST_HISTORY_DAYS = 7
UNUSUAL_Z = 3.5
_NORMAL = 0.6745
"""Makes the median absolute deviation of normal data one standard deviation."""
_LEAST_SPREAD = 0.05
"""Of the median: where nearly every day cost the same, a few percent more are no news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What the month is likely to cost."""

    spent: Micro
    projected: Micro
    mean_of_days: int
    """How many of the last whole days it goes by; none: nothing more is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusualDay:
    day: date
    cost: Micro
    usual: Micro
    """The median of the days before it."""
    z: float
    """How many robust standard deviations it is away."""


def projection(daily: Mapping[date, Micro], moment: datetime) -> Projection:
    """What was spent this month, and for the rest of it the mean of the last whole days since the
    first with usage, seven at most."""
    now = moment.astimezone(UTC)
    today = now.date()
    spent = sum(cost for day, cost in daily.items() if day.replace(day=1) == today.replace(day=1))
    first = min(daily, default=today)
    recent = [
        daily.get(today - timedelta(days=ago), 0)
        for ago in range(1, RECENT_DAYS + 1)
        if today - timedelta(days=ago) >= first
    ]
    days = calendar.monthrange(today.year, today.month)[1]
    passed = today.day - 1 + (now.hour * 60 + now.minute) / 1_440
    rest = fmean(recent) * (days - passed) if recent else 0.0
    return Projection(
        spent=Micro(spent), projected=Micro(round(spent + rest)), mean_of_days=len(recent)
    )


def unusual_days(daily: Mapping[date, Micro], *, begins: date, ends: date) -> list[UnusualDay]:
    """The days from `begins` up to and without `ends` whose cost is far from that of the 28 days
    before, by the modified z-score (B. Iglewicz, D. Hoaglin, "How to detect and handle outliers",
    1993): 0.6745 (x - median) / MAD beyond 3.5. A day needs a week of history."""
    first = min(daily, default=ends)
    unusual: list[UnusualDay] = []
    for number in range((ends - begins).days):
        day = begins + timedelta(days=number)
        before = [
            daily.get(day - timedelta(days=ago), 0)
            for ago in range(1, HISTORY_DAYS + 1)
            if day - timedelta(days=ago) >= first
        ]
        if len(before) < LEAST_HISTORY_DAYS:
            continue
        usual, cost = median(before), daily.get(day, Micro(0))
        spread = max(median(abs(each - usual) for each in before), _LEAST_SPREAD * usual, 1.0)
        z = _NORMAL * (cost - usual) / spread
        if abs(z) > UNUSUAL_Z:
            unusual.append(UnusualDay(day=day, cost=cost, usual=Micro(round(usual)), z=round(z, 1)))
    return unusual
