"""Budgets of the administrator's own tenant: who may spend how much, and how they stand."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field, PlainSerializer, StringConstraints, model_validator

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.money import Money
from api.permissions import Permission
from api.shapes import Schema
from rag.access import TenantId
from rag.errors import InvalidRequest
from rag.gateway.alerts import Alert
from rag.gateway.budgets import EACH, LARGEST, Amount, Budget, Level, Limit, Standing, Window
from rag.gateway.money import MICROS, Micro
from rag.trail import UseCase

router = APIRouter(prefix="/v1/admin/budgets", tags=["administration"], responses=PROBLEMS)

MoneyOut = Annotated[Decimal, PlainSerializer(float, return_type=float)]
MoneyIn = Annotated[Decimal, Field(ge=0, le=LARGEST // MICROS, decimal_places=6)]
SubjectText = Annotated[str, StringConstraints(pattern=r"^[!-~]{0,254}$")]


def units(money: Micro) -> Decimal:
    return Decimal(money) / MICROS


class BudgetName(Schema):
    """Which budget: there is one of each level, subject, window and use case."""

    level: Level
    subject: SubjectText = Field(
        default="",
        description="`user:…`, a team's `group:…`, an application's key id, or `*`: each of them for "
        "themselves. Of the tenant: empty. Of a request: `*`.",
    )
    window: Window
    use_case: UseCase | None = Field(default=None, description="Unset: all together.")

    @model_validator(mode="after")
    def _the_subject_fits_the_level(self) -> Self:
        begins = {Level.USER: ("user:", "app:"), Level.TEAM: ("group:",), Level.APPLICATION: ("",)}
        match self.level:
            case Level.TENANT:
                fits, wanted = not self.subject, "no subject: it is the whole tenant's"
            case Level.REQUEST:
                fits, wanted = self.subject == EACH, "the subject *: each request for itself"
            case _:
                starts = begins[self.level]
                fits = self.subject == EACH or (
                    self.subject != "" and self.subject.startswith(starts)
                )
                wanted = f"* or a subject {' or '.join(f'{start}…' for start in starts)}"
        if not fits:
            raise ValueError(f"a budget of a {self.level} has {wanted}")
        return self


class BudgetRequest(BudgetName):
    money: MoneyIn | None = Field(default=None, description="In units of account, such as dollars.")
    tokens: Annotated[int, Field(ge=0, le=LARGEST)] | None = Field(
        default=None, description="Of input and output together."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"level": "user", "subject": "*", "window": "day", "money": 0.5},
                {
                    "level": "team",
                    "subject": "group:finance",
                    "window": "month",
                    "use_case": "ask",
                    "money": 200,
                    "tokens": 5_000_000,
                },
            ]
        }
    )

    @model_validator(mode="after")
    def _something_is_capped(self) -> Self:
        if self.money is None and self.tokens is None:
            raise ValueError("a budget caps money, tokens or both")
        return self

    def of(self, tenant: TenantId) -> Budget:
        return Budget(
            tenant=tenant,
            level=self.level,
            subject=self.subject,
            window=self.window,
            use_case=self.use_case,
            money=None if self.money is None else Micro(int(self.money * MICROS)),
            tokens=self.tokens,
        )


class AmountOut(Schema):
    money: MoneyOut
    tokens: int

    @classmethod
    def of(cls, amount: Amount) -> Self:
        return cls(money=units(amount.money), tokens=amount.tokens)


class BudgetOut(Schema):
    level: Level
    subject: str
    window: Window
    use_case: UseCase | None
    money: MoneyOut | None
    tokens: int | None
    begins: date = Field(description="The first day of the window that runs, in UTC.")
    ends_at: datetime
    spent: AmountOut | None = Field(description="Null for `*`: each has their own.")
    reserved: AmountOut | None = Field(description="Held by calls that are not over.")


class AlertOut(Schema):
    counter: str = Field(description="Level, window, its first day, use case and subject.")
    percent: int
    spent: AmountOut
    raised_at: datetime

    @classmethod
    def of(cls, alert: Alert) -> Self:
        return cls(
            counter=alert.counter,
            percent=alert.percent,
            spent=AmountOut.of(alert.spent),
            raised_at=alert.raised_at,
        )


class BudgetsOut(Schema):
    budgets: list[BudgetOut]
    alerts: list[AlertOut] = Field(description="The last hundred, the newest first.")


@router.get("")
async def list_budgets(
    caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> BudgetsOut:
    """Every budget of the tenant, how it stands now, and what alerts there were."""
    tenant, money = caller.principal.tenant, platform.money
    budgets = await money.set_budgets.of(tenant)
    standings = await money.budgets.standing(
        [_limit_of(budget, money) for budget in budgets if budget.subject != EACH]
    )
    by_limit = {standing.limit: standing for standing in standings}
    return BudgetsOut(
        budgets=[
            _budget_out(limit, by_limit.get(limit))
            for limit in (_limit_of(budget, money) for budget in budgets)
        ],
        alerts=[AlertOut.of(alert) for alert in await money.alerts.listed(tenant)],
    )


@router.put("")
async def put_budget(
    request: BudgetRequest,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> BudgetOut:
    """Set a budget, in place of an earlier one of the same level, subject, window and use case.

    It counts from the next call on in this process, and within two seconds in others. What was
    spent before in its window counts too.
    """
    tenant, money = caller.principal.tenant, platform.money
    budget = request.of(tenant)
    await money.set_budgets.put(budget)
    money.known.forget(tenant)
    limit = _limit_of(budget, money)
    if budget.subject == EACH:
        return _budget_out(limit, None)
    [standing] = await money.budgets.standing([limit])
    return _budget_out(limit, standing)


@router.delete("", status_code=204, responses=problems(404))
async def remove_budget(
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    *,
    level: Level,
    window: Window,
    subject: Annotated[str, Query(max_length=254)] = "",
    use_case: UseCase | None = None,
) -> Response:
    """From now on it limits nobody."""
    tenant, money = caller.principal.tenant, platform.money
    if not subject.isprintable():
        raise InvalidRequest("subject: there is no such one")
    await money.set_budgets.remove(tenant, level, subject, window, use_case)
    money.known.forget(tenant)
    return Response(status_code=204)


def _limit_of(budget: Budget, money: Money) -> Limit:
    return Limit(
        tenant=budget.tenant,
        level=budget.level,
        subject=budget.subject,
        use_case=budget.use_case,
        window=budget.window,
        begins=budget.window.begins(money.clock()),
        money=budget.money,
        tokens=budget.tokens,
    )


def _budget_out(limit: Limit, standing: Standing | None) -> BudgetOut:
    return BudgetOut(
        level=limit.level,
        subject=limit.subject,
        window=limit.window,
        use_case=limit.use_case,
        money=None if limit.money is None else units(limit.money),
        tokens=limit.tokens,
        begins=limit.begins,
        ends_at=limit.ends,
        spent=None if standing is None else AmountOut.of(standing.spent),
        reserved=None if standing is None else AmountOut.of(standing.reserved),
    )
