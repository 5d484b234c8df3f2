"""The log of routes, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rag.access import TenantId
from rag.gateway.money import Micro
from rag.gateway.route_log import RouteOutcome
from rag.storage.database import Database
from rag.storage.routes.ledger import RouteLedger
from rag.trail import RequestId, UseCase
from rag.types import Usage
from tests.values import ACME

MOMENT = datetime(2026, 11, 21, 12, tzinfo=UTC)
OUTCOME = RouteOutcome(
    tenant=ACME,
    request=RequestId("r1"),
    ordinal=0,
    at=MOMENT,
    use_case=UseCase.ASK,
    step="answer",
    quality="balanced",
    first="small",
    answered_by="large",
    tier="cheap",
    reasons=("personal data", "complexity: 0.20"),
    complexity=0.2,
    outcome="answered",
    confidence=0.9,
    usage=Usage(3_000_000_000, 10, 5),
    cost=Micro(9_000_000_000),
    total_ms=12.5,
)


async def test_what_is_stored_comes_back_newest_first(database: Database) -> None:
    ledger = RouteLedger(database)
    later = replace(
        OUTCOME,
        request=RequestId("r2"),
        at=MOMENT + timedelta(hours=1),
        complexity=None,
        confidence=None,
        answered_by="",
        outcome="failed",
    )
    await ledger.add([OUTCOME, later])
    assert await ledger.since(ACME, None, limit=10) == [later, OUTCOME]
    assert await ledger.since(ACME, None, limit=1) == [later]
    assert await ledger.since(ACME, MOMENT + timedelta(minutes=1), limit=10) == [later]


async def test_an_outcome_that_is_stored_twice_is_kept_once(database: Database) -> None:
    ledger = RouteLedger(database)
    await ledger.add([OUTCOME])
    await ledger.add([replace(OUTCOME, outcome="blocked"), replace(OUTCOME, ordinal=1)])
    kept = await ledger.since(ACME, None, limit=10)
    assert [(each.ordinal, each.outcome) for each in kept] == [(0, "answered"), (1, "answered")]


async def test_a_tenant_sees_its_own_alone(database: Database) -> None:
    ledger = RouteLedger(database)
    await ledger.add([OUTCOME])
    assert await ledger.since(TenantId("other"), None, limit=10) == []


async def test_old_outcomes_can_be_forgotten(database: Database) -> None:
    ledger = RouteLedger(database)
    await ledger.add([OUTCOME, replace(OUTCOME, ordinal=1, at=MOMENT + timedelta(days=9))])
    assert await ledger.forget_before(MOMENT) == 0
    assert await ledger.forget_before(MOMENT + timedelta(days=1)) == 1
    assert [each.ordinal for each in await ledger.since(ACME, None, limit=10)] == [1]
