"""Quarantine through the API, on the platform as it is set up: kept back, seen, let out, found."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rag.storage.jobs.records import JobId, JobState
from tests.acceptance.site import TENANT, Site, open_site
from tests.ingestion.validation.inputs import AWS, GARBLED
from tests.syncing import end_of, sync

pytestmark = pytest.mark.asyncio(loop_scope="module")

LETTER = f"The boiler of building seven is serviced by Harbour Heating. Their portal key is {AWS}."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    root = tmp_path_factory.mktemp("quarantine")
    folder = root / "documents"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    (folder / "boiler.txt").write_text("The boiler of building seven is painted green.")
    async with open_site(root, folder) as site:
        yield site


async def waiting(site: Site, **params: str) -> list[dict[str, Any]]:
    response = await site.http.get("/v1/admin/quarantine", params=params)
    assert response.status_code == 200, response.text
    return response.json()["documents"]


async def released(site: Site, document: str, accept: str) -> JobState:
    response = await site.http.post(
        f"/v1/admin/quarantine/{document}/release", json={"accept": accept}
    )
    assert response.status_code == 202, response.text
    return (await end_of(site.platform, site.source, JobId(response.json()["job_id"]))).state


async def test_a_pushed_file_that_is_garbled_waits_until_it_is_released(site: Site) -> None:
    text = f"{GARBLED} zirkonium {GARBLED}"
    sent = {"uri": "scan:17", "title": "Scan 17", "text": text, "readers": ["everyone"]}
    accepted = await site.post("/v1/documents", sent)
    job = await end_of(site.platform, site.source, JobId(accepted.json()["job_id"]))
    assert (job.state, job.error_class) == (JobState.FAILED, "Quarantined")

    [found] = await waiting(site, reason="garbled")
    assert (found["uri"], found["last_version_shown"]) == ("scan:17", False)
    assert found["explanation"]
    document = found["document_id"]
    assert (await site.http.get(f"/v1/documents/{document}")).status_code == 404
    assert not any("zirkonium" in hit for hit in await site.texts_found("zirkonium"))

    assert await released(site, document, "version") is JobState.DONE
    assert await waiting(site) == []
    assert any("zirkonium" in hit for hit in await site.texts_found("zirkonium"))
    listed = await site.http.get(f"/v1/admin/documents/{document}/validations")
    newest, first = listed.json()["validations"]
    assert (first["standing"], first["reason"]) == ("quarantined", "garbled")
    assert newest["standing"] == "accepted_with_warnings"
    assert newest["content_hash"] == first["content_hash"]
    assert len(newest["verdicts"]) > 10


async def test_a_source_says_what_becomes_of_its_secrets(site: Site, tmp_path: Path) -> None:
    (tmp_path / ".access.yaml").write_text("readers: [everyone]\n")
    (tmp_path / "letter.txt").write_text(LETTER)
    settings: dict[str, Any] = {"root": str(tmp_path), "validation": {"secrets": "quarantine"}}
    made = await site.post(
        "/v1/admin/connectors", {"kind": "filesystem", "name": "letters", "settings": settings}
    )
    assert made.status_code == 201, made.text
    source = await site.platform.sources.get(TENANT, made.json()["id"])
    await sync(site.platform, source)
    [found] = await waiting(site, connector=source.id)
    assert found["reason"] == "secrets" and AWS not in str(found)
    assert not any("Harbour" in hit for hit in await site.texts_found("Harbour Heating"))

    settings["validation"] = {"secrets": "mask"}
    path = f"/v1/admin/connectors/{source.id}"
    assert (await site.http.patch(path, json={"settings": settings})).status_code == 200
    assert await released(site, found["document_id"], "nothing") is JobState.DONE
    hits = await site.texts_found("Harbour Heating")
    assert any("portal key is [aws_key]" in hit for hit in hits)
    assert not any(AWS in hit for hit in hits)
    original = await site.http.get(f"/v1/documents/{found['document_id']}/content")
    assert original.status_code == 404 and "masked" in original.json()["detail"]


@pytest.mark.parametrize(
    ("policy", "named"), [({"secret": "mask"}, "secret"), ({"garbled": "mask"}, "garbled")]
)
async def test_a_policy_that_makes_no_sense_is_refused(
    site: Site, tmp_path: Path, policy: dict[str, str], named: str
) -> None:
    settings = {"root": str(tmp_path), "validation": policy}
    response = await site.post(
        "/v1/admin/connectors", {"kind": "filesystem", "name": "x", "settings": settings}
    )
    assert response.status_code == 422
    assert named in response.json()["detail"]


async def test_what_is_not_in_quarantine_cannot_be_released(site: Site) -> None:
    [document] = (await site.documents()).values()
    response = await site.http.post(f"/v1/admin/quarantine/{document.ref.id}/release", json={})
    assert response.status_code == 404
    assert (await site.http.get("/v1/admin/documents/none/validations")).status_code == 404
