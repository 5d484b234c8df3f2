"""What the administrator's own tenant used, and what it cost: for showback and for watching."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS
from api.money import Money
from api.permissions import Permission
from api.routers.budgets import MoneyOut, units
from api.shapes import Schema
from rag.access import TenantId
from rag.errors import InvalidRequest
from rag.gateway.money import Micro
from rag.gateway.usage import NO_USAGE, UsageCount
from rag.gateway.usage_report import HISTORY_DAYS, RECENT_DAYS, projection, unusual_days

router = APIRouter(prefix="/v1/admin/usage", tags=["administration"], responses=PROBLEMS)

GroupBy = Literal["day", "team", "application", "user", "use_case", "endpoint", "model", "prompt"]
LONGEST = timedelta(days=400)


class UsageOut(Schema):
    requests: int
    answers: int = Field(description="Requests that ended with an answer, and not with a refusal.")
    cache_hits: int
    calls: int = Field(description="Calls of models, whether or not they ended well.")
    input_tokens: int
    output_tokens: int
    cached_tokens: int = Field(description="Of the input, what the provider had read before.")
    cost: MoneyOut
    saved: MoneyOut = Field(description="What answers from the cache cost when they were made.")
    cost_per_request: MoneyOut | None
    cost_per_answer: MoneyOut | None


class UsageRowOut(UsageOut):
    by: dict[str, str]


class ProjectionOut(Schema):
    spent: MoneyOut = Field(description="Since the month began.")
    projected: MoneyOut = Field(
        description="With the mean of the last whole days, seven at most, for the rest of it."
    )
    mean_of_days: int


class UnusualDayOut(Schema):
    day: date
    cost: MoneyOut
    usual: MoneyOut = Field(description="The median of the 28 days before.")
    z: float = Field(description="Modified z-score: 0.6745 (cost - median) / MAD; beyond 3.5.")


class UsageReport(Schema):
    begins: date
    ends: date = Field(description="The last day, which counts too.")
    rows: list[UsageRowOut] = Field(description="The dearest first.")
    more: bool = Field(description="Whether there are more rows than `limit`.")
    total: UsageOut
    month: ProjectionOut
    unusual_days: list[UnusualDayOut]


@router.get("")
async def usage(
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    group_by: Annotated[list[GroupBy], Query()] = ["model"],  # noqa: B006 - a declaration
    begins: Annotated[
        date | None, Query(alias="from", description="The month's first day.")
    ] = None,
    ends: Annotated[date | None, Query(alias="to", description="Today. It counts too.")] = None,
    *,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> UsageReport:
    """Usage of the days from `from` to `to` (UTC), summed by the columns named."""
    tenant, money = caller.principal.tenant, platform.money
    await money.batched.flush()
    moment = money.clock()
    last = ends or moment.date()
    first = begins or last.replace(day=1)
    if not timedelta() <= last - first <= LONGEST:
        raise InvalidRequest(f"from is at most {LONGEST.days} days before to")
    by = list(dict.fromkeys(group_by))
    after = last + timedelta(days=1)
    groups = await money.usage.grouped(tenant, by=by, begins=first, ends=after)
    daily = await _daily_cost(money, tenant, first, max(after, moment.date() + timedelta(days=1)))
    month = projection(daily, moment)
    return UsageReport(
        begins=first,
        ends=last,
        rows=[
            UsageRowOut(by=dict(zip(by, group.by, strict=True)), **_shown(group.count))
            for group in groups[:limit]
        ],
        more=len(groups) > limit,
        total=UsageOut(**_shown(sum((group.count for group in groups), start=NO_USAGE))),
        month=ProjectionOut(
            spent=units(month.spent),
            projected=units(month.projected),
            mean_of_days=month.mean_of_days,
        ),
        unusual_days=[
            UnusualDayOut(day=each.day, cost=units(each.cost), usual=units(each.usual), z=each.z)
            for each in unusual_days(daily, begins=first, ends=min(after, moment.date()))
        ],
    )


async def _daily_cost(
    money: Money, tenant: TenantId, first: date, after: date
) -> Mapping[date, Micro]:
    """With the days before that those asked for are compared with, and the month that runs."""
    this_month = money.clock().date().replace(day=1)
    begins = min(first - timedelta(days=HISTORY_DAYS), this_month - timedelta(days=RECENT_DAYS))
    groups = await money.usage.grouped(tenant, by=["day"], begins=begins, ends=after)
    return {date.fromisoformat(group.by[0]): group.count.cost for group in groups}


def _shown(count: UsageCount) -> dict[str, Any]:
    def each(number: int) -> Decimal | None:
        return units(Micro(round(count.cost / number))) if number else None

    return {
        "requests": count.requests,
        "answers": count.answers,
        "cache_hits": count.cache_hits,
        "calls": count.calls,
        "input_tokens": count.input_tokens,
        "output_tokens": count.output_tokens,
        "cached_tokens": count.cached_tokens,
        "cost": units(count.cost),
        "saved": units(count.saved),
        "cost_per_request": each(count.requests),
        "cost_per_answer": each(count.answers),
    }
