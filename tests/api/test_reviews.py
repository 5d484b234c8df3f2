"""The queue of reviews over HTTP: for auditors of the tenant, and nobody else."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from api.permissions import EVERY_PERMISSION, Permission
from rag.access import PrincipalId
from rag.audit import event_of
from rag.trail import Account, GuardVerdict, RequestId, Trail, UseCase
from tests.api.platform import ACME, OTHER, Site, open_site

REVIEWS = "/v1/admin/reviews"
SECRET = "Is the zinnober key rotated?"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def flag(site: Site, *checks: str, trace: str = "trace-1") -> None:
    trail = Trail(
        request=RequestId(trace),
        account=Account(tenant=ACME, user=PrincipalId("user:anna")),
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
        verdicts=[
            GuardVerdict(check=check, direction="input", standing="flagged", score=0.9)
            for check in checks
        ],
    )
    told = event_of(trail, action="ask", decision="answered", question=SECRET)
    await site.platform.audit.record(told)


async def auditor(site: Site) -> dict[str, str]:
    return await site.key("user:auditor", permissions=[Permission.AUDIT])


async def test_what_was_flagged_is_listed_read_and_decided(site: Site) -> None:
    await flag(site, "secrets", "toxicity")
    headers = await auditor(site)
    listed = (await site.http.get(REVIEWS, headers=headers)).json()["reviews"]
    assert [(each["review_id"], each["check"]) for each in listed] == [
        ("1.2", "toxicity"),
        ("1.1", "secrets"),
    ]
    assert "zinnober" not in str(listed)
    shown = (await site.http.get(f"{REVIEWS}/1.1", headers=headers)).json()
    assert (shown["review"]["state"], shown["entry"]["question"]) == ("open", SECRET)
    assert shown["entry"]["principal"] == "user:anna"

    said = {"decision": "dismissed", "note": "Mail ops@example.com: no secret."}
    path = f"{REVIEWS}/1.1/decision"
    decided = (await site.http.post(path, json=said, headers=headers)).json()
    assert (decided["state"], decided["decided_by"]) == ("dismissed", "user:auditor")
    assert decided["note"].endswith("no secret.")
    assert "ops@example.com" not in decided["note"]
    again = await site.http.post(path, json=said, headers=headers)
    assert (again.status_code, again.json()) == (200, decided)
    conflict = await site.http.post(path, json={"decision": "confirmed"}, headers=headers)
    assert conflict.status_code == 409
    assert "dismissed already" in conflict.json()["detail"]

    waiting = await site.http.get(f"{REVIEWS}?state=open", headers=headers)
    assert [each["review_id"] for each in waiting.json()["reviews"]] == ["1.2"]
    entries = (await site.http.get("/v1/admin/audit", headers=headers)).json()["entries"]
    told = [(each["action"], each["decision"], each["question"]) for each in entries]
    assert ("review.decide", "dismissed", "review_id=1.1") in told
    assert ("POST /v1/admin/reviews/{review_id}/decision", "refused:409", "review_id=1.1") in told


async def test_pages_follow_one_another_by_the_last_id(site: Site) -> None:
    for number in range(1, 6):
        await flag(site, "secrets", trace=f"trace-{number}")
    headers = await auditor(site)
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while page := (await site.http.get(REVIEWS, params=params, headers=headers)).json()["reviews"]:
        seen += [each["review_id"] for each in page]
        params["before"] = seen[-1]
    assert seen == ["5.1", "4.1", "3.1", "2.1", "1.1"]


async def test_nobody_else_may_see_or_decide(site: Site) -> None:
    await flag(site, "secrets")
    admin = await site.key("user:admin", permissions=EVERY_PERMISSION - {Permission.AUDIT})
    stranger = await site.key("user:auditor", tenant=OTHER, permissions=[Permission.AUDIT])
    said = {"decision": "confirmed"}
    for headers, status in ((admin, 403), (stranger, 404)):
        shown = await site.http.get(f"{REVIEWS}/1.1", headers=headers)
        decided = await site.http.post(f"{REVIEWS}/1.1/decision", json=said, headers=headers)
        assert (shown.status_code, decided.status_code) == (status, status)
        assert "zinnober" not in shown.text
    listed = await site.http.get(REVIEWS, headers=stranger)
    assert listed.json()["reviews"] == []
    waiting = await site.http.get(f"{REVIEWS}?state=open", headers=await auditor(site))
    assert len(waiting.json()["reviews"]) == 1


async def test_prometheus_is_told_how_many_wait(site: Site) -> None:
    await flag(site, "secrets", "toxicity")
    await flag(site, "secrets", trace="trace-2")
    said = {"decision": "confirmed"}
    await site.http.post(f"{REVIEWS}/1.2/decision", json=said, headers=await auditor(site))
    told = (await site.http.get("/metrics")).text
    assert 'rag_reviews_open{check="secrets"} 2.0' in told
    assert 'rag_reviews_open{check="toxicity"}' not in told


@pytest.mark.parametrize("wrong", ["x", "1", "1.0", "1.1.1"])
async def test_what_cannot_be_an_id_is_said_to_be_none(site: Site, wrong: str) -> None:
    headers = await auditor(site)
    assert (await site.http.get(f"{REVIEWS}/{wrong}", headers=headers)).status_code == 422
    assert (await site.http.get(f"{REVIEWS}?before={wrong}", headers=headers)).status_code == 422
