"""The migrations make what the code expects, on both databases."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from api.migrations import EMPTY, migrate, migrate_database
from rag.errors import ConfigurationError
from rag.storage.database import Database, open_database
from rag.storage.tables import Base


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
        assert await connection.run_sync(tables) >= set(Base.metadata.tables)


async def test_they_go_down_to_nothing_and_up_again(database: Database) -> None:
    await migrate_database(database, to=EMPTY)
    async with database.reading() as connection:
        assert await connection.run_sync(tables) <= {"alembic_version"}
    await migrate_database(database)
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'a folder that is not there yet' / 'rag.db'}"
    await migrate(url)
    await migrate(url)
    async with open_database(url) as database, database.reading() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("url", ["mysql://root:hunter2@host/db", "no url", "sqlite://", ""])
async def test_a_url_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await migrate(url)
    assert "hunter2" not in str(caught.value)
