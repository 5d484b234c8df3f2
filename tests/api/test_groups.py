"""Groups at the API: who they let in and shut out, from the next question on."""

from collections.abc import AsyncGenerator, Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.assertions import sign_assertion
from api.auth import Authenticator
from api.settings_server import OidcSettings
from rag.access import Membership, PrincipalId, TenantId
from rag.errors import StorageUnavailable
from rag.storage.access.expansion import Expansions
from rag.storage.access.groups import Epoch
from rag.storage.access.keys import parse_token
from rag.types import SourceId
from tests.api.platform import ACME, OTHER, SOURCE, Site, open_site

BUDGET = "The zinnober budget is 4711 euros."
PAST, FUTURE = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path, reply=f"{BUDGET} [1]") as running:
        yield running


@pytest.fixture
async def me(site: Site) -> dict[str, str]:
    return await site.key("user:admin")


async def put(
    site: Site, me: dict[str, str], group: str, members: Iterable[str | tuple[str, str]]
) -> dict[str, Any]:
    listed = [
        {"id": each} if isinstance(each, str) else {"id": each[0], "until": each[1]}
        for each in members
    ]
    response = await site.http.put(
        f"/v1/admin/groups/{group}", json={"members": listed}, headers=me
    )
    assert response.status_code == 200, response.text
    return response.json()


async def reads(site: Site, document: str, headers: dict[str, str]) -> bool:
    """What every read path says, which is one thing."""
    told = {
        (await site.http.get(f"/v1/documents/{document}", headers=headers)).is_success,
        (await site.http.get(f"/v1/documents/{document}/content", headers=headers)).is_success,
    }
    search = await site.http.post("/v1/search", json={"query": "zinnober"}, headers=headers)
    told.add(document in {hit["document_id"] for hit in search.json()["hits"]})
    for stream in (False, True):
        ask = {"question": "What is the zinnober budget?", "stream": stream}
        told.add(document in (await site.http.post("/v1/ask", json=ask, headers=headers)).text)
    assert len(told) == 1
    return told.pop()


async def test_a_group_lets_in_and_shuts_out_from_the_next_question_on(
    site: Site, me: dict[str, str]
) -> None:
    document = await site.publish("file:///a", BUDGET, readers=["group:board"])
    anna = await site.key("user:anna")
    assert not await reads(site, document, anna)
    await put(site, me, "group:team", ["user:anna"])
    await put(site, me, "group:board", ["group:team"])
    assert await reads(site, document, anna)
    await put(site, me, "group:team", [])
    assert not await reads(site, document, anna)
    await put(site, me, "group:team", [("user:anna", FUTURE)])
    assert await reads(site, document, anna)
    await put(site, me, "group:team", [("user:anna", PAST)])
    assert not await reads(site, document, anna)


async def test_a_stored_group_that_is_denied_is_denied(site: Site, me: dict[str, str]) -> None:
    document = await site.publish(
        "file:///a",
        BUDGET,
        readers=["everyone"],
        denied=["group:rivals"],
    )
    anna = await site.key("user:anna", groups=["group:sales"])
    assert await reads(site, document, anna)
    await put(site, me, "group:rivals", ["group:sales"])
    assert not await reads(site, document, anna)
    await put(site, me, "group:rivals", ["everyone"])
    assert not await reads(site, document, await site.key("user:ben"))


async def test_a_person_an_app_speaks_for_has_their_stored_groups(
    site: Site, me: dict[str, str]
) -> None:
    document = await site.publish("file:///a", BUDGET, readers=["group:board"])
    app = await site.key("app:portal")
    key = parse_token(app["Authorization"].removeprefix("Bearer "))
    assert key is not None
    anna = app | {"X-On-Behalf-Of": sign_assertion(key, user="user:anna", groups=("group:team",))}
    assert not await reads(site, document, anna)
    await put(site, me, "group:board", ["group:team"])
    assert await reads(site, document, anna)
    assert not await reads(site, document, app)


async def test_no_stored_group_gives_a_permission(site: Site, me: dict[str, str]) -> None:
    await put(site, me, "group:admins", ["user:anna"])
    anna = await site.key("user:anna", permissions=[])
    assert (await site.http.get("/v1/admin/groups", headers=anna)).status_code == 403


