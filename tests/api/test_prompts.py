"""Prompts over HTTP: made, compared, promoted, tried, taken back."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from api.permissions import EVERY_PERMISSION, Permission
from rag.audit import event_of
from rag.prompts.choosing import Outcome
from rag.prompts.registry import VARIABLES, load_version
from rag.storage.tables import FeedbackRow
from rag.trail import RequestId, Trail, UseCase
from tests.api.platform import ACME, OTHER, Site, open_site
from tests.rag.prompts.values import account, content, report

PROMPTS = "/v1/admin/prompts"
V2 = load_version("answer", "v2")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path) as running:
        yield running


class Admin:
    """Somebody with a key, and what they do with prompts."""

    def __init__(self, site: Site, headers: dict[str, str]) -> None:
        self.site, self.headers = site, headers

    async def call(self, method: str, path: str, **said: Any) -> httpx.Response:
        return await self.site.http.request(method, PROMPTS + path, headers=self.headers, **said)

    async def made(self, words: str = "Be brief.", **said: Any) -> dict[str, Any]:
        response = await self.call("POST", "/answer/versions", json=body_of(words, **said))
        assert response.status_code == 201, response.text
        return response.json()

    async def promoted(self, version: str, **said: Any) -> httpx.Response:
        body = {"version": version, **said}
        return await self.call("PUT", "/answer/labels/production", json=body)

    async def reported(self, version: str, **figures: Any) -> None:
        path = f"/answer/versions/{version}/report"
        response = await self.call("PUT", path, json=report(**figures))
        assert response.status_code == 200, response.text

    def served(self, user: str = "anna") -> str:
        return self.site.platform.prompts.choose("answer", account(user)).prompt.key


@pytest.fixture
async def admin(site: Site) -> Admin:
    return Admin(site, await site.key("user:admin"))


def body_of(words: str, **said: Any) -> dict[str, Any]:
    variants = [
        {
            "locale": each.locale,
            "audience": each.audience,
            "system": each.system,
            "context": each.context,
            "instruction": each.instruction,
            "format": each.format,
        }
        for each in content(words).variants
    ]
    return {"variants": variants, "rationale": "shorter", **said}


# --- seeing them -------------------------------------------------------------------------------


async def test_every_prompt_is_listed_with_what_is_filled_in_and_what_serves(admin: Admin) -> None:
    listed = (await admin.call("GET", "")).json()["prompts"]
    assert [each["name"] for each in listed] == list(VARIABLES)
    [answer] = [each for each in listed if each["name"] == "answer"]
    assert set(answer["variables"]) == {"marker", "evidence", "question"}
    assert answer["labels"] == [{"label": "production", "version": V2.key, "owner": "all tenants"}]


async def test_a_version_is_shown_whole(admin: Admin) -> None:
    shown = (await admin.call("GET", "/answer/versions/v2")).json()
    assert shown["key"] == V2.key
    assert shown["variants"][0]["system"] == V2.content.variants[0].system
    assert shown["created_by"] == "shipped"


async def test_two_versions_are_compared_line_by_line(admin: Admin) -> None:
    await admin.made("Say so in two words.")
    params = {"before": "v2", "after": "own-1"}
    lines = (await admin.call("GET", "/answer/diff", params=params)).json()["lines"]
    changed = [line for line in lines if line[0] in "+-" and line[:3] not in {"+++", "---"}]
    assert len(changed) == 2
    assert changed[1].endswith("Say so in two words.")


@pytest.mark.parametrize("path", ["/nothing", "/answer/versions/v9", "/nothing/rollouts/1"])
async def test_what_there_is_not_is_not_found(admin: Admin, path: str) -> None:
    assert (await admin.call("GET", path)).status_code == 404


# --- making them -------------------------------------------------------------------------------


async def test_a_new_version_serves_nobody_yet(admin: Admin) -> None:
    made = await admin.made()
    assert (made["version"], made["owner"], made["created_by"]) == ("own-1", "tenant", "user:admin")
    assert admin.served() == V2.key


async def test_a_draft_that_cannot_be_kept_says_all_that_is_amiss(admin: Admin) -> None:
    wrong = body_of("{{question}} {% raw %}")
    response = await admin.call("POST", "/answer/versions", json=wrong)
    assert response.status_code == 422
    detail = response.json()["detail"]
    assert "no placeholder" in detail and "never run" in detail


async def test_a_dry_run_keeps_nothing(admin: Admin) -> None:
    made = await admin.made(dry_run=True)
    assert made["version"] == "draft"
    shown = (await admin.call("GET", "/answer")).json()
    assert [each["version"] for each in shown["versions"]] == ["v1", "v2"]


async def test_the_same_words_again_are_a_conflict(admin: Admin) -> None:
    await admin.made()
    again = await admin.call("POST", "/answer/versions", json=body_of("Be brief."))
    assert again.status_code == 409


async def test_what_is_every_tenants_is_for_operators(site: Site) -> None:
    without = EVERY_PERMISSION - {Permission.OPERATE}
    admin = Admin(site, await site.key("user:admin", permissions=without))
    said = {"all_tenants": True}
    refused = [
        await admin.call("POST", "/answer/versions", json=body_of("Be brief.", **said)),
        await admin.promoted("v1", force=True, reason="better", **said),
        await admin.call("POST", "/answer/rollback", json={"reason": "worse", **said}),
        await admin.call("POST", "/answer/rollouts", json={"plan": "ab", "version": "v1", **said}),
        await admin.call("PUT", "/answer/versions/v1/report", json=report()),
    ]
    assert [response.status_code for response in refused] == [403] * len(refused)
    operator = Admin(site, await site.key("user:operator", tenant=OTHER))
    made = await operator.made("For all.", all_tenants=True)
    assert (made["version"], made["owner"]) == ("all-1", "all tenants")
    seen = (await admin.call("GET", "/answer/versions/all-1")).json()
    assert seen["created_by"] == "operator"


# --- promoting ---------------------------------------------------------------------------------


async def test_a_version_without_an_evaluation_is_not_promoted(admin: Admin) -> None:
    await admin.made()
    response = await admin.promoted("own-1")
    assert response.status_code == 409
    assert "no evaluation report" in response.json()["detail"]
    assert admin.served() == V2.key


async def test_a_version_that_is_no_worse_is_promoted(admin: Admin) -> None:
    await admin.made()
    await admin.reported("v2")
    await admin.reported("own-1", answer_accuracy=0.89)
    response = await admin.promoted("own-1")
    assert response.status_code == 200, response.text
    assert admin.served().startswith("answer/own-1@")
    assert admin.site.platform.prompts.choose("answer", account(tenant=OTHER)).prompt.key == V2.key


async def test_a_worse_version_is_promoted_by_force_alone_and_the_force_is_kept(
    admin: Admin,
) -> None:
    await admin.made()
    await admin.reported("v2")
    await admin.reported("own-1", answer_accuracy=0.8)
    refused = await admin.promoted("own-1")
    assert refused.status_code == 409
    assert "right answers" in refused.json()["detail"] or "accuracy" in refused.json()["detail"]
    assert (await admin.promoted("own-1", force=True)).status_code == 422
    forced = await admin.promoted("own-1", force=True, reason="the cases are old")
    assert forced.status_code == 200
    [change] = [
        each
        for each in (await admin.call("GET", "/answer")).json()["changes"]
        if each["kind"] == "promoted" and each["owner"] == "tenant"
    ]
    assert change["reason"] == "the cases are old"
    assert change["against"] == forced.json()["forced_against"] != []


async def test_one_that_showed_forbidden_documents_cannot_be_forced(admin: Admin) -> None:
    await admin.made()
    await admin.reported("v2")
    await admin.reported("own-1", forbidden_leaks=1)
    response = await admin.promoted("own-1", force=True, reason="hurry")
    assert response.status_code == 409
    assert admin.served() == V2.key


async def test_reports_on_other_cases_compare_nothing(admin: Admin) -> None:
    await admin.made()
    await admin.reported("v2")
    await admin.reported("own-1", cases=10)
    response = await admin.promoted("own-1")
    assert response.status_code == 409
    assert "must be the same" in response.json()["detail"]


async def test_another_label_needs_no_gate(admin: Admin) -> None:
    await admin.made()
    body = {"version": "own-1"}
    response = await admin.call("PUT", "/answer/labels/candidate", json=body)
    assert response.status_code == 200
    assert admin.served() == V2.key


async def test_a_rollback_holds_at_once(admin: Admin) -> None:
    made = await admin.made()
    await admin.promoted("own-1", force=True, reason="trying")
    assert admin.served() == made["key"]
    back = await admin.call("POST", "/answer/rollback", json={"reason": "it lied"})
    assert back.json() == {"gone": made["key"], "now": V2.key}
    assert admin.served() == V2.key
    assert (await admin.call("POST", "/answer/rollback", json={"reason": "x"})).status_code == 409


async def test_feedback_keeps_which_prompt_made_the_answer(site: Site) -> None:
    headers = await site.key("user:anna")
    for trace, prompt in (("trace-with-one", V2.key), ("trace-without", "")):
        trail = Trail(
            request=RequestId(trace),
            account=account(),
            use_case=UseCase.ASK,
            endpoint="/v1/ask",
            prompt=prompt,
        )
        event = event_of(trail, action="ask", decision="answered", question="Why?")
        await site.platform.audit.record(event)
    for trace in ("trace-with-one", "trace-without", "trace-of-nobody"):
        body = {"trace_id": trace, "rating": "down"}
        response = await site.http.post("/v1/feedback", json=body, headers=headers)
        assert response.status_code == 201, response.text
    rows = await site.platform.database.rows(select(FeedbackRow.trace_id, FeedbackRow.prompt))
    assert {row.trace_id: row.prompt for row in rows} == {
        "trace-with-one": V2.key,
        "trace-without": None,
        "trace-of-nobody": None,
    }


# --- trying ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"plan": "canary", "version": "own-1", "share": 0.2},
        {"plan": "shadow", "version": "own-1"},
        {"plan": "ab", "version": "own-1", "budget": 3},
        {"plan": "ab"},
        {"plan": "ab", "version": "own-1", "model": "large"},
        {"plan": "ab", "profile": {}},
        {"plan": "ab", "profile": {"nothing": 1}},
    ],
)
async def test_a_rollout_that_makes_no_sense_is_refused(admin: Admin, body: dict[str, Any]) -> None:
    await admin.made()
    response = await admin.call("POST", "/answer/rollouts", json=body)
    assert response.status_code == 422, response.text


async def test_a_rollout_splits_people_and_tells_how_both_arms_did(admin: Admin) -> None:
    made = await admin.made()
    body = {"plan": "ab", "version": "own-1"}
    begun = await admin.call("POST", "/answer/rollouts", json=body)
    assert begun.status_code == 201, begun.text
    prompts = admin.site.platform.prompts
    for number in range(40):
        chosen = prompts.choose("answer", account(f"person{number}"))
        prompts.record(Outcome(chosen=chosen, ok=True, grounded=number % 4 > 0, latency_ms=100))
    path = f"/answer/rollouts/{begun.json()['id']}"
    told = (await admin.call("GET", path)).json()
    assert told["control"]["asked"] + told["candidate"]["asked"] == 40
    assert told["control"]["ungrounded"] + told["candidate"]["ungrounded"] == 10
    assert min(told["control"]["asked"], told["candidate"]["asked"]) > 5
    assert (told["winner"], told["p_value"]) == (None, 1.0)
    stopped = await admin.call("POST", f"{path}/stop", json={"reason": "enough"})
    assert stopped.json()["rollout"]["reason"] == "enough"
    assert made["key"] not in {admin.served(f"person{number}") for number in range(40)}


@pytest.mark.parametrize(
    ("tried", "candidate"),
    [
        ({"model": "large"}, {"model": "large"}),
        (
            {"profile": {"passages": 12, "rerank": False}},
            {"settings": {"passages": 12, "rerank": False}},
        ),
    ],
)
async def test_models_and_profiles_are_rolled_out_the_same_way(
    admin: Admin, tried: dict[str, Any], candidate: dict[str, Any]
) -> None:
    body = {"plan": "ab", "share": 0.9, **tried}
    begun = await admin.call("POST", "/answer/rollouts", json=body)
    assert begun.json()["candidate"] == candidate
    prompts = admin.site.platform.prompts
    choices = [prompts.choose("answer", account(f"person{number}")) for number in range(30)]
    assert {each.prompt.key for each in choices} == {V2.key}
    got = [each for each in choices if each.is_trial]
    assert len(got) > 15
    for each in got:
        found = {"model": each.model} if each.model else {"settings": dict(each.profile)}
        assert found == candidate


async def test_a_shadow_has_a_budget_and_changes_nothing_that_people_get(admin: Admin) -> None:
    made = await admin.made()
    body = {"plan": "shadow", "version": "own-1", "share": 1.0, "budget": "2.50"}
    begun = (await admin.call("POST", "/answer/rollouts", json=body)).json()
    assert begun["budget"] == 2.5
    chosen = admin.site.platform.prompts.choose("answer", account())
    assert chosen.prompt.key == V2.key
    assert not chosen.is_trial
    assert chosen.shadow is not None
    assert chosen.shadow.prompt.key == made["key"]


async def test_another_tenant_sees_nothing_of_it(site: Site, admin: Admin) -> None:
    await admin.made("Our own words.")
    await admin.call("POST", "/answer/rollouts", json={"plan": "ab", "version": "own-1"})
    stranger = Admin(site, await site.key("user:admin", tenant=OTHER))
    assert (await stranger.call("GET", "/answer/rollouts/1")).status_code == 404
    assert (await stranger.call("GET", "/answer/versions/own-1")).status_code == 404
    shown = (await stranger.call("GET", "/answer")).json()
    assert shown["rollouts"] == []
    assert [each["version"] for each in shown["versions"]] == ["v1", "v2"]
    assert site.platform.prompts.choose("answer", account(tenant=OTHER)).assignments == ()
    assert ACME not in str(shown)
