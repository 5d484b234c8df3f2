"""What those who look after a tenant can see and do."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.permissions import Permission
from rag.errors import ParseError
from rag.storage.jobs.leases import Failure, Leases
from rag.storage.jobs.records import JobId, JobKind, JobState, NewJob
from tests.api.platform import ACME, SOURCE, Site, open_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path) as running:
        yield running


@pytest.fixture
async def me(site: Site) -> dict[str, str]:
    return await site.key("user:admin")


async def state_of(site: Site, job: str) -> tuple[JobKind, JobState]:
    found = await site.platform.jobs.get(ACME, JobId(job))
    return found.kind, found.state


# --- connectors --------------------------------------------------------------------------------


async def test_a_folder_is_registered_checked_paused_and_synchronised(
    site: Site, me: dict[str, str]
) -> None:
    folder = site.tmp / "share"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    (folder / "note.txt").write_text("A note.")
    body = {"kind": "filesystem", "name": "share", "settings": {"root": str(folder)}}
    made = await site.http.post("/v1/admin/connectors", json=body, headers=me)
    assert made.status_code == 201, made.text
    path = f"/v1/admin/connectors/{made.json()['id']}"
    check = (await site.http.post(f"{path}/test", headers=me)).json()
    assert (check["ok"], check["listed"], check["problems"]) == (True, 1, [])
    changed = await site.http.patch(path, json={"name": "files", "state": "paused"}, headers=me)
    assert (changed.json()["name"], changed.json()["state"]) == ("files", "paused")
    accepted = await site.http.post(f"{path}/sync", headers=me)
    assert await state_of(site, accepted.json()["job_id"]) == (JobKind.SYNC, JobState.QUEUED)
    status = (await site.http.get(f"{path}/status", headers=me)).json()
    assert status["state"] == "paused"
    assert status["last_sync_at"] is None
    listed = (await site.http.get("/v1/admin/connectors", headers=me)).json()["connectors"]
    assert {connector["name"] for connector in listed} == {"files", "handbook"}


async def test_a_source_that_cannot_be_read_says_why(site: Site, me: dict[str, str]) -> None:
    body = {"kind": "filesystem", "name": "n", "settings": {"root": str(site.tmp / "nowhere")}}
    made = await site.http.post("/v1/admin/connectors", json=body, headers=me)
    check = await site.http.post(f"/v1/admin/connectors/{made.json()['id']}/test", headers=me)
    assert check.json()["ok"] is False
    assert check.json()["detail"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"kind": "telepathy", "name": "n", "settings": {}}, "filesystem"),
        ({"kind": "filesystem", "name": "n", "settings": {}}, "root"),
        ({"kind": "filesystem", "name": "n", "settings": {"root": "relative"}}, "absolute"),
        ({"kind": "filesystem", "name": "n", "settings": {"root": "/x", "rood": 1}}, "rood"),
        ({"kind": "filesystem", "name": "n", "settings": {"root": "/x\u0000"}}, "root"),
        ({"kind": "filesystem", "name": "", "settings": {"root": "/x"}}, "name"),
        ({"kind": "filesystem", "settings": {"root": "/x"}}, "name"),
        ({"kind": "push", "name": "n", "settings": {}}, "push"),
    ],
    ids=lambda value: ascii(value)[:70],
)
async def test_a_connector_that_cannot_be_built_is_not_registered(
    body: dict[str, Any], told: str, site: Site, me: dict[str, str]
) -> None:
    response = await site.http.post("/v1/admin/connectors", json=body, headers=me)
    assert response.status_code == 422
    assert told in response.json()["detail"]


async def test_the_platforms_own_data_is_no_source(site: Site, me: dict[str, str]) -> None:
    own = site.platform.settings.data_dir
    for root in (own, own / "originals", own.parent):
        body = {"kind": "filesystem", "name": "n", "settings": {"root": str(root)}}
        response = await site.http.post("/v1/admin/connectors", json=body, headers=me)
        assert response.status_code == 422, root
        assert "own data" in response.json()["detail"]


async def test_an_operator_may_say_which_folders_are_sources(tmp_path: Path) -> None:
    settings = {"ingestion": {"filesystem_roots": [str(tmp_path / "share")]}}
    (tmp_path / "share" / "in").mkdir(parents=True)
    (tmp_path / "share" / "link").symlink_to("/etc")
    async with open_site(tmp_path, settings=settings) as site:
        me = await site.key("user:admin")
        for root, status in (("share/in", 201), ("share/../secret", 422), ("share/link", 422)):
            body = {"kind": "filesystem", "name": "n", "settings": {"root": str(tmp_path / root)}}
            response = await site.http.post("/v1/admin/connectors", json=body, headers=me)
            assert response.status_code == status, root


async def test_a_removed_connector_is_gone_and_its_documents_go(
    site: Site, me: dict[str, str]
) -> None:
    await site.publish("file:///a", "a", readers=["everyone"])
    path = f"/v1/admin/connectors/{SOURCE}"
    assert (await site.http.delete(path, headers=me)).json() == {"documents": 1}
    assert (await site.http.get(path, headers=me)).status_code == 404
    assert (await site.http.post(f"{path}/sync", headers=me)).status_code == 404
    assert (await site.http.get("/v1/admin/connectors", headers=me)).json() == {"connectors": []}
    [job] = (await site.http.get("/v1/admin/jobs", headers=me)).json()["jobs"]
    assert (job["kind"], job["uri"]) == ("delete", "file:///a")


async def test_a_git_repository_is_registered_and_a_path_is_held_to_the_same_folders(
    site: Site, me: dict[str, str]
) -> None:
    for settings, told in (
        ({"url": "https://example.org/handbook.git", "branch": "main", "folder": "docs"}, None),
        ({"root": str(site.tmp / "repository")}, None),
        ({"root": str(site.platform.settings.data_dir)}, "own data"),
        ({"url": "https://u:hunter2@example.org/x.git"}, "no password"),
        ({"url": "file:///etc"}, "https"),
        ({"url": "ext::sh -c id"}, "url"),
        ({"url": "https://example.org/x.git", "root": "/x"}, "either"),
        ({"root": "/x", "branch": "--upload-pack=x"}, "branch"),
        ({"root": "/x", "folder": "../y"}, "folder"),
    ):
        body = {"kind": "git", "name": "n", "settings": settings}
        response = await site.http.post("/v1/admin/connectors", json=body, headers=me)
        assert response.status_code == (201 if told is None else 422), response.text
        assert told is None or told in response.json()["detail"]
        assert "hunter2" not in response.text or told is None


async def test_how_a_source_is_followed_is_set_with_it(site: Site, me: dict[str, str]) -> None:
    folder = site.tmp / "share"
    folder.mkdir()
    body = {
        "kind": "filesystem",
        "name": "share",
        "settings": {"root": str(folder), "sync_every": "15m", "max_deleted_share": 0.5},
    }
    made = await site.http.post("/v1/admin/connectors", json=body, headers=me)
    assert made.status_code == 201, made.text
    assert made.json()["held_back_deletions"] == 0
    path = f"/v1/admin/connectors/{made.json()['id']}"
    status = (await site.http.get(f"{path}/status", headers=me)).json()
    assert status["next_sync_at"] is not None
    assert (status["found"], status["jobs"]["per_second"]) == (None, None)
    wrong = {"settings": {"root": str(folder), "sync_every": "often"}}
    assert (await site.http.patch(path, json=wrong, headers=me)).status_code == 422


async def test_held_back_deletions_are_confirmed_with_the_next_sync(
    site: Site, me: dict[str, str]
) -> None:
    path = f"/v1/admin/connectors/{SOURCE}/sync"
    for body, confirmed in ((None, False), ({"confirm_deletions": True}, True)):
        accepted = await site.http.post(path, json=body, headers=me)
        job = await site.platform.jobs.get(ACME, JobId(accepted.json()["job_id"]))
        assert bool(job.payload.get("confirm_deletions")) is confirmed
    refused = await site.http.post(path, json={"confirm_deletions": "perhaps"}, headers=me)
    assert refused.status_code == 422


async def test_what_apps_push_is_not_synchronised(site: Site, me: dict[str, str]) -> None:
    pushed = await site.http.post("/v1/documents", json={"uri": "a:b", "text": "x"}, headers=me)
    job = await site.platform.jobs.get(ACME, JobId(pushed.json()["job_id"]))
    response = await site.http.post(f"/v1/admin/connectors/{job.source}/sync", headers=me)
    assert response.status_code == 422


# --- jobs --------------------------------------------------------------------------------------


async def test_a_failed_job_is_seen_with_its_reason_and_can_be_tried_again(
    site: Site, me: dict[str, str]
) -> None:
    leases = Leases(site.platform.database)
    [job_id] = await site.platform.jobs.enqueue(
        [NewJob(tenant=ACME, source=SOURCE, kind=JobKind.UPSERT, uri="file:///broken.pdf")]
    )
    claimed = await leases.claim("worker", lease=timedelta(minutes=1))
    assert claimed is not None
    await leases.failed(claimed, Failure(ParseError.__name__, "no page can be read"))
    listed = await site.http.get("/v1/admin/jobs", params={"state": "failed"}, headers=me)
    [job] = listed.json()["jobs"]
    assert (job["id"], job["error_class"], job["error"]) == (
        job_id,
        "ParseError",
        "no page can be read",
    )
    assert listed.json()["counts"] == {"failed": 1}
    again = await site.http.post(f"/v1/admin/jobs/{job_id}/retry", headers=me)
    assert await state_of(site, again.json()["job_id"]) == (JobKind.UPSERT, JobState.QUEUED)


async def test_jobs_are_listed_page_by_page(site: Site, me: dict[str, str]) -> None:
    await site.platform.jobs.enqueue(
        [
            NewJob(tenant=ACME, source=SOURCE, kind=JobKind.UPSERT, uri=f"file:///{number}")
            for number in range(5)
        ]
    )
    seen: set[str] = set()
    for offset in (0, 2, 4):
        page = await site.http.get(
            "/v1/admin/jobs", params={"limit": 2, "offset": offset}, headers=me
        )
        seen |= {job["id"] for job in page.json()["jobs"]}
    assert len(seen) == 5


@pytest.mark.parametrize("params", [{"state": "asleep"}, {"limit": 0}, {"offset": -1}])
async def test_a_list_nobody_can_give_is_refused(
    params: dict[str, Any], site: Site, me: dict[str, str]
) -> None:
    response = await site.http.get("/v1/admin/jobs", params=params, headers=me)
    assert response.status_code == 422


# --- indexing anew -----------------------------------------------------------------------------


async def test_a_dry_run_tells_the_cost_and_does_nothing(site: Site, me: dict[str, str]) -> None:
    await site.publish("file:///a", "abc", readers=["everyone"], metadata={"department": "x"})
    await site.publish("file:///b", "defg", readers=["everyone"], metadata={"department": "y"})
    for body, cost in (
        ({"all": True}, (2, 7, 2)),
        ({"filters": {"department": "y"}}, (1, 4, 1)),
        ({"connector": SOURCE}, (2, 7, 2)),
    ):
        response = await site.http.post(
            "/v1/admin/reindex", json=body | {"dry_run": True}, headers=me
        )
        told = response.json()
        assert (told["documents"], told["bytes"], told["chunks"]) == cost
        assert (told["tokens"], told["seconds"], told["cost"]) == (cost[1] // 4, None, 0)
        assert told["job_ids"] == []
    assert not await site.platform.jobs.counts()


async def test_what_a_filter_names_is_indexed_anew(site: Site, me: dict[str, str]) -> None:
    await site.publish("file:///a", "abc", readers=["everyone"], metadata={"department": "x"})
    await site.publish("file:///b", "defg", readers=["everyone"], metadata={"department": "y"})
    body = {"filters": {"department": ["y", "z"]}}
    response = await site.http.post("/v1/admin/reindex", json=body, headers=me)
    [job_id] = response.json()["job_ids"]
    job = await site.platform.jobs.get(ACME, JobId(job_id))
    assert (job.kind, job.uri) == (JobKind.REINDEX, "file:///b")


async def test_all_is_one_job_a_source(site: Site, me: dict[str, str]) -> None:
    response = await site.http.post("/v1/admin/reindex", json={"all": True}, headers=me)
    [job_id] = response.json()["job_ids"]
    job = await site.platform.jobs.get(ACME, JobId(job_id))
    assert (job.kind, job.uri, job.source) == (JobKind.REINDEX, None, SOURCE)


@pytest.mark.parametrize("body", [{}, {"all": False}, {"all": True, "connector": SOURCE}])
async def test_indexing_anew_must_be_told_what(
    body: dict[str, Any], site: Site, me: dict[str, str]
) -> None:
    response = await site.http.post("/v1/admin/reindex", json=body, headers=me)
    assert response.status_code == 422


# --- keys and access ---------------------------------------------------------------------------


async def test_a_key_made_over_the_api_works_until_it_is_revoked(
    site: Site, me: dict[str, str]
) -> None:
    body = {
        "name": "search box",
        "principal": "app:intranet",
        "groups": ["group:staff"],
        "permissions": ["search", "ask"],
    }
    made = (await site.http.post("/v1/admin/keys", json=body, headers=me)).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert (await site.http.get("/v1/models", headers=headers)).status_code == 200
    listed = (await site.http.get("/v1/admin/keys", headers=me)).text
    assert made["key"]["id"] in listed
    assert made["token"].rpartition("_")[2] not in listed
    gone = await site.http.delete(f"/v1/admin/keys/{made['key']['id']}", headers=me)
    assert gone.status_code == 204
    assert (await site.http.get("/v1/models", headers=headers)).status_code == 401


async def test_nobody_gives_away_what_they_do_not_have(site: Site) -> None:
    me = await site.key("user:admin", permissions=[Permission.ADMIN, Permission.SEARCH])
    body = {"name": "n", "principal": "user:1", "permissions": ["search", "impersonate"]}
    response = await site.http.post("/v1/admin/keys", json=body, headers=me)
    assert response.status_code == 403
    assert "impersonate" in response.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"principal": "everyone"},
        {"principal": "group:finance"},
        {"principal": "anna"},
        {"groups": ["finance"]},
        {"permissions": []},
        {"permissions": ["everything"]},
        {"expires_at": "tomorrow"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"expires_at": "2026-01-01T00:00:00Z"},
    ],
    ids=str,
)
async def test_a_key_that_makes_no_sense_is_not_made(
    change: dict[str, Any], site: Site, me: dict[str, str]
) -> None:
    body = {"name": "n", "principal": "user:1", "permissions": ["search"]} | change
    response = await site.http.post("/v1/admin/keys", json=body, headers=me)
    assert response.status_code == 422, response.text


@pytest.mark.parametrize(
    ("user", "groups", "readable", "reason"),
    [
        ("user:1", [], True, "an identity of every clause"),
        ("user:2", ["group:staff"], True, "an identity of every clause"),
        ("user:2", [], False, "none of the identities"),
        ("user:1", ["group:rival"], False, "denies"),
    ],
)
async def test_access_is_explained_without_content(
    *, user: str, groups: list[str], readable: bool, reason: str, site: Site, me: dict[str, str]
) -> None:
    document = await site.publish(
        "file:///a", "zinnober", readers=["user:1", "group:staff"], denied=["group:rival"]
    )
    params = {"user": user, "document": document, "groups": groups}
    response = await site.http.get("/v1/admin/access/explain", params=params, headers=me)
    told = response.json()
    assert told["readable"] is readable
    assert reason in told["reason"]
    assert "zinnober" not in response.text


async def test_an_administrator_reads_no_document_by_that(site: Site, me: dict[str, str]) -> None:
    document = await site.publish("file:///a", "x", readers=["user:1"])
    assert (await site.http.get(f"/v1/documents/{document}", headers=me)).status_code == 404
