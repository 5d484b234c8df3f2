"""Requests that are in order, and all the ways in which they are not."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.filters import matches
from rag.types import BUILT_IN_FIELDS, AnyOf, Between
from tests.api.platform import Site, open_site

PROBLEM = {"type", "title", "status", "detail", "trace_id"}
LIMIT = 256 * 1024


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path) as running:
        yield running


@pytest.fixture
async def me(site: Site) -> dict[str, str]:
    return await site.key("user:1042", groups=["group:finance"])


async def searched(site: Site, me: dict[str, str], **body: Any) -> Any:
    return await site.http.post("/v1/search", json=body, headers=me)


async def test_a_hit_is_told_in_full(site: Site, me: dict[str, str]) -> None:
    document = await site.publish(
        "file:///travel.txt",
        "Hotels up to 140 euros a night.",
        readers=["group:finance"],
        title="Travel policy",
        metadata={"department": "finance", "date": "2026-01-31"},
    )
    response = await searched(site, me, query="hotel euros", explain=True)
    assert response.status_code == 200
    body = response.json()
    [hit] = body["hits"]
    assert hit["document_id"] == document
    assert hit["uri"] == "file:///travel.txt"
    assert hit["title"] == "Travel policy"
    assert hit["text"] == "Hotels up to 140 euros a night."
    assert hit["metadata"] == {"department": "finance", "date": "2026-01-31"}
    assert hit["version"] == "v1"
    assert hit["ranks"] == {"dense": 1, "sparse": 1, "fused": 1, "rerank": 1}
    assert hit["scores"]
    assert hit["acl_as_of"]
    assert body["timings_ms"]
    assert body["trace_id"] == response.headers["x-request-id"]


async def test_without_explain_no_stage_tells_its_score(site: Site, me: dict[str, str]) -> None:
    await site.publish("file:///a", "hotel", readers=["everyone"])
    [hit] = (await searched(site, me, query="hotel")).json()["hits"]
    assert hit["scores"] is None


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"department": "finance"}, True),
        ({"department": ["sales", "finance"]}, True),
        ({"department": "sales"}, False),
        ({"date": {"gte": "2026-01-01", "lt": "2027-01-01"}}, True),
        ({"date": {"gt": "2026-01-31"}}, False),
        ({"pages": {"gte": 3}}, True),
        ({"pages": {"gte": 3.5}}, False),
        ({"draft": False}, True),
        ({"draft": True}, False),
        ({"pages": True}, False),
    ],
    ids=str,
)
async def test_filters_narrow_the_search(
    *, filters: dict[str, Any], found: bool, site: Site, me: dict[str, str]
) -> None:
    metadata = {"department": "finance", "date": "2026-01-31", "pages": 3, "draft": False}
    await site.publish("file:///a", "hotel", readers=["everyone"], metadata=metadata)
    response = await searched(site, me, query="hotel", filters=filters)
    assert response.status_code == 200, response.text
    assert bool(response.json()["hits"]) is found


async def test_an_unknown_filter_names_the_fields_of_every_document_and_no_others(
    site: Site, me: dict[str, str]
) -> None:
    """What a field is called may itself be what the asker must not know."""
    metadata = {"merger_with": "Nordhaven"}
    await site.publish("file:///a", "hotel", readers=["group:board"], metadata=metadata)
    for path, body in (
        ("/v1/search", {"query": "hotel", "filters": {"colour": "red"}}),
        ("/v1/ask", {"question": "hotel", "filters": {"colour": "red"}}),
        ("/v1/ask", {"question": "hotel", "filters": {"colour": "red"}, "stream": True}),
        ("/v1/admin/reindex", {"filters": {"colour": "red"}}),
    ):
        response = await site.http.post(path, json=body, headers=me)
        assert response.status_code == 422
        detail = response.json()["detail"]
        assert detail.startswith("unknown filter colour; known are access_level, ")
        assert all(field in detail for field in BUILT_IN_FIELDS)
        assert detail.endswith(" or a metadata field")
        assert "merger_with" not in detail


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": " \t\n\u0000 "}, "query: there is no text in it"),
        ({"query": "x" * 4_001}, "4000"),
        ({"query": 7}, "query"),
        ({"query": "x", "limit": 0}, "limit"),
        ({"query": "x", "limit": 101}, "limit"),
        ({"query": "x", "mode": "semantic"}, "'hybrid', 'dense' or 'sparse'"),
        ({"query": "x", "colour": "red"}, "colour"),
        ({"query": "x", "filters": []}, "filters"),
        ({"query": "x", "filters": {"date": {}}}, "a range needs one of gte, lte, gt, lt"),
        ({"query": "x", "filters": {"date": {"from": "2026"}}}, "from"),
        ({"query": "x", "filters": {"date": {"gte": 1, "lt": "2"}}}, "not both"),
        ({"query": "x", "filters": {"department": []}}, "department"),
        ({"query": "x", "filters": {"department": None}}, "department"),
        ({"query": "x", "filters": {"department": [["a"]]}}, "department"),
        ({"query": "x", "filters": {"pages": 10**30}}, "pages"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_wrong_request_is_told_what_is_wrong(
    body: dict[str, Any], told: str, site: Site, me: dict[str, str]
) -> None:
    response = await searched(site, me, **body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json().keys() == PROBLEM
    assert told in response.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"query": "\\ud800"}',
        b'{"query": NaN}',
        b'{"query": "x", "limit": Infinity}',
        b'{"query": "x", "filters": {"pages": NaN}}',
        b"[" * 100_000,
        b'{"query":' * 10_000,
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_a_malformed_body_is_one_clear_error(
    body: bytes, site: Site, me: dict[str, str]
) -> None:
    for path in ("/v1/search", "/v1/ask", "/v1/documents", "/v1/chat/completions"):
        response = await site.http.post(
            path, content=body, headers=me | {"content-type": "application/json"}
        )
        assert response.status_code in {400, 422}, (path, response.text)
        assert response.json().keys() == PROBLEM


async def test_control_characters_do_not_reach_the_search(site: Site, me: dict[str, str]) -> None:
    await site.publish("file:///a", "hotel prices", readers=["everyone"])
    response = await searched(site, me, query="hotel\u0000\u0007\u009fprices\r\n")
    assert len(response.json()["hits"]) == 1


@pytest.mark.parametrize("query", ["гостиница", "酒店的价格", "فندق", "🏨🏨", "hôtel\u0301"])
async def test_a_question_in_another_script_is_a_question(
    query: str, site: Site, me: dict[str, str]
) -> None:
    assert (await searched(site, me, query=query)).status_code == 200


async def test_a_megabyte_of_question_is_one_clear_error(site: Site, me: dict[str, str]) -> None:
    response = await site.http.post("/v1/ask", json={"question": "x" * 2**20}, headers=me)
    assert response.status_code == 413
    assert response.json()["detail"] == f"the body is larger than {LIMIT} bytes"


async def test_a_body_without_a_length_is_counted_as_it_comes(
    site: Site, me: dict[str, str]
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b"x" * 65_536

    response = await site.http.post("/v1/ask", content=endless(), headers=me)
    assert response.status_code == 413
    assert sent <= LIMIT + 2 * 65_536


async def test_a_length_that_lies_helps_nobody(site: Site, me: dict[str, str]) -> None:
    response = await site.http.post(
        "/v1/ask", content=b"x" * (LIMIT + 1), headers=me | {"content-length": "10"}
    )
    assert response.status_code == 413


async def test_a_route_that_is_not_there_is_a_problem_too(site: Site) -> None:
    for response in (await site.http.get("/nowhere"), await site.http.put("/v1/search")):
        assert response.status_code in {404, 405}
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json().keys() == PROBLEM


async def test_the_request_id_of_the_caller_is_kept_if_it_is_one(site: Site) -> None:
    sent = await site.http.get("/healthz", headers={"X-Request-ID": "trace-0815-abc"})
    assert sent.headers["x-request-id"] == "trace-0815-abc"
    for bad in ("short", "x" * 65, "a b c d e f", 'x"><script>', "trace\tid-0815"):
        answered = await site.http.get("/healthz", headers={"X-Request-ID": bad})
        assert answered.headers["x-request-id"] != bad
        assert len(answered.headers["x-request-id"]) == 32


async def test_whoever_is_not_known_is_told_how_to_say_who_they_are(site: Site) -> None:
    response = await site.http.post("/v1/search", json={"query": "x"})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


VALUES = st.one_of(
    st.text(max_size=3), st.integers(-3, 3), st.floats(-3, 3), st.booleans(), st.none()
)


@given(
    filters=st.dictionaries(
        st.sampled_from(["department", "date", "pages"]),
        st.one_of(
            VALUES,
            st.lists(VALUES, max_size=3),
            st.dictionaries(st.sampled_from(["gte", "lte", "gt", "lt", "x"]), VALUES, max_size=3),
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
async def test_no_filter_whatsoever_is_an_internal_error(
    filters: dict[str, Any], site: Site, me: dict[str, str]
) -> None:
    response = await site.http.post(
        "/v1/search", content=json.dumps({"query": "x", "filters": filters}), headers=me
    )
    assert response.status_code in {200, 422, 429}, response.text


def test_filters_hold_of_metadata_as_they_do_in_the_index() -> None:
    metadata = {"department": "sales", "pages": 3, "draft": True}
    assert matches(metadata, {})
    assert matches(metadata, {"department": AnyOf(("sales", "finance")), "pages": Between(gt=2)})
    assert not matches(metadata, {"pages": AnyOf((True,))})
    assert not matches(metadata, {"draft": Between(gte=0)})
    assert not matches(metadata, {"pages": Between(gte="2")})
    assert not matches(metadata, {"date": Between(gte="2026")})