async def test_without_its_groups_nobody_is_served(site: Site) -> None:
    class Silent:
        async def epoch(self, tenant: TenantId, identities: Collection[PrincipalId]) -> Epoch:
            raise StorageUnavailable(f"no word on {len(identities)} identities of {tenant}")

        async def closure(
            self, tenant: TenantId, identities: Collection[PrincipalId]
        ) -> frozenset[PrincipalId]:
            raise AssertionError(f"{tenant}: {identities} were asked for though nobody can check")

    authenticator = Authenticator(
        keys=site.platform.keys,
        expansions=Expansions(Silent()),
        oidc=None,
        oidc_settings=OidcSettings(),
        oidc_tenant=ACME,
    )
    headers = await site.key("user:anna")
    with pytest.raises(StorageUnavailable):
        await authenticator.caller(headers["Authorization"], None)


async def test_who_belongs_to_more_groups_than_can_be_checked_is_refused(site: Site) -> None:
    document = await site.publish("file:///a", "x", readers=["user:anna"])
    said = [
        Membership(PrincipalId("user:anna"), PrincipalId(f"group:{number}"))
        for number in range(5_001)
    ]
    await site.platform.groups.replace(ACME, SourceId("directory"), said)
    anna = await site.key("user:anna")
    response = await site.http.get(f"/v1/documents/{document}", headers=anna)
    assert response.status_code == 403
    assert "more than 5000 groups" in response.json()["detail"]


# --- administration -------------------------------------------------------------------------------


async def test_administrators_list_change_and_take_back_groups(
    site: Site, me: dict[str, str]
) -> None:
    shown = await put(site, me, "group:board", ["user:anna", ("group:auditors", FUTURE)])
    assert shown == {
        "id": "group:board",
        "members": [
            {"id": "group:auditors", "until": FUTURE, "source": "admins", "counts": True},
            {"id": "user:anna", "until": None, "source": "admins", "counts": True},
        ],
    }
    said = [Membership(PrincipalId("user:ben"), PrincipalId("group:board"))]
    await site.platform.groups.replace(ACME, SOURCE, said)
    listed = await site.http.get("/v1/admin/groups", headers=me)
    assert listed.json() == {
        "groups": [{"id": "group:board", "members": 3, "sources": 2}],
        "next": None,
    }
    assert (await site.http.delete("/v1/admin/groups/group:board", headers=me)).status_code == 204
    left = (await site.http.get("/v1/admin/groups/group:board", headers=me)).json()
    assert [(each["id"], each["source"]) for each in left["members"]] == [("user:ben", SOURCE)]
    assert (await site.http.delete("/v1/admin/groups/group:board", headers=me)).status_code == 404
    # A connector's word goes with the connector.
    gone = await site.http.delete(f"/v1/admin/connectors/{SOURCE}", headers=me)
    assert gone.status_code == 202
    assert (await site.http.get("/v1/admin/groups/group:board", headers=me)).status_code == 404


async def test_groups_come_in_pages(site: Site, me: dict[str, str]) -> None:
    for number in range(5):
        await put(site, me, f"group:{number}", ["user:anna"])
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        response = await site.http.get(
            "/v1/admin/groups", params={"limit": 2, "after": after}, headers=me
        )
        page = response.json()
        found += [each["id"] for each in page["groups"]]
        after = page["next"]
    assert found == [f"group:{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("group", "members"),
    [
        ("board", [{"id": "user:anna"}]),
        ("user:anna", [{"id": "user:anna"}]),
        ("group:board", [{"id": "anna"}]),
        ("group:board", [{"id": "user:anna", "until": "2026-12-31"}]),
        ("group:board", [{"id": "user:anna", "until": "2026-12-31T00:00:00"}]),
        ("group:board", [{"id": "user:anna"}, {"id": "user:anna", "until": FUTURE}]),
        ("group:board", ["user:anna"]),
    ],
)
async def test_what_is_no_group_is_not_stored(
    group: str, members: list[Any], site: Site, me: dict[str, str]
) -> None:
    response = await site.http.put(
        f"/v1/admin/groups/{group}", json={"members": members}, headers=me
    )
    assert response.status_code == 422, response.text
    assert await site.platform.groups.listed(ACME) == []


