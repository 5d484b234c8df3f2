"""Limits, health, metrics, logs and the description of the API."""

import asyncio
import io
import json
import logging
import uuid
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import jwt
import pytest

from api.auth import ON_BEHALF_AUDIENCE
from api.limits import RateLimits
from api.logs import OUR_LOGGERS, JsonLines, configure_logging
from api.settings_server import RateLimitSettings
from rag.access import TenantId
from rag.errors import ConfigurationError, IndexUnavailable, RateLimited, StorageUnavailable
from rag.storage.access.keys import parse_token
from rag.testing import MemoryIndex
from tests.api.identity_provider import AUDIENCE, IdentityProvider, identity_provider
from tests.api.platform import ACME, OTHER, Site, open_site

ZINNOBER = "zinnober"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path, reply="The zinnober budget is 4711 euros. [1]") as running:
        yield running


# --- how often one may call --------------------------------------------------------------------


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncGenerator[Site]:
    limits = {"per_caller": "3/hour", "per_tenant": "5/hour"}
    async with open_site(tmp_path, settings={"rate_limits": limits}) as running:
        yield running


async def calls(site: Site, headers: dict[str, str], number: int) -> list[int]:
    answers = [await site.http.get("/v1/models", headers=headers) for _ in range(number)]
    return [answer.status_code for answer in answers]


async def test_a_caller_who_asks_too_often_is_told_when_to_come_back(narrow: Site) -> None:
    me = await narrow.key("user:1")
    assert await calls(narrow, me, 4) == [200, 200, 200, 429]
    refused = await narrow.http.get("/v1/models", headers=me)
    assert 0 < int(refused.headers["retry-after"]) <= 3_601
    assert refused.json()["type"] == "urn:problem:rate-limited"


async def test_one_callers_limit_is_not_anothers(narrow: Site) -> None:
    assert 429 in await calls(narrow, await narrow.key("user:1"), 4)
    assert await calls(narrow, await narrow.key("user:2"), 1) == [200]


async def test_a_tenants_callers_share_a_limit_and_other_tenants_do_not(narrow: Site) -> None:
    for user in ("user:1", "user:2"):
        await calls(narrow, await narrow.key(user), 3)
    assert await calls(narrow, await narrow.key("user:3"), 1) == [429]
    assert await calls(narrow, await narrow.key("user:1", tenant=OTHER), 1) == [200]


async def test_the_people_of_an_app_are_counted_one_by_one(narrow: Site) -> None:
    app = await narrow.key("app:intranet")
    token = parse_token(app["Authorization"].removeprefix("Bearer "))
    assert token is not None

    def speaking_for(user: str) -> dict[str, str]:
        claims = {
            "sub": user,
            "aud": ON_BEHALF_AUDIENCE,
            "exp": datetime.now(UTC) + timedelta(minutes=4),
        }
        return app | {"X-On-Behalf-Of": jwt.encode(claims, token.secret)}

    assert await calls(narrow, speaking_for("user:1"), 4) == [200, 200, 200, 429]
    assert await calls(narrow, speaking_for("user:2"), 1) == [200]


async def test_limits_that_cannot_be_read_stop_the_start() -> None:
    with pytest.raises(ConfigurationError, match="rate_limits"):
        RateLimits(RateLimitSettings(per_caller="often"))


async def test_processes_that_share_a_redis_share_the_count(redis_url: str) -> None:
    settings = RateLimitSettings(per_caller="2/hour")
    processes = [RateLimits(settings, redis_url=redis_url) for _ in range(2)]
    caller = f"user:{uuid.uuid4()}"
    for process in processes:
        await process.spend(ACME, caller)
    for process in processes:
        with pytest.raises(RateLimited) as refused:
            await process.spend(ACME, caller)
        assert refused.value.retry_after_s
    for process in processes:
        await process.aclose()


