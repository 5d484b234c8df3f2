"""An app that speaks for a person: it hands over its tenant, and nothing else of itself."""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest

from api.auth import ON_BEHALF_AUDIENCE, Authenticator
from api.permissions import EVERY_PERMISSION, Permission
from api.settings_server import OidcSettings
from rag.access import Membership, Principal, PrincipalId, TenantId
from rag.errors import Forbidden, Unauthenticated
from rag.storage.access.expansion import Expansions
from rag.storage.access.groups import Groups
from rag.storage.access.keys import Keys, parse_token
from rag.storage.database import open_database
from rag.storage.sources.ledger import Sources
from rag.storage.tables import Base
from rag.types import SourceId

ACME = TenantId("acme")
APP = Principal(ACME, PrincipalId("app:intranet"), frozenset({PrincipalId("group:everything")}))


@dataclass
class App:
    authenticator: Authenticator
    keys: Keys
    groups: Groups
    token: str

    @property
    def secret(self) -> str:
        parsed = parse_token(self.token)
        assert parsed is not None
        return parsed.secret

    def assertion(
        self, *, secret: str | None = None, algorithm: str = "HS256", **change: Any
    ) -> str:
        claims: dict[str, Any] = {
            "sub": "user:1042",
            "groups": ["group:finance"],
            "aud": ON_BEHALF_AUDIENCE,
            "exp": int(time.time()) + 240,
        } | change
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, secret or self.secret, algorithm=algorithm)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncGenerator[App]:
    async with open_database(f"sqlite:///{tmp_path / 'rag.db'}") as database:
        async with database.writing() as connection:
            await connection.run_sync(Base.metadata.create_all)
        await Sources(database).add_tenant(ACME)
        keys = Keys(database)
        made = await keys.create(name="intranet", principal=APP, permissions=EVERY_PERMISSION)
        authenticator = Authenticator(
            keys=keys,
            expansions=Expansions(Groups(database)),
            oidc=None,
            oidc_settings=OidcSettings(),
            oidc_tenant=ACME,
        )
        yield App(authenticator, keys, Groups(database), made.token)


async def test_the_person_has_their_own_identities_and_none_of_the_apps(app: App) -> None:
    caller = await app.authenticator.caller(f"Bearer {app.token}", app.assertion())
    assert caller.principal == Principal(
        ACME, PrincipalId("user:1042"), frozenset({PrincipalId("group:finance")})
    )
    assert caller.via == "on_behalf_of"


async def test_the_person_belongs_to_what_the_ledger_says_and_the_app_does_not_count(
    app: App,
) -> None:
    edges = [("user:1042", "a"), ("group:finance", "b"), ("group:everything", "c"), (APP.id, "d")]
    said = [Membership(PrincipalId(one), PrincipalId(f"group:{of}")) for one, of in edges]
    await app.groups.replace(ACME, SourceId("directory"), said)
    person = await app.authenticator.caller(f"Bearer {app.token}", app.assertion())
    assert person.principal.groups == {"group:finance", "group:a", "group:b"}
    itself = await app.authenticator.caller(f"Bearer {app.token}", None)
    assert itself.principal.groups == {"group:everything", "group:c", "group:d"}


async def test_the_person_can_neither_administrate_nor_speak_for_others(app: App) -> None:
    caller = await app.authenticator.caller(f"Bearer {app.token}", app.assertion())
    not_theirs = {
        Permission.ADMIN,
        Permission.AUDIT,
        Permission.OPERATE,
        Permission.IMPERSONATE,
    }
    assert caller.permissions == EVERY_PERMISSION - not_theirs


async def test_a_key_that_may_not_speak_for_others_does_not(app: App) -> None:
    made = await app.keys.create(name="plain", principal=APP, permissions=["search", "admin"])
    plain = App(app.authenticator, app.keys, app.groups, made.token)
    with pytest.raises(Forbidden):
        await app.authenticator.caller(f"Bearer {plain.token}", plain.assertion())


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # HS512, of its maker
@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "x" * 43},
        {"algorithm": "HS512"},
        {"aud": "another"},
        {"aud": None},
        {"exp": None},
        {"exp": 1},
        {"exp": 2**33},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"sub": None},
        {"sub": "everyone"},
        {"sub": "app:intranet"},
        {"sub": "group:finance"},
        {"sub": "user:"},
        {"sub": "user:a b"},
        {"groups": "group:finance"},
        {"groups": ["everyone"]},
        {"groups": ["user:2"]},
        {"groups": [7]},
        {"groups": {"group:finance": True}},
        {"groups": ["group:x"] * 1_001},
    ],
    ids=str,
)
async def test_an_assertion_that_is_not_in_order_is_refused(
    wrong: dict[str, Any], app: App
) -> None:
    with pytest.raises(Unauthenticated):
        await app.authenticator.caller(f"Bearer {app.token}", app.assertion(**wrong))


async def test_a_person_without_groups_has_none(app: App) -> None:
    caller = await app.authenticator.caller(f"Bearer {app.token}", app.assertion(groups=None))
    assert caller.principal.groups == frozenset()


async def test_another_apps_assertion_is_refused(app: App) -> None:
    made = await app.keys.create(name="other", principal=APP, permissions=EVERY_PERMISSION)
    other = App(app.authenticator, app.keys, app.groups, made.token)
    with pytest.raises(Unauthenticated):
        await app.authenticator.caller(f"Bearer {app.token}", other.assertion())


@pytest.mark.parametrize("rubbish", ["", "x", "a.b.c", "x" * 20_000])
async def test_rubbish_is_refused_and_never_ignored(rubbish: str, app: App) -> None:
    with pytest.raises(Unauthenticated):
        await app.authenticator.caller(f"Bearer {app.token}", rubbish)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "rag_x_y", "Bearer é"]
)
async def test_without_a_bearer_token_nobody_is_known(header: str | None, app: App) -> None:
    with pytest.raises(Unauthenticated):
        await app.authenticator.caller(header, None)


async def test_only_an_app_may_speak_for_somebody(app: App) -> None:
    with pytest.raises(Forbidden):
        await app.authenticator.caller("Bearer eyJhbGciOiJSUzI1NiJ9.e30.", app.assertion())
