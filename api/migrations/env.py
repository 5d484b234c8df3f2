"""What alembic runs around the migrations: on the connection it is given, or on RAG_DATABASE_URL."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection

from rag.storage.database import open_database
from rag.storage.tables import Base


def run_on(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        # The transaction is the caller's: on both databases a migration happens whole or not.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_from_command_line() -> None:
    async with (
        open_database(os.environ["RAG_DATABASE_URL"]) as database,
        database.writing() as connection,
    ):
        await connection.run_sync(run_on)


given: Connection | None = context.config.attributes.get("connection")
if given is None:
    asyncio.run(run_from_command_line())
else:
    run_on(given)