async def test_of_many_calls_at_once_exactly_as_many_as_allowed_get_through(redis_url: str) -> None:
    settings = RateLimitSettings(per_caller="30/hour")
    processes = [RateLimits(settings, redis_url=redis_url) for _ in range(2)]
    caller = f"user:{uuid.uuid4()}"
    calls = [process.spend(ACME, caller) for process in processes for _ in range(40)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(each is None for each in ended) == 30
    assert sum(isinstance(each, RateLimited) for each in ended) == 50
    for process in processes:
        await process.aclose()


async def test_without_redis_callers_are_still_limited(caplog: pytest.LogCaptureFixture) -> None:
    limits = RateLimits(RateLimitSettings(per_caller="1/hour"), redis_url="redis://127.0.0.1:1/0")
    await limits.spend(ACME, "user:1")
    assert "counted per process" in caplog.text
    with pytest.raises(RateLimited, match="1 per 1 hour"):
        await limits.spend(ACME, "user:1")
    await limits.aclose()


# --- health and metrics ------------------------------------------------------------------------


@dataclass(slots=True)
class BrokenIndex(MemoryIndex):
    async def count(self, tenant: TenantId) -> int:
        raise IndexUnavailable(f"no answer for {tenant}")


async def test_readiness_names_the_part_that_is_not_ready(tmp_path: Path, site: Site) -> None:
    ready = await site.http.get("/readyz")
    assert ready.json() == {"status": "ready", "parts": {"database": "ok", "index": "ok"}}
    async with open_site(tmp_path / "broken", index=BrokenIndex()) as broken:
        response = await broken.http.get("/readyz")
        assert response.status_code == 503
        assert response.json()["parts"] == {"database": "ok", "index": "unavailable"}
        assert (await broken.http.get("/healthz")).status_code == 200


async def test_metrics_count_routes_and_never_paths(site: Site) -> None:
    me = await site.key("user:1")
    await site.http.get("/v1/documents/abc", headers=me)
    await site.http.get("/invented/by/the/caller")
    await site.http.post("/v1/search", json={"query": ZINNOBER}, headers=me)
    await site.http.post("/v1/ask", json={"question": ZINNOBER}, headers=me)
    text = (await site.http.get("/metrics")).text
    route = "/v1/documents/{document_id}"
    assert f'rag_requests_total{{method="GET",route="{route}",status="404"}} 1.0' in text
    assert 'route="unknown",status="404"' in text
    assert 'rag_retrieval_stage_seconds_count{stage="search"} 1.0' in text
    assert 'rag_ask_outcomes_total{outcome="no_evidence"} 1.0' in text
    assert "invented" not in text
    assert ZINNOBER not in text


# --- logs --------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Generator[io.StringIO]:
    loggers = [logging.getLogger(name) for name in ("", "uvicorn", *OUR_LOGGERS)]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    stream = io.StringIO()
    configure_logging("debug", stream=stream)
    yield stream
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)


def lines_of(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


async def test_a_request_is_one_line_without_content(site: Site, log: io.StringIO) -> None:
    await site.publish(f"file:///{ZINNOBER}", "The zinnober budget.", readers=["everyone"])
    me = await site.key("user:1")
    for stream in (False, True):
        body = {"question": f"What is the {ZINNOBER} budget?", "stream": stream}
        await site.http.post("/v1/ask", json=body, headers=me)
    await site.http.post("/v1/search", json={"query": ZINNOBER}, headers=me)
    await site.http.post("/v1/search", json={"query": ZINNOBER, ZINNOBER: 1}, headers=me)
    await site.http.post("/v1/documents", json={"uri": "a:b", "text": ZINNOBER}, headers=me)
    await site.http.get(f"/v1/documents/{ZINNOBER}?q={ZINNOBER}", headers=me)
    await site.http.get("/v1/models", headers={"Authorization": f"Bearer {ZINNOBER}"})
    await site.http.get(f"/{ZINNOBER}")
    assert ZINNOBER not in log.getvalue()
    assert me["Authorization"].split("_", 2)[2] not in log.getvalue()
    requests = [line for line in lines_of(log) if line["message"] == "request"]
    assert len(requests) == 8
    asked = requests[0]
    assert asked["route"] == "/v1/ask"
    assert (asked["status"], asked["tenant"], asked["principal"]) == (200, ACME, "user:1")
    assert asked["trace_id"]


@dataclass(slots=True)
class Exploding(MemoryIndex):
    async def search_sparse(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{ZINNOBER} {args} {kwargs}")


async def test_an_unforeseen_error_shows_and_logs_no_content(
    tmp_path: Path, log: io.StringIO
) -> None:
    async with open_site(tmp_path, index=Exploding()) as site:
        me = await site.key("user:1")
        response = await site.http.post("/v1/search", json={"query": ZINNOBER}, headers=me)
    assert response.status_code == 500
    problem = response.json()
    assert problem["type"] == "urn:problem:internal-error"
    assert ZINNOBER not in response.text
    assert "Traceback" not in response.text
    assert ZINNOBER not in log.getvalue()
    [failure] = [line for line in lines_of(log) if line["message"] == "request failed"]
    assert failure["trace_id"] == problem["trace_id"]
    assert failure["frames"]


def test_an_exceptions_text_stays_out_of_the_log() -> None:
    error = StorageUnavailable(ZINNOBER)
    error.__cause__ = ValueError(ZINNOBER)
    record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, None)})
    line = json.loads(JsonLines().format(record))
    assert line["exception"] == "StorageUnavailable"
    assert "caused by ValueError" in line["frames"]
    assert ZINNOBER not in json.dumps(line)


