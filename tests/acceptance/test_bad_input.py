"""Bad input of every kind, on the platform as it is set up: one clear error or a recorded failure,
the rest goes on, and nothing is opened to anyone."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from rag.storage.documents.records import DocumentState
from rag.storage.jobs.records import JobState
from tests.acceptance.bad_files import (
    READABLE,
    SECRET,
    UNREADABLE,
    pdf,
    write_folder,
)
from tests.acceptance.site import TENANT, Site, open_site
from tests.syncing import sync

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEGABYTE = 1_000_000
TRACES = ("Traceback", 'File "', "site-packages", "sqlalchemy", "pydantic")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    root = tmp_path_factory.mktemp("bad-input")
    write_folder(root / "documents")
    async with open_site(root, root / "documents") as site:
        yield site


def assert_problem(response: httpx.Response, *statuses: int) -> str:
    """It is one problem document of these statuses that shows no traceback; its detail."""
    assert response.status_code in statuses, response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "trace_id"}
    assert problem["detail"]
    assert len(response.content) < 5_000
    assert not [trace for trace in TRACES if trace in response.text]
    return str(problem["detail"])


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_file_that_cannot_be_read_is_recorded_with_its_reason(
    site: Site, name: str
) -> None:
    document = (await site.documents())[name]
    assert document.state is DocumentState.FAILED
    assert document.error_class == UNREADABLE[name][1], document.error
    assert document.error
    assert not [trace for trace in TRACES if trace in document.error]
    assert str(site.folder) not in document.error
    gone = await site.http.get(f"/v1/documents/{document.ref.id}")
    assert_problem(gone, 404)
    assert (
        await (await site.platform.generations.serving()).index.chunk_ids(TENANT, document.ref.id)
        == set()
    )


@pytest.mark.parametrize("name", READABLE)
async def test_what_stands_beside_it_is_taken_in(site: Site, name: str) -> None:
    words = READABLE[name][1]
    assert (await site.documents())[name].state is DocumentState.ACTIVE
    assert any(words in text for text in await site.texts_found(words))


async def test_a_malformed_access_file_is_a_problem_and_opens_nothing(site: Site) -> None:
    source = await site.platform.sources.get(TENANT, site.source.id)
    assert len(source.problems) == 5, source.problems
    assert all(reason for _, reason in source.problems)
    listed = await site.platform.documents.listed(TENANT, source=site.source.id, limit=1_000)
    closed = [document for document in listed if document.ref.uri.endswith("/secret.txt")]
    assert len(closed) == 5
    for document in closed:
        assert_problem(await site.http.get(f"/v1/documents/{document.ref.id}"), 404)
    assert not any("wolfram" in text for text in await site.texts_found(SECRET))
    answer = await site.post("/v1/ask", {"question": "What is the hidden passphrase?"})
    assert answer.status_code == 200 and "wolfram" not in answer.text


async def test_a_file_that_is_mended_is_taken_in_by_the_next_sync(
    site: Site, tmp_path: Path
) -> None:
    folder = tmp_path / "mended"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    file = folder / "manual.pdf"
    file.write_bytes(UNREADABLE["cut.pdf"][0])
    source = await site.register(folder)
    await sync(site.platform, source)
    assert (await site.documents(source))["manual.pdf"].state is DocumentState.FAILED

    file.write_bytes(pdf("The chuck key of lathe L4 hangs on the red hook."))
    await sync(site.platform, source)
    mended = (await site.documents(source))["manual.pdf"]
    assert (mended.state, mended.error) == (DocumentState.ACTIVE, None)
    assert any("red hook" in text for text in await site.texts_found("chuck key of lathe L4"))


async def test_a_good_file_that_breaks_stays_readable_as_it_was(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "breaking"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    (folder / "guide.pdf").write_bytes(pdf("The crane of hall H2 lifts eleven tonnes."))
    source = await site.register(folder)
    await sync(site.platform, source)
    (folder / "guide.pdf").write_bytes(UNREADABLE["locked.pdf"][0])
    [job] = await sync(site.platform, source)
    assert job.state is JobState.FAILED and job.error_class == "EncryptedFile"
    assert any("eleven tonnes" in text for text in await site.texts_found("crane of hall H2"))


# --- requests ----------------------------------------------------------------------------------


async def test_a_huge_question_is_one_clear_error(site: Site) -> None:
    for path, name in (("/v1/search", "query"), ("/v1/ask", "question")):
        detail = assert_problem(await site.post(path, {name: "why " * MEGABYTE}), 413)
        assert "bytes" in detail
        assert_problem(await site.post(path, {name: "why " * 10_000}), 422)


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v1/search", {"query": "gate", "filters": {"colour": "red"}}, "department"),
        ("/v1/ask", {"question": "gate?", "filters": {"colour": "red"}}, "department"),
        ("/v1/search", {"query": "gate", "mode": "psychic"}, "mode"),
        ("/v1/ask", {"question": "gate?", "quality": "perfect"}, "quality"),
        ("/v1/search", {"query": "gate", "limit": 101}, "limit"),
        ("/v1/search", {"query": "gate", "tenant": "other"}, "tenant"),
        ("/v1/search", {"query": ""}, "query"),
        ("/v1/search", {"query": " \x00\t\ufeff"}, "query"),
        ("/v1/search", {"query": 7}, "query"),
        ("/v1/search", {}, "query"),
        ("/v1/search", {"query": "gate", "filters": {"date": {"gte": "soon", "lt": 3}}}, "date"),
    ],
)
async def test_what_is_unknown_or_wrong_is_named(
    site: Site, path: str, body: dict[str, Any], named: str
) -> None:
    assert named in assert_problem(await site.post(path, body), 422)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"query": "gate"', b"[1, 2]", b"null", b"\xff\xfe\x00", b'{"query": "\xc3("}',
     b"[" * 50_000, b'{"query": "gate", "limit": 1e999}', b'{"query": NaN}', b'{"query": "\\ud800"}'],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
async def test_malformed_json_is_one_clear_error(site: Site, body: bytes) -> None:
    response = await site.http.post(
        "/v1/search", content=body, headers={"Content-Type": "application/json"}
    )
    assert_problem(response, 400, 422)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer rag_0000000000000000_wrong",
     "Bearer rag__", "Bearer a.b.c", "Bearer " + "x" * 20_000, "Bearer eyJhbGciOiJub25lIn0.e30.",
     "bearer ' OR 1=1 --", "Bearer r\u00e4g"],
    ids=lambda header: header[:24],
)  # fmt: skip
async def test_a_malformed_token_is_nobodys(site: Site, authorization: str) -> None:
    response = await site.http.post(
        "/v1/search",
        json={"query": "gate"},
        headers={"Authorization": authorization.encode("latin-1").decode("latin-1")}
        if authorization.isascii()
        else [(b"authorization", authorization.encode())],
    )
    assert_problem(response, 401)


async def test_a_malformed_assertion_is_nobodys(site: Site) -> None:
    for assertion in ("", "x", "a.b.c", "{}", "eyJhbGciOiJub25lIn0.e30.", "y" * 20_000):
        response = await site.http.post(
            "/v1/search", json={"query": "gate"}, headers={"X-On-Behalf-Of": assertion}
        )
        assert_problem(response, 401)


@pytest.mark.parametrize(
    "question",
    ["東京工場のポンプはいつ点検しますか。", "متى تفتح البوابة الشمالية؟", "👩🏽‍🔧 🔧?", "e\u0301" * 300,
     "\u202egnp.exe\u202c what?", "'; DROP TABLE documents; --", "{{ 7 * 7 }} ${7*7} %s",
     "When does the \x07north\x1b[31m gate\x00 open?"],
    ids=ascii,
)  # fmt: skip
async def test_a_question_in_any_script_is_a_question(site: Site, question: str) -> None:
    for path, name in (("/v1/search", "query"), ("/v1/ask", "question")):
        response = await site.http.post(
            path,
            content=json.dumps({name: question}),
            headers={"Content-Type": "application/json"},
        )
        assert response.status_code == 200, response.text
        assert not [trace for trace in TRACES if trace in response.text]


async def test_a_question_in_its_documents_script_is_answered(site: Site) -> None:
    answer = await site.post("/v1/ask", {"question": "東京工場のポンプはいつ点検しますか。"})
    assert "毎週月曜日" in answer.text or answer.json()["kind"] == "refusal"
    [best, *_] = await site.texts_found("東京工場のポンプ")
    assert "東京工場" in best


async def test_a_tenant_that_is_not_there_has_nothing(site: Site) -> None:
    made = await site.post("/v1/admin/keys", {"name": "k", "tenant": "nowhere"})
    assert_problem(made, 422)
