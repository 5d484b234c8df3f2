"""The database's schema, step by step: `migrate` brings any database to the newest.

It needs no `alembic.ini`, so that it works from an installed package; a developer's `alembic`
command finds the same scripts by `[tool.alembic]` in `pyproject.toml`.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from rag.storage.database import Database, open_database

NEWEST = "head"
EMPTY = "base"


async def migrate(url: str, *, to: str = NEWEST) -> None:
    """Bring the database at `url` to the revision `to`; a database that is there is left alone.

    Several processes may call it at once. Raises `ConfigurationError` and `StorageUnavailable`.
    """
    async with open_database(url, pool_size=1) as database:
        await migrate_database(database, to=to)


async def migrate_database(database: Database, *, to: str = NEWEST) -> None:
    """The same, for a database that is open."""
    async with database.writing() as connection:
        if database.dialect == "postgresql":
            # Any number will do, if it is always this one: one process migrates, others wait.
            await connection.execute(text("SELECT pg_advisory_xact_lock(7103295)"))
        await connection.run_sync(_run, to)


def settings_of(connection: Connection) -> Config:
    """Alembic's settings, for a connection that is open and inside a transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _run(connection: Connection, to: str) -> None:
    config = settings_of(connection)
    if to == EMPTY:
        command.downgrade(config, EMPTY)
    else:
        command.upgrade(config, to)
