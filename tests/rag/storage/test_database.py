"""Both databases under many hands, and when they fail."""

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, func, insert, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from rag.access import TenantId
from rag.errors import StorageUnavailable
from rag.storage.database import Database, open_database
from rag.storage.moments import now
from rag.storage.sources.ledger import Sources
from rag.storage.tables import MetadataFieldRow, TenantRow

WRITERS = 40


def field_named(name: str, *, tenant: str = "acme") -> dict[str, Any]:
    return {"tenant": tenant, "name": name, "audience": "a", "access": {}}


async def number_of_fields(database: Database) -> int:
    async with database.reading() as connection:
        return (await connection.execute(select(func.count(MetadataFieldRow.name)))).scalar_one()


async def test_many_writers_at_once_all_get_their_turn(database: Database) -> None:
    await Sources(database).add_tenant(TenantId("acme"))

    async def write(number: int) -> None:
        async with database.writing() as connection:
            await connection.execute(select(func.count(MetadataFieldRow.name)))
            await asyncio.sleep(0.001)
            await connection.execute(insert(MetadataFieldRow), field_named(f"field {number}"))

    readers = [number_of_fields(database) for _ in range(WRITERS)]
    await asyncio.gather(*map(write, range(WRITERS)), *readers)
    assert await number_of_fields(database) == WRITERS


async def test_a_second_process_waits_for_its_turn_too(sqlite_database_url: str) -> None:
    path = sqlite_database_url.removeprefix("sqlite:///")
    async with open_database(sqlite_database_url) as ours:
        await Sources(ours).add_tenant(TenantId("acme"))
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        write = asyncio.create_task(Sources(ours).add_tenant(TenantId("beta")))
        await asyncio.sleep(0.2)
        assert not write.done()
        assert await Sources(ours).tenants() == ["acme"]
        other.execute("COMMIT")
        other.close()
        await write
        assert await Sources(ours).tenants() == ["acme", "beta"]


async def test_what_raises_is_undone(database: Database) -> None:
    sources = Sources(database)

    async def write_and_fail() -> None:
        async with database.writing() as connection:
            row = {"id": "x", "name": "x", "created_at": sources.clock()}
            await connection.execute(insert(TenantRow), row)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_and_fail()
    assert await sources.tenants() == []


async def test_a_broken_constraint_is_not_called_a_failing_database(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.writing() as connection:
            await connection.execute(insert(MetadataFieldRow), field_named("x", tenant="none"))


async def test_a_server_that_does_not_answer_is_an_error_that_may_pass() -> None:
    async with open_database("postgresql://rag:hunter2@127.0.0.1:1/rag") as database:
        with pytest.raises(StorageUnavailable) as caught:
            await Sources(database).tenants()
    assert "hunter2" not in str(caught.value)


async def test_a_connection_that_the_server_ended_is_replaced(postgres_database_url: str) -> None:
    async with open_database(postgres_database_url) as database:
        sources = Sources(database)
        await sources.add_tenant(TenantId("acme"))
        with pytest.raises(StorageUnavailable):
            async with database.reading() as connection:
                await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert await sources.tenants() == ["acme"]


async def test_a_file_that_is_no_database_is_an_error_that_may_pass(tmp_path: Path) -> None:
    path = tmp_path / "rag.db"
    path.write_bytes(os.urandom(5000))
    async with open_database(f"sqlite:///{path}") as database:
        with pytest.raises(StorageUnavailable):
            await Sources(database).tenants()


async def test_a_full_database_is_an_error_that_may_pass_and_keeps_what_it_had(
    sqlite_database_url: str,
) -> None:
    async with open_database(sqlite_database_url, pool_size=1) as database:
        sources = Sources(database)
        await sources.add_tenant(TenantId("acme"))
        async with database.reading() as connection:
            pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
            await connection.execute(text(f"PRAGMA max_page_count = {pages + 1}"))
        with pytest.raises(StorageUnavailable):
            await sources.add_tenant(TenantId("beta"), name="x" * 100_000)
        assert await sources.tenants() == ["acme"]


async def test_rows_by_key_are_those_last_committed_whoever_wrote_them(database: Database) -> None:
    by_name = select(TenantRow.id).where(TenantRow.id == bindparam("id"))

    async def known(tenant: str) -> bool:
        return bool(await database.rows(by_name, {"id": tenant}, by_key=True))

    assert not await known("acme")
    await Sources(database).add_tenant(TenantId("acme"))
    assert await known("acme")
    async with database.writing() as connection:
        await connection.execute(insert(TenantRow).values(id="beta", name="Beta", created_at=now()))
        if database.dialect == "sqlite":
            assert not await known("beta")
    assert await known("beta")


async def test_a_failed_read_by_key_spoils_none_that_follow(database: Database) -> None:
    with pytest.raises((ProgrammingError, StorageUnavailable)):
        await database.rows(text("SELECT no_column FROM tenants"), by_key=True)
    assert not await database.rows(text("SELECT id FROM tenants"), by_key=True)
