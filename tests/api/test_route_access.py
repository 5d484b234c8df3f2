"""Who may call what: every route of the app, for everyone who might try."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI

from api.deps import PUBLIC, declared_routes
from api.permissions import EVERY_PERMISSION, NEVER_ON_BEHALF
from api.routers.prompt_version_shapes import VariantShape
from rag.access import Membership, PrincipalId
from rag.audit import event_of
from rag.errors import ConfigurationError
from rag.prompts.choosing import PRODUCTION
from rag.prompts.registry import load_version
from rag.prompts.rollouts import ModelCandidate, Plan
from rag.reviews import ReviewQuery
from rag.storage.generations.records import FIRST
from rag.storage.jobs.records import JobKind, NewJob
from rag.trail import Account, GuardVerdict, RequestId, Trail, UseCase
from tests.api.platform import ACME, OTHER, SOURCE, Site, open_site
from tests.rag.prompts.values import content, report

MARK = "zinnober"
"""Stands in everything that is the owner's; nobody else ever sees it."""


@dataclass(frozen=True, slots=True)
class Things:
    """What the owner has."""

    document: str
    pushed: str
    job: str
    key: str
    conversation: str
    review: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What one route answers the owner, a colleague without rights, and another tenant's admin."""

    owner: int
    peer: int
    other: int
    json: Mapping[str, Any] | Callable[[Things], Mapping[str, Any]] | None = None
    params: Callable[[Things], Mapping[str, str]] | None = None
    path: Mapping[str, Callable[[Things], str]] = field(
        default_factory=dict[str, Callable[[Things], str]]
    )


DOCUMENT: Mapping[str, Callable[[Things], str]] = {"document_id": lambda things: things.document}
PUSHED: Mapping[str, Callable[[Things], str]] = {"document_id": lambda things: things.pushed}
CONNECTOR: Mapping[str, Callable[[Things], str]] = {"connector_id": lambda _: SOURCE}
JOB: Mapping[str, Callable[[Things], str]] = {"job_id": lambda things: things.job}
CONVERSATION: Mapping[str, Callable[[Things], str]] = {
    "conversation_id": lambda things: things.conversation
}
KEY: Mapping[str, Callable[[Things], str]] = {"key_id": lambda things: things.key}
REVIEW: Mapping[str, Callable[[Things], str]] = {"review_id": lambda things: things.review}
GROUP: Mapping[str, Callable[[Things], str]] = {"group_id": lambda _: f"group:{MARK}"}

GENERATION: Mapping[str, Callable[[Things], str]] = {"generation_id": lambda _: str(FIRST)}
GOLDEN = {
    "cases": [{"id": "1", "question": f"What is the {MARK} budget?", "as": "user:owner"}],
    "documents_uri": "file:///",
}

PROMPT: Mapping[str, Callable[[Things], str]] = {
    "name": lambda _: "answer",
    "version": lambda _: "own-1",
    "label": lambda _: "candidate",
}
ROLLOUT: Mapping[str, Callable[[Things], str]] = {
    "name": lambda _: "answer",
    "rollout_id": lambda _: "1",
}
NEW_PROMPT = {
    "variants": [
        VariantShape.of(each).model_dump() | {"format": "Say it briefly."}
        for each in load_version("summary", "v1").content.variants
    ],
    "rationale": "shorter",
}

