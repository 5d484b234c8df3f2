"""A gateway whose money is counted, around one that is told what its calls cost."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rag.access import PrincipalId, TenantId
from rag.errors import StorageUnavailable
from rag.gateway.accounting import AccountedGateway
from rag.gateway.batched_usage import BatchedUsage
from rag.gateway.budgets import (
    EACH,
    Amount,
    Budget,
    Budgets,
    Level,
    Limit,
    Reservation,
    Standing,
    Swept,
    Window,
    limits_of,
)
from rag.gateway.calls import ModelCall, Restarted
from rag.gateway.caps import Caps
from rag.gateway.catalogue import Catalogue, Deployment, ModelSpec, Price, Provider, Tier
from rag.gateway.known_budgets import KnownBudgets
from rag.gateway.money import Micro
from rag.gateway.routing import Route
from rag.protocols import Completion, Message, ModelPrompt
from rag.storage.database import Database
from rag.storage.money.alerts import Alerts
from rag.storage.money.budgets import BudgetLedger
from rag.storage.money.counters import DatabaseBudgets
from rag.storage.money.usage import UsageLedger
from rag.trail import Account, Attempt, RequestId, Trail, UseCase
from rag.types import Usage
from tests.budgets import ACME, ANNA
from tests.clock import Clock

CHEAP = Price(input=Micro(1_000_000), output=Micro(2_000_000))
DEAR = Price(input=Micro(10_000_000), output=Micro(20_000_000))
WIRE = Provider(name="p", kind="openai")


def model(name: str, price: Price | None) -> ModelSpec:
    return ModelSpec(
        name=name,
        tier=Tier.CHEAP,
        context_tokens=8_000,
        max_output_tokens=1_000,
        price=price,
        deployments=(Deployment(name=f"{name}-1", provider=WIRE, model=name),),
    )


CATALOGUE = Catalogue(
    models=(model("cheap", CHEAP), model("dear", DEAR), model("unknown", None)), ceiling=DEAR
)
ACCOUNT = Account(tenant=ACME, user=ANNA, team=PrincipalId("group:a"), application="k1")
CALL = ModelCall(
    prompt=ModelPrompt(
        messages=(Message("user", "What is new?"),), prompt="answer v1", max_output_tokens=100
    ),
    account=ACCOUNT,
    request=RequestId("request-1"),
    use_case=UseCase.ASK,
)
DEAREST = Amount(DEAR.cost(Usage(10, 100)), 110)
"""What is held for `CALL`: 7 tokens as guessed, a third more, and the output."""


def attempt(cost: int, *, tokens: tuple[int, int] = (7, 3), model: str = "cheap") -> Attempt:
    return Attempt(
        model=model,
        deployment=f"{model}-1",
        step="answer",
        outcome="ok",
        usage=Usage(*tokens),
        estimated=False,
        cost=Micro(cost),
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        first_token_ms=1.0,
        total_ms=2.0,
    )


@dataclass
class Paid:
    """A gateway whose calls end as the test says."""

    attempts: Sequence[Attempt] = (attempt(50),)
    error: Exception | None = None
    calls: list[ModelCall] = field(default_factory=list[ModelCall])

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        self.calls.append(call)
        try:
            yield "It is "
            yield "so."
            if self.error is not None:
                raise self.error
            yield Completion(model="cheap", usage=Usage(7, 3), finish_reason="stop")
        finally:
            trail.attempts += self.attempts


@dataclass(frozen=True)
class AllOf:
    models: tuple[ModelSpec, ...]

    def route(self, call: ModelCall) -> Route:
        _ = call
        return Route(models=self.models, tier="cheap", reasons=())


@dataclass
class Shaky:
    """Counts in the database, unless it is away."""

    inner: Budgets
    away: bool = False
    asked: int = 0

    async def reserve(self, reservation: Reservation) -> None:
        self._ask()
        await self.inner.reserve(reservation)

    async def settle(self, reservation: Reservation, actual: Amount) -> Sequence[Standing]:
        self._ask()
        return await self.inner.settle(reservation, actual)

    async def sweep(self, tenant: TenantId) -> Swept:
        self._ask()
        return await self.inner.sweep(tenant)

    async def standing(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        self._ask()
        return await self.inner.standing(limits)

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise StorageUnavailable("it is away")


@dataclass
class Bench:
    """A gateway whose money is counted, and all around it."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    inner: Paid = field(default_factory=Paid)
    caps: Caps = field(default_factory=Caps)
    models: tuple[ModelSpec, ...] = CATALOGUE.models[:2]

    def __post_init__(self) -> None:
        self.rules = BudgetLedger(self.database)
        self.ledger = UsageLedger(self.database)
        self.usage = BatchedUsage(self.ledger)
        self.alerts = Alerts(self.database, self.clock)
        self.known = KnownBudgets(self.rules.of)
        self.budgets = Shaky(DatabaseBudgets(self.database, self.clock))
        self.gateway = AccountedGateway(
            self.inner,
            routes=AllOf(self.models),
            catalogue=CATALOGUE,
            known=self.known,
            budgets=self.budgets,
            usage=self.usage,
            alerts=self.alerts,
            clock=self.clock,
            caps=self.caps,
        )

    async def allow(
        self, money: int | None = None, tokens: int | None = None, *, level: Level = Level.TENANT
    ) -> Limit:
        """Sets the tenant's budget of the day, or the one that each request (user, …) has."""
        budget = Budget(
            tenant=ACME,
            level=level,
            subject="" if level is Level.TENANT else EACH,
            window=Window.DAY,
            money=None if money is None else Micro(money),
            tokens=tokens,
        )
        await self.rules.put(budget)
        self.known.forget(ACME)
        [limit] = limits_of(
            [budget],
            ACCOUNT,
            use_case=UseCase.ASK,
            request=CALL.request,
            moment=self.clock(),
        )
        return limit

    async def standing(self, limit: Limit) -> tuple[Amount, Amount]:
        [standing] = await self.budgets.standing([limit])
        return standing.spent, standing.reserved

    def trail(self) -> Trail:
        return Trail(
            request=CALL.request,
            account=ACCOUNT,
            use_case=UseCase.ASK,
            endpoint="/v1/ask",
            started_at=self.clock(),
        )

    async def ask(self, call: ModelCall = CALL, trail: Trail | None = None) -> str:
        stream = self.gateway.stream(call, self.trail() if trail is None else trail)
        return "".join([piece async for piece in stream if isinstance(piece, str)])

    async def used(self) -> list[tuple[tuple[str, ...], int, int]]:
        """By team, application, user, use case, endpoint, model and prompt: calls and cost."""
        by = ("team", "application", "user", "use_case", "endpoint", "model", "prompt")
        day = self.clock().date()
        groups = await self.ledger.grouped(ACME, by=by, begins=day, ends=day + timedelta(days=1))
        return [(group.by, group.count.calls, group.count.cost) for group in groups]
