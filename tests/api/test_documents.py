"""Documents and their originals, and what apps push in."""

import base64
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from rag.access import AccessList
from rag.storage.jobs.records import Job, JobId, JobKind
from rag.storage.records import access_of_json
from tests.api.platform import ACME, OTHER, SOURCE, Site, open_site

MAX_BYTES = 4_096


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    settings = {"ingestion": {"max_bytes": MAX_BYTES}, "server": {"upload_overhead_bytes": 2_048}}
    async with open_site(tmp_path, settings=settings) as running:
        yield running


@pytest.fixture
async def me(site: Site) -> dict[str, str]:
    return await site.key("user:1042", groups=["group:finance"])


async def job_of(site: Site, response: Any) -> Job:
    assert response.status_code == 202, response.text
    return await site.platform.jobs.get(ACME, JobId(response.json()["job_id"]))


async def access_in(site: Site, response: Any) -> AccessList:
    return access_of_json((await job_of(site, response)).payload["access"])


async def test_a_reader_sees_what_is_known_of_a_document(site: Site, me: dict[str, str]) -> None:
    document = await site.publish(
        "file:///a.txt", "text", readers=["group:finance"], metadata={"department": "finance"}
    )
    body = (await site.http.get(f"/v1/documents/{document}", headers=me)).json()
    assert body["uri"] == "file:///a.txt"
    assert body["connector"] == SOURCE
    assert body["metadata"] == {"department": "finance"}
    assert body["chunks"] == 1
    assert "readers" not in body


async def test_a_denied_reader_sees_nothing(site: Site, me: dict[str, str]) -> None:
    document = await site.publish("file:///a", "text", readers=["everyone"], denied=["user:1042"])
    assert (await site.http.get(f"/v1/documents/{document}", headers=me)).status_code == 404


async def test_the_original_comes_back_byte_for_byte(site: Site, me: dict[str, str]) -> None:
    body = bytes(range(256))
    document = await site.publish("file:///a.bin", "t", readers=["everyone"], body=body)
    response = await site.http.get(f"/v1/documents/{document}/content", headers=me)
    assert response.content == body