async def test_another_tenants_groups_count_for_nobody_here(site: Site) -> None:
    document = await site.publish("file:///a", BUDGET, readers=["group:board"])
    theirs = await site.key("user:admin", tenant=OTHER)
    await put(site, theirs, "group:board", ["user:anna"])
    assert not await reads(site, document, await site.key("user:anna"))


# --- explanations -----------------------------------------------------------------------------------


async def explained(
    site: Site, me: dict[str, str], user: str, document: str, *groups: str
) -> dict[str, Any]:
    params: dict[str, Any] = {"user": user, "document": document, "groups": list(groups)}
    response = await site.http.get("/v1/admin/access/explain", params=params, headers=me)
    assert response.status_code == 200, response.text
    return response.json()


async def test_an_explanation_shows_the_way_through_the_groups(
    site: Site, me: dict[str, str]
) -> None:
    document = await site.publish("file:///a", "x", readers=["group:board", "user:ben"])
    await put(site, me, "group:team", ["user:anna", "group:team"])
    await put(site, me, "group:board", ["group:team", "group:token"])
    told = await explained(site, me, "user:anna", document)
    assert told["readable"]
    assert told["paths"] == {"group:board": ["user:anna", "group:team", "group:board"]}
    assert told["clauses"][0]["held"] == ["group:board"]
    told = await explained(site, me, "user:cleo", document, "group:token")
    assert told["paths"] == {"group:board": ["user:cleo", "group:token", "group:board"]}
    told = await explained(site, me, "user:cleo", document)
    assert (told["readable"], told["paths"]) == (False, {})


async def test_an_explanation_names_the_deny_and_how_it_is_come_by(
    site: Site, me: dict[str, str]
) -> None:
    document = await site.publish("file:///a", "x", readers=["everyone"], denied=["group:rivals"])
    await put(site, me, "group:rivals", ["user:anna"])
    told = await explained(site, me, "user:anna", document)
    assert (told["readable"], told["denied"]) == (False, ["group:rivals"])
    assert told["paths"]["group:rivals"] == ["user:anna", "group:rivals"]
    assert "denies" in told["reason"]


async def test_an_explanation_names_what_ended(site: Site, me: dict[str, str]) -> None:
    end = datetime(2026, 1, 1, tzinfo=UTC)
    document = await site.publish(
        "file:///a", "x", readers=["user:ben", "group:board"], until={"user:ben": end}
    )
    told = await explained(site, me, "user:ben", document)
    assert not told["readable"]
    assert "has ended" in told["reason"]
    assert told["clauses"][0]["ended"] == [{"id": "user:ben", "until": PAST}]
    await put(site, me, "group:board", [("user:anna", PAST)])
    told = await explained(site, me, "user:anna", document)
    assert not told["readable"]
    assert told["ended_memberships"] == [
        {"member": "user:anna", "group": "group:board", "until": PAST}
    ]


async def test_an_explanation_names_the_age_that_hides_a_document(
    site: Site, me: dict[str, str]
) -> None:
    document = await site.publish("file:///a", BUDGET, readers=["user:admin"])
    ledger = site.platform.documents
    found = await ledger.find(ACME, document)
    assert found is not None
    confirmed = datetime.now(UTC) - timedelta(hours=3)
    await ledger.describe(
        ACME,
        document,
        fence=found.fence,
        access=found.access,
        confirmed_at=confirmed,
    )

    async def limit(hours: float | None) -> None:
        response = await site.http.patch(
            f"/v1/admin/connectors/{SOURCE}", json={"access_max_age_hours": hours}, headers=me
        )
        assert response.status_code == 200, response.text
        assert response.json()["access_max_age_hours"] == hours

    assert await reads(site, document, me)
    await limit(2)
    assert not await reads(site, document, me)
    told = await explained(site, me, "user:admin", document)
    assert (told["readable"], told["max_age_hours"]) == (False, 2)
    assert datetime.fromisoformat(told["acl_as_of"]) == confirmed
    assert "longer ago than is allowed" in told["reason"]
    for hours in (4, 0, None):
        await limit(hours)
        assert await reads(site, document, me)
        assert (await explained(site, me, "user:admin", document))["readable"]
