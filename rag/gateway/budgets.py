"""Budgets: who may spend how much in a day or a month, and the promise of whoever counts it.

A call is paid for by several budgets at once: of its user, its team, the application and the
tenant, in each window, for all use cases or for its own. It is made only where all have room.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NewType, Protocol

from rag.access import TenantId
from rag.errors import OverBudget
from rag.gateway.money import FREE, Micro
from rag.trail import Account, RequestId, UseCase


class Level(StrEnum):
    """Whose spending a budget counts."""

    REQUEST = "request"
    """All that one request spends, over its steps."""
    USER = "user"
    TEAM = "team"
    APPLICATION = "application"
    TENANT = "tenant"


class Window(StrEnum):
    """For how long a budget counts, in UTC. A call counts where it began, however long it takes."""

    DAY = "day"
    MONTH = "month"

    def begins(self, moment: datetime) -> date:
        day = moment.astimezone(UTC).date()
        return day if self is Window.DAY else day.replace(day=1)

    def ends(self, begins: date) -> datetime:
        """The first moment after the window that begins at `begins`."""
        following = begins + timedelta(days=1 if self is Window.DAY else 32)
        if self is Window.MONTH:
            following = following.replace(day=1)
        return datetime.combine(following, time(), UTC)


EACH = "*"
"""The subject of a budget that every user (team, …) without one of their own has for themselves."""

LARGEST = 2**53
"""No cap is above it: Redis compares in floating point, which is exact up to here."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What was, or may be, spent."""

    money: Micro = FREE
    tokens: int = 0
    """Of input and output together."""

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(Micro(self.money + other.money), self.tokens + other.tokens)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(Micro(self.money - other.money), self.tokens - other.tokens)


NOTHING = Amount()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an administrator set: a cap in money, in tokens, or both."""

    tenant: TenantId
    level: Level
    subject: str
    """A principal's id, a key's id, or `EACH`; of the tenant as a whole, empty."""
    window: Window
    use_case: UseCase | None = None
    """None: whatever the models are called for."""
    money: Micro | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A budget as it counts for one call: for one subject, in one window."""

    tenant: TenantId
    level: Level
    subject: str
    use_case: UseCase | None
    window: Window
    begins: date
    money: Micro | None
    tokens: int | None

    @property
    def counter(self) -> str:
        """What is counted together, within the tenant."""
        use_case = EACH if self.use_case is None else self.use_case.value
        return f"{self.level}/{self.window}/{self.begins}/{use_case}/{self.subject}"

    @property
    def ends(self) -> datetime:
        return self.window.ends(self.begins)

    def has_room(self, amount: Amount) -> bool:
        """Whether so much in all keeps within both caps."""
        return (self.money is None or amount.money <= self.money) and (
            self.tokens is None or amount.tokens <= self.tokens
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a limit is used up."""

    limit: Limit
    spent: Amount
    reserved: Amount = NOTHING
    """By calls that are not over."""

    @property
    def used(self) -> Amount:
        return self.spent + self.reserved


ReservationId = NewType("ReservationId", str)
"""Request, step and a part nobody can choose: a caller's own request id never pays twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Room that is held for one call until it is settled, or until `expires_at`."""

    id: ReservationId
    tenant: TenantId
    limits: tuple[Limit, ...]
    """At least one, all of `tenant`, each once."""
    amount: Amount
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Swept:
    """Reservations that nobody settled in time, and what they held."""

    reservations: int = 0
    amount: Amount = NOTHING

    def __add__(self, other: "Swept") -> "Swept":
        return Swept(self.reservations + other.reservations, self.amount + other.amount)


class Budgets(Protocol):
    """Counts what is spent and reserved, whoever asks from however many processes.

    Each call changes all counters of a reservation or none. Spent and reserved together never
    pass a cap by a reservation. Errors: `StorageUnavailable`, and then nothing may be spent.
    """

    async def reserve(self, reservation: Reservation) -> None:
        """Hold room in all limits. The same id again holds no more. Raises `OverBudget`."""
        ...

    async def settle(self, reservation: Reservation, actual: Amount) -> Sequence[Standing]:
        """Count `actual` as spent in place of what was held, once however often it is called;
        after the reservation expired too. `NOTHING` gives it back.

        Returns how the limits stand afterwards; none where it was settled before.
        """
        ...

    async def sweep(self, tenant: TenantId) -> Swept:
        """Give back what expired reservations hold."""
        ...

    async def standing(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        """How `limits` stand now, in order."""
        ...


def over_budget(limit: Limit, moment: datetime) -> OverBudget:
    """The error of a call for which `limit` has no room."""
    if limit.level is Level.REQUEST:
        return OverBudget("this request may not spend so much")
    period = "today's" if limit.window is Window.DAY else "this month's"
    whose = "your" if limit.level is Level.USER else f"the {limit.level}'s"
    purpose = "" if limit.use_case is None else f" for {limit.use_case}"
    return OverBudget(
        f"{whose} budget{purpose} has no room: {period} is spent or held by calls that run",
        retry_after_s=max(1.0, (limit.ends - moment).total_seconds()),
    )


def limits_of(
    budgets: Iterable[Budget],
    account: Account,
    *,
    use_case: UseCase,
    request: RequestId,
    moment: datetime,
) -> tuple[Limit, ...]:
    """The limits that a call counts for, of its tenant's `budgets`. A subject's own budget takes
    the place of the one that `EACH` has."""
    subjects = {
        Level.REQUEST: str(request),
        Level.USER: str(account.user),
        Level.TEAM: account.team,
        Level.APPLICATION: account.application,
        Level.TENANT: "",
    }
    chosen: dict[tuple[Level, Window, UseCase | None], Budget] = {}
    for budget in budgets:
        own = subjects[budget.level]
        if own is None or budget.subject not in {own, EACH}:
            continue
        if budget.use_case not in {None, use_case} or budget.tenant != account.tenant:
            continue
        key = (budget.level, budget.window, budget.use_case)
        if key not in chosen or budget.subject != EACH:
            chosen[key] = budget
    limits = (
        Limit(
            tenant=account.tenant,
            level=budget.level,
            subject=subjects[budget.level] or "",
            use_case=budget.use_case,
            window=budget.window,
            begins=budget.window.begins(moment),
            money=budget.money,
            tokens=budget.tokens,
        )
        for budget in chosen.values()
    )
    return tuple(sorted(limits, key=lambda limit: limit.counter))