@pytest.mark.parametrize(
    ("media_type", "shown", "sent"),
    [
        ("application/pdf", "inline", "application/pdf"),
        ("text/plain; charset=utf-8", "inline", "text/plain"),
        ("text/html", "attachment", "text/html"),
        ("image/svg+xml", "attachment", "image/svg+xml"),
        ("application/xhtml+xml", "attachment", "application/xhtml+xml"),
        ("TEXT/HTML", "attachment", "text/html"),
        ("text/html\r\nset-cookie: a=b", "attachment", "application/octet-stream"),
        ("", "attachment", "application/octet-stream"),
    ],
)
async def test_no_original_runs_in_our_origin(
    media_type: str, shown: str, sent: str, site: Site, me: dict[str, str]
) -> None:
    document = await site.publish(
        'file:///x/Preis"liste%0d%0a für ü.html', "t", readers=["everyone"], media_type=media_type
    )
    headers = (await site.http.get(f"/v1/documents/{document}/content", headers=me)).headers
    assert headers["content-type"] == sent
    assert headers["content-disposition"].startswith(f"{shown}; filename*=UTF-8''Preis%22liste")
    assert "\n" not in headers["content-disposition"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox;")
    assert "set-cookie" not in headers
    assert headers["cache-control"] == "no-store"


async def test_a_large_original_is_sent_in_pieces_and_in_ranges_and_is_as_safe(
    site: Site, me: dict[str, str]
) -> None:
    body = bytes(range(256)) * 8192
    document = await site.publish("file:///x/a.html", "t", readers=["everyone"], body=body,
                                  media_type="text/html")  # fmt: skip
    whole = await site.http.get(f"/v1/documents/{document}/content", headers=me)
    assert (whole.status_code, whole.content) == (200, body)
    wanted = me | {"range": "bytes=1000000-1000009"}
    part = await site.http.get(f"/v1/documents/{document}/content", headers=wanted)
    assert (part.status_code, part.content) == (206, body[1_000_000:1_000_010])
    for headers in (whole.headers, part.headers):
        assert headers["content-type"] == "text/html"
        assert headers["content-disposition"].startswith("attachment;")
        assert headers["content-security-policy"].startswith("sandbox;")
        assert headers["cache-control"] == "no-store"


async def test_a_large_file_that_is_pushed_is_kept_whole(tmp_path: Path) -> None:
    body = bytes(range(256)) * 8192
    async with open_site(tmp_path) as site:
        files = {"file": ("a.bin", body, "a/b")}
        me = await site.key("user:1042")
        sent = await site.http.post("/v1/documents", data={"uri": "crm:2"}, files=files, headers=me)
        job = await job_of(site, sent)
        assert job.original is not None
        assert (await site.platform.originals.body_of(job.original)).read() == body


async def test_pushed_text_becomes_a_job_with_its_readers(site: Site, me: dict[str, str]) -> None:
    sent = {
        "uri": "crm:note/8817",
        "title": "Call",
        "text": "They need seals.",
        "readers": ["group:sales", "user:1042"],
        "denied": ["user:7"],
        "metadata": {"department": "sales", "pages": 3, "draft": True},
    }
    response = await site.http.post("/v1/documents", json=sent, headers=me)
    job = await job_of(site, response)
    assert (job.kind, job.uri) == (JobKind.UPSERT, "crm:note/8817")
    access = access_of_json(job.payload["access"])
    assert access.clauses == (frozenset({"group:sales", "user:1042"}),)
    assert access.denied == {"user:7"}
    assert job.payload["metadata"] == sent["metadata"]
    assert job.original is not None
    assert (await site.platform.originals.body_of(job.original)).read() == b"They need seals."


@pytest.mark.parametrize("readers", [{}, {"readers": []}])
async def test_without_readers_nobody_reads_it(
    readers: dict[str, Any], site: Site, me: dict[str, str]
) -> None:
    response = await site.http.post(
        "/v1/documents", json={"uri": "crm:1", "text": "x"} | readers, headers=me
    )
    assert (await access_in(site, response)).clauses == ()


async def test_a_file_may_be_pushed_as_base64_or_as_a_form(site: Site, me: dict[str, str]) -> None:
    body = bytes(range(256))
    encoded = {"uri": "crm:1", "base64": base64.b64encode(body).decode(), "media_type": "a/b"}
    as_json = await job_of(site, await site.http.post("/v1/documents", json=encoded, headers=me))
    as_form = await job_of(
        site,
        await site.http.post(
            "/v1/documents",
            data={
                "uri": "crm:2",
                "readers": json.dumps(["everyone"]),
                "metadata": json.dumps({"department": "sales"}),
            },
            files={"file": ("a.bin", body, "a/b")},
            headers=me,
        ),
    )
    assert as_json.original == as_form.original
    assert as_json.payload["media_type"] == as_form.payload["media_type"] == "a/b"
    assert as_form.payload["metadata"] == {"department": "sales"}


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"text": "x"}, "uri"),
        ({"uri": "crm:1"}, "send either text or base64"),
        ({"uri": "crm:1", "text": "x", "base64": "eA=="}, "send either text or base64"),
        ({"uri": "crm:1", "base64": "not base64!"}, "base64"),
        ({"uri": "no scheme", "text": "x"}, "uri"),
        ({"uri": "javascript:alert(1)", "text": "x"}, "uri"),
        ({"uri": "data:text/html,x", "text": "x"}, "uri"),
        ({"uri": "crm:a\nb", "text": "x"}, "uri"),
        ({"uri": "crm:1", "text": "x", "readers": "everyone"}, "readers"),
        ({"uri": "crm:1", "text": "x", "readers": ["public"]}, "readers"),
        ({"uri": "crm:1", "text": "x", "readers": ["group: a"]}, "readers"),
        ({"uri": "crm:1", "text": "x", "reader": ["everyone"]}, "reader"),
        ({"uri": "crm:1", "text": "x", "metadata": {"a b": 1}}, "metadata"),
        ({"uri": "crm:1", "text": "x", "metadata": {"a": [1]}}, "metadata"),
        ({"uri": "crm:1", "text": "x", "metadata": {"a": 10**30}}, "metadata"),
        ({"uri": "crm:1", "text": "x", "media_type": "text"}, "media_type"),
        ({"uri": "crm:1", "text": "\ud800"}, ""),
    ],
    ids=lambda value: ascii(value)[:60],
)
async def test_a_push_that_is_not_in_order_is_refused(
    sent: dict[str, Any], told: str, site: Site, me: dict[str, str]
) -> None:
    response = await site.http.post(
        "/v1/documents",
        content=json.dumps(sent),
        headers=me | {"content-type": "application/json"},
    )
    assert response.status_code == 422, response.text
    assert told in response.json()["detail"]
    assert not await site.platform.jobs.counts()


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ({"uri": "crm:1"}, {}),
        ({"uri": "crm:1", "readers": "everyone"}, {"file": b"x"}),
        ({"uri": "crm:1", "colour": "red"}, {"file": b"x"}),
        ({}, {"file": b"x"}),
        ({"uri": "crm:1"}, {"file": b"x", "other": b"y"}),
    ],
)
async def test_a_form_that_is_not_in_order_is_refused(
    data: dict[str, Any], files: dict[str, Any], site: Site, me: dict[str, str]
) -> None:
    response = await site.http.post(
        "/v1/documents", data=data, files=files or {"nothing": b""}, headers=me
    )
    assert response.status_code in {400, 422}, response.text
    assert not await site.platform.jobs.counts()


