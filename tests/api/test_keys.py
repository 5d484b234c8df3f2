"""API keys: made once, kept as a hash, refused as soon as they are not valid."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from rag.access import Principal, PrincipalId, TenantId
from rag.errors import NotFound
from rag.storage.access.keys import KeyId, Keys, parse_token
from rag.storage.database import Database, open_database
from rag.storage.sources.ledger import Sources
from rag.storage.tables import Base

ACME, OTHER = TenantId("acme"), TenantId("other")
ANNA = Principal(ACME, PrincipalId("user:anna"), frozenset({PrincipalId("group:finance")}))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    async with open_database(f"sqlite:///{tmp_path / 'rag.db'}") as database:
        async with database.writing() as connection:
            await connection.run_sync(Base.metadata.create_all)
        for tenant in (ACME, OTHER):
            await Sources(database).add_tenant(tenant)
        yield database


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database)


async def test_a_key_proves_its_principal_and_its_permissions(keys: Keys) -> None:
    made = await keys.create(name="anna", principal=ANNA, permissions=["search", "ask"])
    key = await keys.authenticate(made.token)
    assert key is not None
    assert key.principal == ANNA
    assert key.permissions == {"search", "ask"}


async def test_the_secret_is_long_and_stored_nowhere(keys: Keys, database: Database) -> None:
    made = await keys.create(name="anna", principal=ANNA, permissions=["search"])
    parsed = parse_token(made.token)
    assert parsed is not None
    assert len(parsed.secret) * 6 >= 256
    assert parsed.secret not in repr(parsed)
    async with database.reading() as connection:
        rows = (await connection.execute(text("SELECT * FROM api_keys"))).all()
    assert parsed.secret not in repr(rows)
    assert parsed.secret not in repr(await keys.listed(ACME))


async def test_a_revoked_key_opens_nothing(keys: Keys) -> None:
    made = await keys.create(name="anna", principal=ANNA, permissions=["search"])
    await keys.revoke(ACME, made.key.id)
    assert await keys.authenticate(made.token) is None
    [listed] = await keys.listed(ACME)
    revoked_at = listed.revoked_at
    assert revoked_at is not None
    await keys.revoke(ACME, made.key.id)
    assert (await keys.listed(ACME))[0].revoked_at == revoked_at


async def test_an_expired_key_opens_nothing(keys: Keys) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    made = await keys.create(name="anna", principal=ANNA, permissions=["ask"], expires_at=past)
    assert await keys.authenticate(made.token) is None


async def test_a_right_id_with_another_keys_secret_opens_nothing(keys: Keys) -> None:
    one = await keys.create(name="one", principal=ANNA, permissions=["search"])
    two = await keys.create(name="two", principal=ANNA, permissions=["search"])
    first, second = parse_token(one.token), parse_token(two.token)
    assert first is not None
    assert second is not None
    assert await keys.authenticate(f"rag_{first.id}_{second.secret}") is None


async def test_nobody_sees_or_revokes_the_keys_of_another_tenant(keys: Keys) -> None:
    made = await keys.create(name="anna", principal=ANNA, permissions=["search"])
    assert await keys.listed(OTHER) == []
    with pytest.raises(NotFound):
        await keys.revoke(OTHER, made.key.id)
    with pytest.raises(NotFound):
        await keys.revoke(ACME, KeyId("0123456789abcdef"))
    assert await keys.authenticate(made.token) is not None


async def test_a_key_of_an_unknown_tenant_cannot_be_made(keys: Keys) -> None:
    nobody = Principal(TenantId("nowhere"), PrincipalId("user:x"))
    with pytest.raises(NotFound):
        await keys.create(name="x", principal=nobody, permissions=["search"])


async def test_the_last_use_of_a_key_is_noted(keys: Keys) -> None:
    made = await keys.create(name="anna", principal=ANNA, permissions=["search"])
    assert (await keys.listed(ACME))[0].last_used_at is None
    await keys.authenticate(made.token)
    assert (await keys.listed(ACME))[0].last_used_at is not None


@given(st.text())
def test_what_is_not_shaped_like_a_key_is_none(token: str) -> None:
    parsed = parse_token(token)
    assert parsed is None or token == f"rag_{parsed.id}_{parsed.secret}"


@pytest.mark.parametrize(
    "token", ["", "rag_", "rag__", "rag_id_short", f"rag_a b_{'x' * 43}", f"xyz_ab_{'x' * 43}"]
)
async def test_rubbish_opens_nothing(token: str, keys: Keys) -> None:
    assert await keys.authenticate(token) is None