# --- the description ---------------------------------------------------------------------------


async def test_every_example_in_the_description_is_a_valid_request(site: Site) -> None:
    description = (await site.http.get("/openapi.json")).json()
    schemas = description["components"]["schemas"]
    examples = 0
    for schema in schemas.values():
        for example in schema.get("examples", []):
            whole = {**schema, "components": {"schemas": schemas}}
            validator: Any = jsonschema.Draft202012Validator(whole)
            validator.validate(example)
            examples += 1
    assert examples >= 6


async def test_every_route_is_described_with_its_problems(site: Site) -> None:
    description = (await site.http.get("/openapi.json")).json()
    assert "Problem" in description["components"]["schemas"]
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            if path.startswith("/v1/"):
                assert route["security"], (method, path)
                assert {"401", "403", "422", "429"} <= route["responses"].keys(), (method, path)
                told = route["responses"]["401"]["content"]
                assert list(told) == ["application/problem+json"]


# --- people who sign in elsewhere --------------------------------------------------------------


@pytest.fixture
def provider() -> Generator[IdentityProvider]:
    with identity_provider() as running:
        yield running


async def test_people_who_sign_in_with_the_provider_read_what_is_theirs(
    provider: IdentityProvider, tmp_path: Path
) -> None:
    oidc = {
        "issuer": provider.issuer,
        "audience": AUDIENCE,
        "tenant": "acme",
        "admin_groups": ["group:oidc:operators"],
    }

    def bearer(**claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {provider.token(**claims)}"}

    async with open_site(tmp_path, settings={"oidc": oidc}) as site:
        document = await site.publish("file:///a", "x", readers=["group:oidc:finance"])

        async def get(path: str, headers: dict[str, str]) -> httpx.Response:
            return await site.http.get(path, headers=headers)

        there = f"/v1/documents/{document}"
        assert (await get(there, bearer())).status_code == 200
        assert (await get(there, bearer(groups=["sales"]))).status_code == 404
        assert (await get(there, bearer(groups=None))).status_code == 404
        assert (await get(there, bearer(aud="another"))).status_code == 401
        assert (await get("/v1/admin/keys", bearer())).status_code == 403
        operators = bearer(groups=["operators"])
        assert (await get("/v1/admin/keys", operators)).status_code == 200
        assert (await get(there, operators)).status_code == 404
        spoken = bearer() | {"X-On-Behalf-Of": "x"}
        assert (await get(there, spoken)).status_code == 403
        provider.is_down = True
        assert (await get(there, bearer())).status_code == 200


async def test_while_the_provider_has_never_answered_the_error_says_try_again(
    provider: IdentityProvider, tmp_path: Path
) -> None:
    provider.is_down = True
    oidc = {"issuer": provider.issuer, "audience": AUDIENCE}
    async with open_site(tmp_path, settings={"oidc": oidc}) as site:
        headers = {"Authorization": f"Bearer {provider.token()}"}
        assert (await site.http.get("/v1/models", headers=headers)).status_code == 503
