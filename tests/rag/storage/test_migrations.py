"""The migrations make what the code expects, on both databases."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, text

from api.migrations import EMPTY, migrate, migrate_database, settings_of
from rag.access import TenantId, readable_by
from rag.errors import ConfigurationError
from rag.storage.database import Database, open_database
from rag.storage.documents.contents import write_chunks, write_token_vectors
from rag.storage.documents.rows import values_of_begun
from rag.storage.generations.records import FIRST, NewChunk
from rag.storage.sources.ledger import Sources
from rag.storage.tables import Base, DocumentRow, RenditionRow
from rag.types import Chunk, ChunkId, DocumentId, DocumentRef, SourceId, Span, VersionId


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


async def test_what_is_stored_survives_every_step_down_and_up_again(database: Database) -> None:
    await store_one_of_each(database)
    before = {table: await rows_of(database, table) for table in KEPT}
    for revision in ("0007", "0006", "0005", "0001"):
        await go_down(database, revision)
        for table in ("documents", "chunks", "token_vectors"):
            assert len(await rows_of(database, table)) == len(before[table]), (revision, table)
    await migrate_database(database)
    assert {table: await rows_of(database, table) for table in KEPT} == before


async def go_down(database: Database, revision: str) -> None:
    async with database.writing() as connection:
        await connection.run_sync(lambda each: command.downgrade(settings_of(each), revision))


KEPT = ("documents", "renditions", "chunks", "token_vectors")


async def rows_of(database: Database, table: str) -> list[dict[str, Any]]:
    columns = "id, uri, version, state" if table == "documents" else "*"
    statement = text(f"SELECT {columns} FROM {table}")  # noqa: S608 - names from here
    async with database.reading() as connection:
        return [dict(row) for row in (await connection.execute(statement)).mappings()]


async def store_one_of_each(database: Database) -> None:
    """A document in its only generation, with a chunk and its token vectors."""
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    tenant, source = TenantId("acme"), SourceId("files")
    sources = Sources(database)
    await sources.add_tenant(tenant)
    await sources.register(tenant, kind="memory", name="Files", settings={}, source=source)
    ref = DocumentRef(DocumentId("d1"), tenant, source, "leave", "Leave")
    document = values_of_begun(ref, readable_by(["user:1"]), moment) | {
        "version": "v1",
        "state": "active",
    }
    rendition = {"document": "d1", "generation": 1, "content": "v1", "version": "v1"}
    made_with = {"parser": "p", "chunker": "c", "embedder": "e"}
    chunk = Chunk(
        id=ChunkId("c1"),
        document=ref,
        version=VersionId("v1"),
        ordinal=0,
        text="Staff have 25 days.",
        heading_path=("Leave",),
        kind="prose",
        span=Span(0, 19),
    )
    tokens = np.ones((3, 4), np.int8)

    def work(connection: Connection) -> None:
        connection.execute(insert(DocumentRow), document)
        connection.execute(insert(RenditionRow), rendition | made_with)
        write_chunks(connection, database, [chunk], generation=FIRST)
        new = [NewChunk(chunk=chunk, tokens=tokens)]
        write_token_vectors(connection, database, new, generation=FIRST)

    await database.write(work)


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