EXPECTED: Mapping[tuple[str, str], Expected] = {
    ("POST", "/v1/search"): Expected(200, 200, 200, {"query": "zinnober budget"}),
    ("POST", "/v1/ask"): Expected(200, 200, 200, {"question": "What is the zinnober budget?"}),
    ("POST", "/v1/conversations"): Expected(201, 201, 201),
    ("GET", "/v1/conversations/{conversation_id}"): Expected(200, 404, 404, path=CONVERSATION),
    ("DELETE", "/v1/conversations/{conversation_id}"): Expected(204, 404, 404, path=CONVERSATION),
    ("POST", "/v1/chat/completions"): Expected(
        200, 200, 200, {"messages": [{"role": "user", "content": "What is the zinnober budget?"}]}
    ),
    ("GET", "/v1/models"): Expected(200, 200, 200),
    ("GET", "/v1/documents/{document_id}"): Expected(200, 404, 404, path=DOCUMENT),
    ("GET", "/v1/documents/{document_id}/content"): Expected(200, 404, 404, path=DOCUMENT),
    ("POST", "/v1/documents"): Expected(202, 202, 202, {"uri": "crm:1", "text": "x"}),
    ("DELETE", "/v1/documents/{document_id}"): Expected(202, 404, 404, path=PUSHED),
    ("POST", "/v1/feedback"): Expected(201, 201, 201, {"trace_id": "12345678", "rating": "up"}),
    ("GET", "/v1/admin/connectors"): Expected(200, 403, 200),
    ("POST", "/v1/admin/connectors"): Expected(
        201, 403, 201, {"kind": "filesystem", "name": "n", "settings": {"root": "/srv/documents"}}
    ),
    ("GET", "/v1/admin/connectors/{connector_id}"): Expected(200, 403, 404, path=CONNECTOR),
    ("PATCH", "/v1/admin/connectors/{connector_id}"): Expected(
        200, 403, 404, {"state": "paused"}, path=CONNECTOR
    ),
    ("DELETE", "/v1/admin/connectors/{connector_id}"): Expected(202, 403, 404, path=CONNECTOR),
    ("POST", "/v1/admin/connectors/{connector_id}/test"): Expected(200, 403, 404, path=CONNECTOR),
    ("POST", "/v1/admin/connectors/{connector_id}/sync"): Expected(202, 403, 404, path=CONNECTOR),
    ("GET", "/v1/admin/connectors/{connector_id}/status"): Expected(200, 403, 404, path=CONNECTOR),
    ("POST", "/v1/admin/reindex"): Expected(202, 403, 404, {"connector": SOURCE}),
    # What is every tenant's is every operator's, whichever tenant their key is of.
    ("GET", "/v1/admin/generations"): Expected(200, 403, 200),
    ("POST", "/v1/admin/generations"): Expected(202, 403, 202, {"dry_run": True}),
    ("GET", "/v1/admin/generations/{generation_id}"): Expected(200, 403, 200, path=GENERATION),
    ("DELETE", "/v1/admin/generations/{generation_id}"): Expected(409, 403, 409, path=GENERATION),
    ("POST", "/v1/admin/generations/{generation_id}/compare"): Expected(
        409, 403, 409, GOLDEN, path=GENERATION
    ),
    ("POST", "/v1/admin/generations/{generation_id}/switch"): Expected(
        200, 403, 200, {}, path=GENERATION
    ),
    ("GET", "/v1/admin/jobs"): Expected(200, 403, 200),
    ("GET", "/v1/admin/jobs/failures"): Expected(200, 403, 200),
    ("POST", "/v1/admin/jobs/retry"): Expected(202, 403, 202, {}),
    ("GET", "/v1/admin/jobs/{job_id}"): Expected(200, 403, 404, path=JOB),
    ("POST", "/v1/admin/jobs/{job_id}/retry"): Expected(202, 403, 404, path=JOB),
    ("GET", "/v1/admin/documents/{document_id}/validations"): Expected(
        200, 403, 404, path=DOCUMENT
    ),
    ("GET", "/v1/admin/quarantine"): Expected(200, 403, 200),
    ("POST", "/v1/admin/quarantine/{document_id}/release"): Expected(
        404, 403, 404, {}, path=DOCUMENT
    ),
    ("GET", "/v1/admin/cache"): Expected(200, 403, 200),
    ("DELETE", "/v1/admin/cache"): Expected(200, 403, 200),
    ("GET", "/v1/admin/keys"): Expected(200, 403, 200),
    ("POST", "/v1/admin/keys"): Expected(
        201, 403, 201, {"name": "n", "principal": "user:9", "permissions": ["search"]}
    ),
    ("DELETE", "/v1/admin/keys/{key_id}"): Expected(204, 403, 404, path=KEY),
    ("GET", "/v1/admin/audit"): Expected(200, 403, 200),
    ("GET", "/v1/admin/audit/anchor"): Expected(200, 403, 200),
    ("POST", "/v1/admin/audit/verify"): Expected(200, 403, 200, {}),
    ("DELETE", "/v1/admin/audit/persons/{principal_id}"): Expected(
        404, 403, 404, path={"principal_id": lambda _: "user:nobody"}
    ),
    ("GET", "/v1/admin/reviews"): Expected(200, 403, 200),
    ("GET", "/v1/admin/reviews/{review_id}"): Expected(200, 403, 404, path=REVIEW),
    ("POST", "/v1/admin/reviews/{review_id}/decision"): Expected(
        200, 403, 404, {"decision": "confirmed", "note": MARK}, path=REVIEW
    ),
    ("GET", "/v1/admin/routing"): Expected(200, 403, 200),
    ("GET", "/v1/admin/prompts"): Expected(200, 403, 200),
    ("GET", "/v1/admin/prompts/{name}"): Expected(200, 403, 200, path=PROMPT),
    ("POST", "/v1/admin/prompts/{name}/versions"): Expected(
        201, 403, 201, NEW_PROMPT, path={"name": lambda _: "summary"}
    ),
    ("GET", "/v1/admin/prompts/{name}/versions/{version}"): Expected(200, 403, 404, path=PROMPT),
    ("PUT", "/v1/admin/prompts/{name}/versions/{version}/report"): Expected(
        200, 403, 404, report(), path=PROMPT
    ),
    ("GET", "/v1/admin/prompts/{name}/diff"): Expected(
        200, 403, 404, params=lambda _: {"before": "v2", "after": "own-1"}, path=PROMPT
    ),
    ("PUT", "/v1/admin/prompts/{name}/labels/{label}"): Expected(
        200, 403, 404, {"version": "own-1"}, path=PROMPT
    ),
    ("POST", "/v1/admin/prompts/{name}/rollback"): Expected(
        200, 403, 409, {"reason": "worse"}, path=PROMPT
    ),
    ("POST", "/v1/admin/prompts/{name}/rollouts"): Expected(
        201, 403, 404, {"plan": "canary", "version": "own-2"}, path=PROMPT
    ),
    ("GET", "/v1/admin/prompts/{name}/rollouts/{rollout_id}"): Expected(
        200, 403, 404, path=ROLLOUT
    ),
    ("POST", "/v1/admin/prompts/{name}/rollouts/{rollout_id}/stop"): Expected(
        200, 403, 404, {"reason": "enough"}, path=ROLLOUT
    ),
    ("GET", "/v1/admin/groups"): Expected(200, 403, 200),
    ("GET", "/v1/admin/groups/{group_id}"): Expected(200, 403, 404, path=GROUP),
    ("PUT", "/v1/admin/groups/{group_id}"): Expected(
        200, 403, 200, {"members": [{"id": "user:9"}]}, path={"group_id": lambda _: "group:new"}
    ),
    ("DELETE", "/v1/admin/groups/{group_id}"): Expected(204, 403, 404, path=GROUP),
    ("GET", "/v1/admin/budgets"): Expected(200, 403, 200),
    ("PUT", "/v1/admin/budgets"): Expected(
        200, 403, 200, {"level": "tenant", "window": "day", "money": 1}
    ),
    ("DELETE", "/v1/admin/budgets"): Expected(
        404, 403, 404, params=lambda _: {"level": "tenant", "window": "day"}
    ),
    ("GET", "/v1/admin/usage"): Expected(200, 403, 200),
    ("GET", "/v1/admin/access/explain"): Expected(
        200, 403, 404, params=lambda things: {"user": "user:1", "document": things.document}
    ),
}
OPEN_TO_ALL = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path, reply="The zinnober budget is 4711 euros. [1]") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    """One for all the tests that change nothing of it."""
    async with open_site(tmp_path_factory.mktemp("still")) as running:
        yield running


