"""Bad input of every kind, on the platform as it is set up: one clear error or a recorded failure,
the rest goes on, and nothing is opened to anyone."""

import asyncio
import json
import random
import resource
import signal
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.app import create_app
from api.permissions import EVERY_PERMISSION
from api.platform import Platform
from api.settings import Settings
from api.wiring import open_platform
from ingestion.jobs import sync_job
from rag.access import Principal, PrincipalId, TenantId
from rag.storage.records import DocumentState, Job, JobState, Source, StoredDocument
from tests.acceptance.bad_files import (
    MAX_BYTES,
    READABLE,
    SECRET,
    UNREADABLE,
    pdf,
    write_folder,
)
from tests.acceptance.ingesting import settings_of
from tests.syncing import end_of, sync

pytestmark = pytest.mark.asyncio(loop_scope="module")

TENANT = TenantId("acme")
MEGABYTE = 1_000_000
TRACES = ("Traceback", 'File "', "site-packages", "sqlalchemy", "pydantic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    platform: Platform
    http: httpx.AsyncClient
    folder: Path
    source: Source

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return await self.http.post(path, json=body)

    async def documents(self, source: Source | None = None) -> dict[str, StoredDocument]:
        """By the last part of the URI."""
        which = (source or self.source).id
        listed = await self.platform.documents.listed(TENANT, source=which, limit=1_000)
        return {document.ref.uri.rpartition("/")[2]: document for document in listed}

    async def texts_found(self, words: str) -> list[str]:
        response = await self.post("/v1/search", {"query": words, "limit": 100})
        assert response.status_code == 200, response.text
        return [hit["text"] for hit in response.json()["hits"]]

    async def register(self, folder: Path) -> Source:
        return await self.platform.sources.register(
            TENANT, kind="filesystem", name=folder.name, settings={"root": str(folder)}
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    root = tmp_path_factory.mktemp("bad-input")
    folder = root / "documents"
    write_folder(folder)
    settings = Settings.model_validate(
        {
            "data_dir": root / "data",
            "tenant": TENANT,
            "ingestion": {"max_bytes": MAX_BYTES, "parse_timeout_s": 60},
            "rate_limits": {"enabled": False},
        }
    )
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(settings))
        await platform.sources.add_tenant(TENANT)
        source = await platform.sources.register(
            TENANT, kind="filesystem", name="documents", settings={"root": str(folder)}
        )
        await sync(platform, source)
        made = await platform.keys.create(
            name="a reader",
            principal=Principal(TENANT, PrincipalId("user:1")),
            permissions=EVERY_PERMISSION,
        )
        app = create_app(nullcontext(platform), settings=settings)
        await stack.enter_async_context(app.router.lifespan_context(app))
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
                base_url="http://rag.test",
                headers={"Authorization": f"Bearer {made.token}"},
            )
        )
        yield Site(platform=platform, http=http, folder=folder, source=source)


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
    assert await site.platform.index.chunk_ids(TENANT, document.ref.id) == set()


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


# --- trouble while ingesting -------------------------------------------------------------------


async def test_two_syncs_at_once_take_a_file_in_once(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "twice"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    for number in range(4):
        (folder / f"note-{number}.txt").write_text(f"Locker {number} in room R5 is blue.")
    source = await site.register(folder)
    listings = await site.platform.jobs.enqueue([sync_job(TENANT, source.id) for _ in range(2)])
    for listing in listings:
        assert (await end_of(site.platform, source, listing)).state is JobState.DONE
    await sync(site.platform, source)

    assert len(await site.documents(source)) == 4
    for document in (await site.documents(source)).values():
        held = await site.platform.documents.chunks(TENANT, document.ref.id)
        assert len(held) == 1 and document.settled
        assert await site.platform.index.chunk_ids(TENANT, document.ref.id) == set(held)
    texts = [text for text in await site.texts_found("Locker in room R5") if "R5" in text]
    assert len(texts) == 4


@contextmanager
def no_file_longer_than(limit: int) -> Generator[None]:
    """A disk that is full: the kernel refuses what this process writes beyond `limit`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_delays_a_document_and_loses_nothing(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    noise = random.Random(1).randbytes(5_000_000)
    body = pdf("The spare rotor of pump P9 lies in rack C3.", padding=noise)
    (folder / "spare.pdf").write_bytes(body)
    source = await site.register(folder)
    with no_file_longer_than(len(body) - 1):
        [listing] = await site.platform.jobs.enqueue([sync_job(TENANT, source.id)])
        await end_of(site.platform, source, listing)
        waiting = await first_setback(site, source)
        assert waiting.error_class == "StorageUnavailable"
        assert waiting.error is not None and "originals cannot be kept" in waiting.error
        assert (await site.documents(source)) == {}
        assert not any("rack C3" in text for text in await site.texts_found("spare rotor P9"))
        assert any("05:30" in text for text in await site.texts_found("north gate"))

    while (await site.platform.sources.progress(TENANT, source.id)).pending:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    assert (await site.documents(source))["spare.pdf"].state is DocumentState.ACTIVE
    assert any("rack C3" in text for text in await site.texts_found("spare rotor of pump P9"))


async def first_setback(site: Site, source: Source) -> Job:
    """The first job of the source that waits to be tried again."""
    while True:
        waiting = await site.platform.jobs.listed(TENANT, source=source.id, state=JobState.WAITING)
        if waiting:
            return waiting[0]
        await asyncio.sleep(0.02)


async def test_a_process_killed_while_it_ingests_goes_on_where_it_was(
    site: Site, tmp_path: Path
) -> None:
    del site  # its model is warm, and its index another one
    folder, data = tmp_path / "many", tmp_path / "data"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    for number in range(12):
        text = "\n\n".join(f"Shelf {number}-{row} holds part {number * row}." for row in range(9))
        (folder / f"shelf-{number}.md").write_text(f"# Shelf {number}\n\n{text}\n")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.acceptance.ingesting", str(data), str(folder)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    while int((await child.stdout.readline()).strip() or b"12") < 3:
        pass
    child.kill()
    assert await child.wait() == -signal.SIGKILL

    async with open_platform(settings_of(data)) as platform:
        [source] = await platform.sources.listed(TENANT)
        began_with = await platform.sources.progress(TENANT, source.id)
        await sync(platform, source)
        counts = await platform.jobs.counts(TENANT)
        assert {state for state, number in counts.items() if number} == {JobState.DONE}
        listed = await platform.documents.listed(TENANT)
        assert len(listed) == 12
        for document in listed:
            held = await platform.documents.chunks(TENANT, document.ref.id)
            assert document.state is DocumentState.ACTIVE and document.settled and held
            assert await platform.index.chunk_ids(TENANT, document.ref.id) == set(held)
        assert began_with.done < 12, "the kill came too late to say anything"
