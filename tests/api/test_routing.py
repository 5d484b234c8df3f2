"""What administrators are told of the choice of models."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.gateway.money import Micro
from rag.gateway.route_log import RouteOutcome
from rag.trail import RequestId, UseCase
from rag.types import Usage
from tests.api.platform import ACME, OTHER, Site, open_site

ROUTING = "/v1/admin/routing"
MOMENT = datetime(2026, 11, 21, 12, tzinfo=UTC)
OUTCOME = RouteOutcome(
    tenant=ACME,
    request=RequestId("r1"),
    ordinal=0,
    at=MOMENT,
    use_case=UseCase.ASK,
    step="answer",
    quality="balanced",
    first="extractive",
    answered_by="extractive",
    tier="last_resort",
    reasons=(),
    complexity=0.2,
    outcome="answered",
    confidence=0.9,
    usage=Usage(100, 10),
    cost=Micro(7),
    total_ms=12.5,
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path) as running:
        await running.platform.route_ledger.add([OUTCOME])
        yield running


async def test_the_report_tells_what_routing_cost_and_brought(site: Site) -> None:
    told = (await site.http.get(ROUTING, headers=await site.key("user:admin"))).json()
    assert (told["questions"], told["escalated"], told["first"]) == (1, 0, {"extractive": 1})
    assert told["strategies"] == [
        {
            "strategy": "routed",
            "model": "",
            "micro_per_question": 7.0,
            "micro_per_answer": 7.0,
            "answered": 1.0,
            "known": 1.0,
        }
    ]


async def test_it_begins_where_it_is_told_to(site: Site) -> None:
    headers = await site.key("user:admin")
    later = await site.http.get(ROUTING, params={"since": "2026-11-22T00:00:00Z"}, headers=headers)
    assert later.json()["questions"] == 0
    vague = await site.http.get(ROUTING, params={"since": "yesterday"}, headers=headers)
    assert vague.status_code == 422


async def test_another_tenants_routes_are_not_in_it(site: Site) -> None:
    headers = await site.key("user:admin", tenant=OTHER)
    assert (await site.http.get(ROUTING, headers=headers)).json()["questions"] == 0