async def things_of_the_owner(site: Site, owner: dict[str, str]) -> Things:
    document = await site.publish(
        f"file:///{MARK}.txt", f"The {MARK} budget is 4711 euros.", readers=["user:owner"]
    )
    sent = {"uri": f"crm:{MARK}", "text": MARK, "readers": ["user:owner"]}
    accepted = await site.http.post("/v1/documents", json=sent, headers=owner)
    pushed = await site.platform.jobs.get(ACME, accepted.json()["job_id"])
    pushed_document = await site.publish(
        f"crm:{MARK}", MARK, readers=["user:owner"], source=pushed.source
    )
    [job] = await site.platform.jobs.enqueue(
        [NewJob(tenant=ACME, source=SOURCE, kind=JobKind.UPSERT, uri=f"file:///{MARK}")]
    )
    group = PrincipalId(f"group:{MARK}")
    team = [Membership(PrincipalId("user:owner"), group)]
    await site.platform.groups.put_members(ACME, group, team)
    await prompts_of_the_owner(site)
    [newest, *_] = await site.platform.keys.listed(ACME)
    asked = {"question": f"What is the {MARK} budget?", "conversation_id": "new"}
    answer = await site.http.post("/v1/ask", json=asked, headers=owner)
    conversation = answer.json()["conversation_id"]
    review = await review_of_the_owner(site)
    return Things(document, pushed_document, job, newest.id, conversation, review)


async def review_of_the_owner(site: Site) -> str:
    """Something they asked that a guardrail flagged."""
    verdict = GuardVerdict(check="secrets", direction="input", standing="flagged", score=0.9)
    trail = Trail(
        request=RequestId(MARK),
        account=Account(tenant=ACME, user=PrincipalId("user:owner")),
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
        verdicts=[verdict],
    )
    told = event_of(trail, action="ask", decision="answered", question=MARK)
    await site.platform.audit.record(told)
    [review] = await site.platform.reviews.listed(ReviewQuery(tenant=ACME))
    return str(review.id)


