"""Budgets and usage at the API: what administrators set, and what they are shown."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.accounts import account_of
from api.auth import Caller
from api.permissions import EVERY_PERMISSION
from rag.access import Principal, PrincipalId, TenantId
from rag.gateway.budgets import limits_of
from rag.gateway.money import MICROS, Micro
from rag.gateway.usage import UsageCount, UsageKey
from rag.storage.access.tokens import KeyId
from rag.trail import RequestId, UseCase
from tests.api.platform import ACME, OTHER, Site, open_site

BUDGETS, USAGE = "/v1/admin/budgets", "/v1/admin/usage"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path) as running:
        yield running


@pytest.fixture
async def me(site: Site) -> dict[str, str]:
    return await site.key("user:admin")


def used(
    day: date, *, cost: float, tenant: TenantId = ACME, model: str = "large", **count: int
) -> dict[UsageKey, UsageCount]:
    key = UsageKey(
        tenant=tenant,
        day=day,
        team="group:a",
        application="k1",
        user=PrincipalId("user:anna"),
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
        model=model,
        prompt="answer v1",
    )
    spent = UsageCount(cost=Micro(round(cost * MICROS)), calls=1)
    return {key: replace(spent, **count)}


async def put(site: Site, me: dict[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
    response = await site.http.put(BUDGETS, json=body, headers=me)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_budget_is_set_changed_shown_and_removed(site: Site, me: dict[str, str]) -> None:
    today = site.platform.money.clock().date()
    await site.platform.money.usage.add(used(today, cost=1.25, input_tokens=100))
    name = {"level": "team", "subject": "group:a", "window": "month", "use_case": "ask"}
    await put(site, me, {**name, "money": 10})
    made = await put(site, me, {**name, "money": 12.345678, "tokens": 5_000})
    assert made["spent"] == {"money": 1.25, "tokens": 100}
    assert (made["money"], made["tokens"]) == (12.345678, 5_000)
    assert made["begins"] == today.replace(day=1).isoformat()

    await put(site, me, {"level": "user", "subject": "*", "window": "day", "tokens": 7})
    listed = (await site.http.get(BUDGETS, headers=me)).json()
    assert [(each["level"], each["subject"]) for each in listed["budgets"]] == [
        ("team", "group:a"),
        ("user", "*"),
    ]
    assert listed["budgets"][1]["spent"] is None
    other = await site.key("user:admin", tenant=OTHER)
    assert (await site.http.get(BUDGETS, headers=other)).json()["budgets"] == []

    gone = await site.http.delete(BUDGETS, params=name, headers=me)
    assert gone.status_code == 204
    assert (await site.http.delete(BUDGETS, params=name, headers=me)).status_code == 404
    listed = (await site.http.get(BUDGETS, headers=me)).json()
    assert [each["level"] for each in listed["budgets"]] == ["user"]


async def test_a_change_counts_at_once_in_this_process(site: Site, me: dict[str, str]) -> None:
    known = site.platform.money.known
    assert await known.of(ACME) == ()
    await put(site, me, {"level": "tenant", "window": "day", "money": 1})
    assert [budget.money for budget in await known.of(ACME)] == [MICROS]
    await site.http.delete(BUDGETS, params={"level": "tenant", "window": "day"}, headers=me)
    assert await known.of(ACME) == ()


@pytest.mark.parametrize(
    "body",
    [
        {"level": "tenant", "window": "day"},
        {"level": "tenant", "subject": "user:1", "window": "day", "money": 1},
        {"level": "user", "window": "day", "money": 1},
        {"level": "user", "subject": "group:a", "window": "day", "money": 1},
        {"level": "team", "subject": "user:1", "window": "day", "money": 1},
        {"level": "request", "subject": "r", "window": "day", "money": 1},
        {"level": "user", "subject": "user:\n", "window": "day", "money": 1},
        {"level": "user", "subject": "user:1", "window": "week", "money": 1},
        {"level": "user", "subject": "user:1", "window": "day", "money": -1},
        {"level": "user", "subject": "user:1", "window": "day", "money": 0.0000001},
        {"level": "user", "subject": "user:1", "window": "day", "money": 1e12},
        {"level": "user", "subject": "user:1", "window": "day", "tokens": 2**60},
        {"level": "user", "subject": "user:1", "window": "day", "money": 1, "use_case": "x"},
    ],
)
async def test_what_is_no_budget_is_refused(
    body: dict[str, Any], site: Site, me: dict[str, str]
) -> None:
    response = await site.http.put(BUDGETS, json=body, headers=me)
    assert response.status_code == 422
    assert (await site.http.get(BUDGETS, headers=me)).json()["budgets"] == []


async def test_usage_is_summed_by_what_is_asked_for(site: Site, me: dict[str, str]) -> None:
    money = site.platform.money
    today = money.clock().date()
    money.batched.note(used(today, cost=2, requests=4, answers=2, input_tokens=10))
    money.batched.note(used(today, cost=1, model="small", requests=1, output_tokens=5))
    money.batched.note(used(today, cost=9, tenant=OTHER))
    told = (await site.http.get(USAGE, params={"to": today.isoformat()}, headers=me)).json()
    assert [(row["by"], row["cost"], row["requests"]) for row in told["rows"]] == [
        ({"model": "large"}, 2, 4),
        ({"model": "small"}, 1, 1),
    ]
    assert told["rows"][0]["cost_per_request"] == 0.5
    assert told["rows"][0]["cost_per_answer"] == 1
    assert told["rows"][1]["cost_per_answer"] is None
    assert (told["total"]["cost"], told["total"]["input_tokens"]) == (3, 10)
    assert told["month"]["spent"] == 3

    asked = {"group_by": ["user", "endpoint"], "limit": 1}
    by_user = (await site.http.get(USAGE, params=asked, headers=me)).json()
    assert [row["by"] for row in by_user["rows"]] == [{"user": "user:anna", "endpoint": "/v1/ask"}]
    assert not by_user["more"]
    first = (await site.http.get(USAGE, params={"limit": 1}, headers=me)).json()
    assert first["more"] and len(first["rows"]) == 1 and first["total"]["cost"] == 3


async def test_a_day_that_is_far_dearer_than_the_days_before_stands_out(
    site: Site, me: dict[str, str]
) -> None:
    money = site.platform.money
    today = money.clock().date()
    for ago in range(2, 20):
        await money.usage.add(used(today - timedelta(days=ago), cost=10 + ago % 3))
    await money.usage.add(used(today - timedelta(days=1), cost=60))
    begins = (today - timedelta(days=5)).isoformat()
    told = (await site.http.get(USAGE, params={"from": begins}, headers=me)).json()
    [unusual] = told["unusual_days"]
    assert (unusual["day"], unusual["cost"]) == ((today - timedelta(days=1)).isoformat(), 60)
    assert 10 <= unusual["usual"] <= 12


@pytest.mark.parametrize(
    "params",
    [
        {"group_by": "question"},
        {"from": "2026-11-02", "to": "2026-11-01"},
        {"from": "2020-01-01", "to": "2026-01-01"},
        {"from": "yesterday"},
    ],
)
async def test_a_report_that_cannot_be_made_is_refused(
    params: dict[str, str], site: Site, me: dict[str, str]
) -> None:
    assert (await site.http.get(USAGE, params=params, headers=me)).status_code == 422


def caller(*groups: str, via: str = "key") -> Caller:
    return Caller(
        principal=Principal(ACME, PrincipalId("user:1"), frozenset(map(PrincipalId, groups))),
        permissions=EVERY_PERMISSION,
        via=via,  # pyright: ignore[reportArgumentType]
        key=None if via == "oidc" else KeyId("k1"),
    )


async def test_a_callers_team_is_the_operators_first_then_the_first_with_a_budget(
    site: Site, me: dict[str, str]
) -> None:
    known = site.platform.money.known
    for group in ("group:c", "group:b"):
        await put(site, me, {"level": "team", "subject": group, "window": "day", "money": 1})
    everybody = caller("group:a", "group:b", "group:c", "group:z")
    assert (await account_of(everybody, known=known)).team == "group:b"
    teams = [PrincipalId("group:y"), PrincipalId("group:z"), PrincipalId("group:a")]
    assert (await account_of(everybody, known=known, teams=teams)).team == "group:z"
    assert (await account_of(caller("group:a"), known=known)).team is None
    assert (await account_of(caller(), known=known)).application == "k1"
    assert (await account_of(caller(via="oidc"), known=known)).application is None


async def test_a_subjects_own_budget_takes_the_place_of_everyones(
    site: Site, me: dict[str, str]
) -> None:
    known = site.platform.money.known
    for subject, tokens in (("*", 5), ("user:1", 50), ("user:2", 500)):
        body = {"level": "user", "subject": subject, "window": "day", "tokens": tokens}
        await put(site, me, body)
    await put(site, me, {"level": "tenant", "window": "day", "use_case": "chat", "tokens": 1})
    account = await account_of(caller(), known=known)

    async def caps(use_case: UseCase) -> list[tuple[str, int | None]]:
        limits = limits_of(
            await known.of(ACME),
            account,
            use_case=use_case,
            request=RequestId("r"),
            moment=site.platform.money.clock(),
        )
        return [(limit.level.value, limit.tokens) for limit in limits]

    assert await caps(UseCase.ASK) == [("user", 50)]
    assert await caps(UseCase.CHAT) == [("tenant", 1), ("user", 50)]
