"""The database: connections that read, transactions that write, and errors we know.

SQLite (WAL) has one writer at a time: writers of this process queue at a lock and begin with
`BEGIN IMMEDIATE`, so that nobody is told "database is locked". PostgreSQL does its own queueing.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    QueuePool,
    Row,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeout,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from rag.errors import ConfigurationError, StorageUnavailable
from rag.storage.group_commit import GroupCommit
from rag.storage.near_reads import NearReads
from rag.storage.tables import Base

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_OUR_OWN_FAULT = (IntegrityError, ProgrammingError, DataError)
_WRITES = "rag_writes"
Dialect = Literal["sqlite", "postgresql"]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Database:
    """One database, used from one event loop. Made by `open_database`.

    Errors of its methods: `StorageUnavailable` when the database does not answer, is full or
    gave a transaction up; a broken constraint stays SQLAlchemy's `IntegrityError`.
    """

    engine: AsyncEngine
    dialect: Dialect
    turn: AbstractAsyncContextManager[object]
    threaded: Engine | None = None
    """The same SQLite file, for queries that run in one go in a thread."""
    together: GroupCommit | None = None
    """The same SQLite file's writer: what waits for its turn is written in one transaction."""
    near: NearReads | None = None
    """The same SQLite file, for a few rows by their keys."""

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """A connection for queries. Each query sees the last committed state."""
        with _translated():
            async with self.engine.connect() as connection:
                if self.dialect == "postgresql":
                    await connection.execution_options(isolation_level="AUTOCOMMIT")
                yield connection

    async def rows(
        self,
        query: Executable,
        parameters: Mapping[str, Any] | None = None,
        *,
        by_key: bool = False,
    ) -> Sequence[Row[Any]]:
        """All rows of one query: the short way for what every question waits for.

        SQLite's driver would change threads at every step of it. `by_key`: it looks a few rows up
        by an index and nothing else, so that on SQLite nobody needs to change threads at all.
        """
        if by_key and self.near is not None:
            with _translated():
                return self.near.rows(query, parameters)
        if self.threaded is None:
            async with self.reading() as connection:
                return (await connection.execute(query, parameters)).all()
        with _translated():
            return await asyncio.to_thread(_all_rows, self.threaded, query, parameters)

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """What `work` returns, after the transaction it ran in: committed, or undone if it raised.

        `work` only talks to its connection; on SQLite it runs in a thread, all in one go, and
        with it what else waits to be written: each is undone alone, and durable like the others.
        """
        if self.together is None:
            async with self.writing() as connection:
                return await connection.run_sync(work)
        with _translated():
            return await self.together.write(work)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction: committed when the block ends, undone when it raises. Keep it short."""
        with _translated():
            async with self.turn, self.engine.connect() as connection:
                await connection.execution_options(**{_WRITES: True})
                async with connection.begin():
                    yield connection


@asynccontextmanager
async def open_database(url: str, *, pool_size: int = 8) -> AsyncGenerator[Database]:
    """The database at `url` (`sqlite:///path` or `postgresql://…`), closed when the block ends.

    It makes no tables: `api.migrations.migrate` does. Raises `ConfigurationError` for a URL of
    another kind, and `StorageUnavailable` where a SQLite file's folder cannot be made.
    """
    address = _address(url)
    async with AsyncExitStack() as stack:
        if address.get_backend_name() == "sqlite":
            database = _open_sqlite(address, pool_size, stack)
        else:
            engine = create_async_engine(
                address,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                hide_parameters=True,
            )
            database = Database(engine, "postgresql", nullcontext())
        stack.push_async_callback(database.engine.dispose)
        yield database


def insert_into(database: Database, row: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An insert that knows `on_conflict_do_…`, in the database's own dialect."""
    return insert_for(database.dialect, row)


def insert_for(dialect: Dialect, row: type[Base]) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(row) if dialect == "sqlite" else postgresql.insert(row)


def _address(url: str) -> URL:
    try:
        address = make_url(url)
        return address.set(drivername=_DRIVERS[address.drivername])
    except (ArgumentError, KeyError, NoSuchModuleError):
        # The URL may hold a password: it is not repeated, nor is the library's message.
        raise ConfigurationError(
            "the database URL must start with sqlite:/// or postgresql://"
        ) from None


def _open_sqlite(address: URL, pool_size: int, stack: AsyncExitStack) -> Database:
    if not address.database or address.database == ":memory:":
        raise ConfigurationError("a SQLite database needs a file")
    try:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailable(f"the database's folder cannot be made: {error}") from error
    common: dict[str, Any] = {
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "hide_parameters": True,
    }
    engine = create_async_engine(address, connect_args={"timeout": 60.0}, **common)
    threaded = create_engine(
        address.set(drivername="sqlite"),
        poolclass=QueuePool,
        connect_args={"timeout": 60.0, "check_same_thread": False},
        **common,
    )

    def set_up(connection: Any, _record: object) -> None:
        # Transactions are begun by us, below, and not by the driver's guess.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "cache_size = -16384",
            "mmap_size = 268435456",
            "temp_store = MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        # A reader begins nothing: each of its queries is a transaction of its own.
        if connection.get_execution_options().get(_WRITES):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine.sync_engine, "connect", set_up)
    event.listen(engine.sync_engine, "begin", begin)
    event.listen(threaded, "connect", set_up)
    event.listen(threaded, "begin", begin)
    turn = asyncio.Lock()
    thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer"))
    stack.callback(threaded.dispose)
    near = NearReads(threaded)
    stack.callback(near.close)
    together = GroupCommit(threaded.execution_options(**{_WRITES: True}), thread, turn)
    stack.push_async_callback(together.aclose)
    return Database(engine, "sqlite", turn, threaded, together, near)


def _all_rows(
    engine: Engine, query: Executable, parameters: Mapping[str, Any] | None
) -> Sequence[Row[Any]]:
    with engine.connect() as connection:
        return connection.execute(query, parameters).all()


class _translated:  # noqa: N801 - reads as a word in a `with`
    """A library's errors stop here."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _OUR_OWN_FAULT):
            return
        if isinstance(error, DBAPIError):
            raise StorageUnavailable(f"the database failed: {_first_line(error.orig)}") from error
        if isinstance(error, PoolTimeout):
            raise StorageUnavailable("no database connection became free") from error
        if isinstance(error, OSError | asyncpg.PostgresError | asyncpg.InterfaceError):
            raise StorageUnavailable(
                f"the database does not answer: {_first_line(error)}"
            ) from error


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0]