async def test_a_document_over_the_limit_is_refused(site: Site, me: dict[str, str]) -> None:
    slightly = await site.http.post(
        "/v1/documents", json={"uri": "crm:1", "text": "x" * (MAX_BYTES + 1)}, headers=me
    )
    as_form = await site.http.post(
        "/v1/documents",
        data={"uri": "crm:1"},
        files={"file": b"x" * (MAX_BYTES + 1)},
        headers=me,
    )
    typed = me | {"content-type": "application/json"}
    far = await site.http.post("/v1/documents", content=b"x" * 10**6, headers=typed)
    assert slightly.status_code == as_form.status_code == far.status_code == 413
    assert not await site.platform.jobs.counts()


async def test_another_content_type_is_refused(site: Site, me: dict[str, str]) -> None:
    response = await site.http.post("/v1/documents", content=b"<x/>", headers=me)
    assert response.status_code == 415


async def test_nobody_uploads_before_they_are_known(site: Site) -> None:
    asked = False

    async def body() -> AsyncGenerator[bytes]:
        nonlocal asked
        asked = True
        yield b"x"

    response = await site.http.post(
        "/v1/documents", content=body(), headers={"content-type": "application/json"}
    )
    assert response.status_code == 401
    assert not asked


async def test_apps_cannot_touch_each_others_documents(site: Site, me: dict[str, str]) -> None:
    sent = {"uri": "crm:1", "text": "x", "readers": ["everyone"]}
    mine = await job_of(site, await site.http.post("/v1/documents", json=sent, headers=me))
    other = await site.key("app:other")
    theirs = await job_of(site, await site.http.post("/v1/documents", json=sent, headers=other))
    assert mine.source != theirs.source
    document = await site.publish("crm:1", "x", readers=["everyone"], source=mine.source)
    refused = await site.http.delete(f"/v1/documents/{document}", headers=other)
    assert refused.status_code == 404
    deletion = await job_of(site, await site.http.delete(f"/v1/documents/{document}", headers=me))
    assert deletion.kind is JobKind.DELETE


async def test_a_connectors_document_is_not_deleted_by_an_app(
    site: Site, me: dict[str, str]
) -> None:
    document = await site.publish("file:///a", "x", readers=["everyone"])
    assert (await site.http.delete(f"/v1/documents/{document}", headers=me)).status_code == 404


async def test_the_same_principal_id_in_another_tenant_is_somebody_else(
    site: Site, me: dict[str, str]
) -> None:
    document = await site.publish("file:///a", "x", readers=["user:1042", "everyone"])
    elsewhere = await site.key("user:1042", tenant=OTHER, groups=["group:finance"])
    assert (await site.http.get(f"/v1/documents/{document}", headers=me)).status_code == 200
    response = await site.http.get(f"/v1/documents/{document}", headers=elsewhere)
    assert response.status_code == 404
