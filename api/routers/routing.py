"""How the choice of models turned out, for the administrators of a tenant."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS
from api.permissions import Permission
from api.shapes import Schema
from rag.gateway.route_report import RouteReport, Strategy, report_of

router = APIRouter(prefix="/v1/admin/routing", tags=["administration"], responses=PROBLEMS)

MOST = 50_000
"""Decisions that one report reads."""


class StandingOut(Schema):
    strategy: Strategy
    model: str = Field(description="The one that it always asks; empty where it asks several.")
    micro_per_question: float | None = Field(description="Millionths of the unit of account.")
    micro_per_answer: float | None
    answered: float | None = Field(description="Share that ends with a grounded answer.")
    known: float = Field(description="Share of the questions that `answered` is known for.")


class RoutingOut(Schema):
    since: datetime | None
    questions: int
    escalated: int = Field(description="How many a dearer model was asked after the first.")
    first: dict[str, int] = Field(description="Questions by the model that was asked first.")
    strategies: list[StandingOut]

    @classmethod
    def of(cls, report: RouteReport, since: datetime | None) -> "RoutingOut":
        return cls(
            since=since,
            questions=report.questions,
            escalated=report.escalated,
            first=dict(report.first),
            strategies=[StandingOut(**asdict(each)) for each in report.strategies],
        )


@router.get("")
async def show_routing(
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    since: Annotated[AwareDatetime | None, Query(description="Unset: from the beginning.")] = None,
) -> RoutingOut:
    """Cost and answered share of the routing, beside always the cheap model, always the best one,
    and chance. It tells of the tenant's latest 50,000 decisions."""
    outcomes = await platform.route_ledger.since(caller.principal.tenant, since, limit=MOST)
    return RoutingOut.of(report_of(outcomes, platform.router.catalogue), since)
