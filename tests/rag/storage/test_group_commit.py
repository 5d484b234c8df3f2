"""What is written together is undone alone, durable together, and fails with the disk together."""

import asyncio
import sqlite3
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError

from rag.errors import StorageUnavailable
from rag.storage.database import Database, open_database
from rag.storage.tables import TenantRow

INSERT = text("INSERT INTO tenants (id, name, created_at) VALUES (:id, :name, '2026-01-01')")


def adding(tenant: str, *, name: str = "", fails: bool = False) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(INSERT, {"id": tenant, "name": name})
        if fails:
            raise ZeroDivisionError(tenant)
        return tenant

    return work


async def tenants_of(database: Database) -> set[str]:
    return {row.id for row in await database.rows(select(TenantRow.id))}


async def test_of_many_at_once_only_what_raises_is_undone(database: Database) -> None:
    writes = [adding(f"t{number}", fails=number % 7 == 3) for number in range(40)]
    writes.append(adding("t0"))  # there already: a broken constraint is no one else's
    results = await asyncio.gather(*map(database.write, writes), return_exceptions=True)
    written = {result for result in results if isinstance(result, str)}
    assert written == {f"t{number}" for number in range(40) if number % 7 != 3}
    assert isinstance(results[3], ZeroDivisionError)
    assert isinstance(results[-1], IntegrityError)
    assert await tenants_of(database) == written


async def test_what_was_written_is_durable_when_the_write_ends(sqlite_database_url: str) -> None:
    path = sqlite_database_url.removeprefix("sqlite:///")

    async def write_and_look(database: Database, tenant: str) -> None:
        await database.write(adding(tenant))
        other = sqlite3.connect(path)
        assert other.execute("SELECT 1 FROM tenants WHERE id = ?", [tenant]).fetchall()
        other.close()

    async with open_database(sqlite_database_url) as database:
        await asyncio.gather(*(write_and_look(database, f"t{number}") for number in range(30)))


async def test_a_disk_that_is_full_fails_all_that_were_written_together_and_nothing_is_half_there(
    sqlite_database_url: str,
) -> None:
    async with open_database(sqlite_database_url) as database:
        await database.write(adding("before"))

        def few_pages_more(connection: Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 100}")

        await database.write(few_pages_more)
        writes = [adding(f"t{number}", name="x" * 50_000) for number in range(30)]
        results = await asyncio.gather(*map(database.write, writes), return_exceptions=True)
        assert any(isinstance(result, StorageUnavailable) for result in results)
        written = {result for result in results if isinstance(result, str)}
        assert await tenants_of(database) == written | {"before"}
        await database.write(adding("after"))


async def test_whoever_gives_up_before_its_turn_writes_nothing(sqlite_database: Database) -> None:
    async with sqlite_database.writing():
        given_up = asyncio.create_task(sqlite_database.write(adding("given up")))
        kept = asyncio.create_task(sqlite_database.write(adding("kept")))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
    await kept
    assert await tenants_of(sqlite_database) == {"kept"}


async def test_the_writes_of_a_block_and_of_a_function_take_turns(database: Database) -> None:
    async def in_a_block(number: int) -> None:
        async with database.writing() as connection:
            await connection.execute(INSERT, {"id": f"block {number}", "name": ""})
            await asyncio.sleep(0)

    blocks = [in_a_block(number) for number in range(10)]
    await asyncio.gather(*blocks, *(database.write(adding(f"f {n}")) for n in range(10)))
    assert len(await tenants_of(database)) == 20


async def test_an_error_of_one_write_is_raised_where_it_was_asked_for(database: Database) -> None:
    await database.write(adding("acme"))
    with pytest.raises(IntegrityError):
        await database.write(adding("acme"))