async def prompts_of_the_owner(site: Site) -> None:
    """Two versions of their own, of which one serves, and a rollout."""
    prompts = site.platform.prompts
    for words in (f"Say {MARK}.", f"Never say {MARK}."):
        await prompts.ledger.create(
            ACME, "answer", content(words), rationale=MARK, by=f"user:{MARK}"
        )
    first = await prompts.ledger.get(ACME, "answer", "own-1")
    await prompts.ledger.set_label(first, PRODUCTION, tenant=ACME, by=f"user:{MARK}")
    await prompts.rollouts.start(
        ACME, "answer", Plan.AB, ModelCandidate(MARK), share=0.5, budget=None, by=f"user:{MARK}"
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_no_route_is_left_out(still_site: Site) -> None:
    declared = declared_routes(still_site.app)
    routes = {(route.method, route.path): route.permission for route in declared}
    assert routes.keys() == EXPECTED.keys() | OPEN_TO_ALL
    assert {route for route, permission in routes.items() if permission is None} == OPEN_TO_ALL


@pytest.mark.parametrize("route", sorted(EXPECTED), ids=" ".join)
async def test_each_caller_gets_what_is_theirs(route: tuple[str, str], site: Site) -> None:
    expected = EXPECTED[route]
    owner = await site.key("user:owner")
    things = await things_of_the_owner(site, owner)
    callers: dict[str, tuple[dict[str, str], int]] = {
        "anonymous": ({}, 401),
        "expired": (await site.expired_key("user:owner"), 401),
        "revoked": (await site.revoked_key("user:owner"), 401),
        "peer": (
            await site.key("user:peer", permissions=EVERY_PERMISSION - NEVER_ON_BEHALF),
            expected.peer,
        ),
        "other": (await site.key("user:owner", tenant=OTHER), expected.other),
        "owner": (owner, expected.owner),
    }
    for name, (headers, status) in callers.items():
        path = route[1].format_map({part: of(things) for part, of in expected.path.items()})
        response = await site.http.request(
            route[0],
            path,
            headers=headers,
            json=expected.json(things) if callable(expected.json) else expected.json,
            params=expected.params(things) if expected.params else None,
        )
        assert response.status_code == status, (name, response.text)
        if name != "owner":
            assert MARK not in response.text, name


@pytest.mark.parametrize("route", sorted(OPEN_TO_ALL), ids=" ".join)
async def test_what_is_open_to_all_tells_nothing_of_anyone(
    route: tuple[str, str], site: Site
) -> None:
    await things_of_the_owner(site, await site.key("user:owner"))
    response = await site.http.request(*route)
    assert response.status_code == 200
    for tells in (MARK, ACME, "user:owner"):
        assert tells not in response.text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", sorted(EXPECTED), ids=" ".join)
async def test_a_key_without_the_permission_is_told_so(
    route: tuple[str, str], still_site: Site
) -> None:
    [permission] = [
        declared.permission
        for declared in declared_routes(still_site.app)
        if (declared.method, declared.path) == route
    ]
    assert permission is not None
    expected = EXPECTED[route]
    headers = await still_site.key("user:owner", permissions=EVERY_PERMISSION - {permission})
    nothing = Things("d", "d", "j", "k", "0" * 32, "1.1")
    response = await still_site.http.request(
        route[0],
        route[1].format_map({part: of(nothing) for part, of in expected.path.items()}),
        headers=headers,
        json=expected.json(nothing) if callable(expected.json) else expected.json,
        params=expected.params(nothing) if expected.params else None,
    )
    assert response.status_code == 403
    assert permission in response.json()["detail"]


def test_an_app_with_an_undeclared_route_is_not_made() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(ConfigurationError, match="/forgotten"):
        declared_routes(app)

    declared = FastAPI(openapi_url=None)
    declared.get("/open", dependencies=[PUBLIC])(forgotten)
    assert len(declared_routes(declared)) == 1


@pytest.mark.parametrize("content", ["", "/content"])
async def test_a_document_that_is_not_for_you_is_not_there(content: str, site: Site) -> None:
    things = await things_of_the_owner(site, await site.key("user:owner"))
    peer = await site.key("user:peer")
    trace = {"X-Request-ID": "the-same-trace"}
    hidden = await site.http.get(f"/v1/documents/{things.document}{content}", headers=peer | trace)
    absent = await site.http.get(f"/v1/documents/{'0' * 32}{content}", headers=peer | trace)
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content == absent.content
    assert hidden.headers == absent.headers
