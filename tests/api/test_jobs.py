"""The job ledger over HTTP: why a job waits, what failed, all of a kind again, and what is measured."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.permissions import Permission
from rag.storage.jobs.leases import Failure, Leases
from rag.storage.jobs.records import JobKind, JobState, NewJob
from rag.storage.jobs.workers import WorkDone, Worker
from tests.api.platform import ACME, OTHER, SOURCE, Site, open_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path) as running:
        yield running


@pytest.fixture
async def me(site: Site) -> dict[str, str]:
    return await site.key("user:admin", permissions=[Permission.ADMIN])


def upsert(uri: str) -> NewJob:
    return NewJob(tenant=ACME, source=SOURCE, kind=JobKind.UPSERT, uri=uri)


async def fail(site: Site, uri: str, error_class: str) -> str:
    [job_id] = await site.platform.jobs.enqueue([upsert(uri)])
    leases = Leases(site.platform.database)
    job = await leases.claim("worker", lease=timedelta(minutes=1))
    assert job is not None
    await leases.died(job, Failure(error_class, f"{uri} is wrong"))
    return job_id


async def get(site: Site, me: dict[str, str], path: str) -> Any:
    response = await site.http.get(path, headers=me)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_job_tells_why_it_waits_and_since_when(site: Site, me: dict[str, str]) -> None:
    ids = await site.platform.jobs.enqueue([upsert("a"), upsert("b")])
    for job_id in ids:
        shown = await get(site, me, f"/v1/admin/jobs/{job_id}")
        assert (shown["state"], shown["urgency"]) == ("queued", "routine")
        assert (shown["cause"], shown["age_s"] >= 0) == ("no_worker", True)
        assert shown["why"] == "nobody who runs jobs was heard of in the last minute"
    body = {"state": "paused"}
    await site.http.patch(f"/v1/admin/connectors/{SOURCE}", json=body, headers=me)
    [first, _] = (await get(site, me, "/v1/admin/jobs"))["jobs"]
    assert (first["cause"], "is paused" in first["why"]) == ("paused", True)


async def test_failures_are_shown_by_kind_and_retried_by_kind(
    site: Site, me: dict[str, str]
) -> None:
    for uri in ("a", "b"):
        await fail(site, uri, "SourceUnavailable")
    await fail(site, "c", "ZeroDivisionError")
    groups = (await get(site, me, "/v1/admin/jobs/failures"))["failures"]
    assert [(each["error_class"], each["jobs"]) for each in groups] == [
        ("SourceUnavailable", 2),
        ("ZeroDivisionError", 1),
    ]
    assert groups[1]["example_error"] == "c is wrong"
    listed = await get(site, me, "/v1/admin/jobs?state=dead&error_class=ZeroDivisionError")
    assert [job["uri"] for job in listed["jobs"]] == ["c"]

    stranger = await site.key("user:admin", permissions=[Permission.ADMIN], tenant=OTHER)
    retry = "/v1/admin/jobs/retry"
    nothing = await site.http.post(retry, json={}, headers=stranger)
    assert (nothing.status_code, nothing.json()) == (202, {"retried": 0})
    body = {"error_class": "SourceUnavailable", "connector": SOURCE, "state": "dead"}
    assert (await site.http.post(retry, json=body, headers=me)).json() == {"retried": 2}
    assert (await site.http.post(retry, json={}, headers=me)).json() == {"retried": 1}
    assert (await site.platform.jobs.counts(ACME))[JobState.QUEUED] == 3
    assert (await site.http.post(retry, json={"state": "done"}, headers=me)).status_code == 422


async def test_a_job_that_a_later_one_overtook_is_not_retried(
    site: Site, me: dict[str, str]
) -> None:
    overtaken = await fail(site, "a", "SourceUnavailable")
    await fail(site, "a", "SourceUnavailable")
    response = await site.http.post(f"/v1/admin/jobs/{overtaken}/retry", headers=me)
    assert response.status_code == 422
    assert "later job" in response.json()["detail"]


async def test_the_share_and_the_limit_of_a_connector_are_set_apart_from_each_other(
    site: Site, me: dict[str, str]
) -> None:
    path = f"/v1/admin/connectors/{SOURCE}"

    async def change(body: dict[str, Any]) -> tuple[Any, Any]:
        shown = (await site.http.patch(path, json=body, headers=me)).json()
        return shown["weight"], shown["max_running"]

    assert await change({"max_running": 2}) == (1.0, 2)
    assert await change({"weight": 3}) == (3.0, 2)
    assert await change({"name": "Another"}) == (3.0, 2)
    assert await change({"max_running": None}) == (3.0, None)
    for body in ({"weight": 0}, {"weight": -1}, {"max_running": 0}):
        refused = await site.http.patch(path, json=body, headers=me)
        assert refused.status_code == 422


async def test_what_an_autoscaler_asks_is_measured_without_naming_anyone(site: Site) -> None:
    await site.platform.jobs.enqueue([upsert("file zinnober")])
    moment = datetime.now(UTC)
    worker = Worker(
        owner="host:1:zinnober", started_at=moment, slots=8, running=3, resident_bytes=5 * 10**8,
        paused=None, did=WorkDone(done=7, retried=2, claims=4, claim_seconds=0.5),
    )  # fmt: skip
    await site.platform.workers.report(worker)
    text = (await site.http.get("/metrics")).text
    assert 'rag_jobs_pending{state="queued",urgency="routine"} 1.0' in text
    assert 'rag_job_attempts_total{outcome="done"} 7.0' in text
    assert 'rag_worker_slots{state="free"} 5.0' in text
    assert "rag_job_claim_seconds_total 0.5" in text
    assert "zinnober" not in text and SOURCE not in text

    def oldest(exposed: str) -> float:
        [line] = [each for each in exposed.splitlines() if each.startswith("rag_jobs_oldest")]
        return float(line.split()[1])

    assert 0 < oldest(text) < 60
    await site.platform.workers.report(replace(worker, paused="memory: much"))
    body = {"state": "paused"}
    admin = await site.key("user:admin", permissions=[Permission.ADMIN])
    await site.http.patch(f"/v1/admin/connectors/{SOURCE}", json=body, headers=admin)
    later = (await site.http.get("/metrics")).text
    assert oldest(later) == 0, "nobody should start workers for what is paused"
    assert 'rag_jobs_pending{state="paused",urgency="routine"} 1.0' in later
    assert 'rag_workers{state="paused"} 1.0' in later
