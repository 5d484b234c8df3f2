"""The audit over HTTP: what people did is told to auditors of their tenant, and to nobody else."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import text

from api.auditing import month_before, redacted
from api.permissions import Permission
from rag.storage.moments import now
from tests.api.platform import OTHER, Site, open_site

AUDIT = "/v1/admin/audit"
READER = (Permission.SEARCH, Permission.ASK, Permission.DOCUMENTS_READ)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def test_a_search_and_an_opened_original_are_told_with_what_was_shown(site: Site) -> None:
    document = await site.publish("budget.txt", "The zinnober budget is 40.", readers=["user:anna"])
    anna = await site.key("user:anna", permissions=READER)
    found = await site.http.post("/v1/search", json={"query": "zinnober budget"}, headers=anna)
    await site.http.get(f"/v1/documents/{document}/content", headers=anna)
    auditor = await site.key("user:auditor", permissions=[Permission.AUDIT])
    entries = (await site.http.get(AUDIT, headers=auditor)).json()["entries"]
    opened, searched = entries[0], entries[1]
    assert (opened["action"], opened["principal"]) == ("document.open", "user:anna")
    assert (searched["action"], searched["question"]) == ("search", "zinnober budget")
    assert searched["trace_id"] == found.json()["trace_id"]
    assert [shown[0] for shown in searched["shown"]] == [document]
    other = await site.key("user:auditor", tenant=OTHER, permissions=[Permission.AUDIT])
    assert (await site.http.get(AUDIT, headers=other)).json()["entries"] == []


async def test_administrations_are_told_whether_they_were_done_or_refused(site: Site) -> None:
    admin = await site.key("user:admin", permissions=[Permission.ADMIN])
    reader = await site.key("user:reader", permissions=READER)
    group = {"members": [{"id": "user:9"}]}
    await site.http.put("/v1/admin/groups/group:staff", json=group, headers=admin)
    await site.http.put("/v1/admin/groups/group:staff", json=group, headers=reader)
    auditor = await site.key("user:auditor", permissions=[Permission.AUDIT])
    entries = (await site.http.get(AUDIT, headers=auditor)).json()["entries"]
    told = [(each["principal"], each["decision"], each["question"]) for each in entries]
    assert told == [
        ("user:reader", "refused:403", "group_id=group:staff"),
        ("user:admin", "done:200", "group_id=group:staff"),
    ]


async def test_nothing_is_answered_that_cannot_be_recorded(site: Site) -> None:
    await site.publish("budget.txt", "The zinnober budget is enormous.", readers=["user:anna"])
    anna = await site.key("user:anna")
    async with site.platform.database.writing() as connection:
        await connection.execute(text("ALTER TABLE audit_entries RENAME TO elsewhere"))
    found = await site.http.post("/v1/search", json={"query": "zinnober budget"}, headers=anna)
    assert found.status_code >= 500
    assert "enormous" not in found.text
    removed = await site.http.delete("/v1/admin/groups/group:none", headers=anna)
    assert removed.status_code >= 500


async def test_the_chain_is_verified_with_the_anchors_that_were_kept(site: Site) -> None:
    anna = await site.key("user:anna")
    await site.http.post("/v1/search", json={"query": "budget"}, headers=anna)
    await site.http.post("/v1/search", json={"query": "leave"}, headers=anna)
    [anchor] = (await site.http.get(f"{AUDIT}/anchor", headers=anna)).json()["anchors"]
    verified = await site.http.post(f"{AUDIT}/verify", json={"anchors": ""}, headers=anna)
    assert verified.json()["standing"] == "intact"
    # SQLite's own words, and no trigger: the tests' tables are made from the metadata.
    async with site.platform.database.writing() as connection:
        await connection.execute(text("UPDATE audit_entries SET action = 'x' WHERE sequence = 1"))
    broken = await site.http.post(
        f"{AUDIT}/verify", json={"anchors": str(anchor).replace("'", '"')}, headers=anna
    )
    assert (broken.json()["standing"], broken.json()["broken_at"]) == ("broken", 1)
    nonsense = await site.http.post(f"{AUDIT}/verify", json={"anchors": "x"}, headers=anna)
    assert nonsense.status_code == 422


async def test_an_erased_person_cannot_be_read_and_the_erasure_is_told(site: Site) -> None:
    anna = await site.key("user:anna", permissions=READER)
    await site.http.post("/v1/search", json={"query": "my secret wish"}, headers=anna)
    auditor = await site.key("user:auditor", permissions=[Permission.AUDIT])
    erased = await site.http.delete(f"{AUDIT}/persons/user:anna", headers=auditor)
    assert erased.status_code == 204
    listed = await site.http.get(AUDIT, headers=auditor)
    assert "secret wish" not in listed.text
    by_action = {each["action"]: each for each in listed.json()["entries"]}
    assert by_action["search"]["principal"] == "(erased)"
    assert by_action["audit.erase"]["principal"] == "user:auditor"


def test_redacted_texts_have_neither_secrets_nor_personal_data() -> None:
    written = (
        "Mail anna.muster@example.com, password = 'hunter2-Xy77!', IBAN DE89370400440532013000"
    )
    kept = redacted(written)
    assert "anna.muster" not in kept
    assert "hunter2" not in kept
    assert "DE8937" not in kept


def test_months_are_counted_back_over_the_turn_of_years() -> None:
    moment = now().replace(year=2026, month=2, day=1)
    assert [month_before(moment, months) for months in (1, 2, 14)] == [
        "2026-01",
        "2025-12",
        "2024-12",
    ]
