"""Group commit: what is to be written while a transaction is open goes into the next one, together.

SQLite has one writer, and each commit waits for the disk: eight jobs that settle one after the
other wait eight times, eight that settle together wait once. DeWitt et al., "Implementation
techniques for main memory database systems", SIGMOD 1984.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from rag.errors import StorageUnavailable

AT_ONCE = 64
"""Writes in one transaction at most, so that none waits long for its fellows."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    work: Callable[[Connection], Any]
    ended: asyncio.Future[Any]


class GroupCommit:
    """Runs writes in a thread of `thread`, all that wait at a time in one transaction.

    A write that raises is undone alone. Each ends when the transaction is durable, and fails when
    it is not. Used from one event loop.
    """

    def __init__(
        self, engine: Engine, thread: Executor, turn: AbstractAsyncContextManager[object]
    ) -> None:
        self._writer = _Writer(engine)
        self._thread = thread
        self._turn = turn
        self._waiting: deque[_Write] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """What `work` returns, once it is durable. Given up before its turn, it is not begun."""
        loop = asyncio.get_running_loop()
        write = _Write(work, loop.create_future())
        self._waiting.append(write)
        if self._writing is None or self._writing.done():
            self._writing = loop.create_task(self._write_waiting())
        return await write.ended

    async def aclose(self) -> None:
        """Let what is being written end."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.close)

    async def _write_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            async with self._turn:
                group = self._next_group()
                works = [write.work for write in group]
                try:
                    results = await loop.run_in_executor(
                        self._thread, self._writer.in_one_transaction, works
                    )
                except Exception as error:  # noqa: BLE001 - it is whoever wrote that must know
                    results = [_Raised(error)] * len(group)
            for write, result in zip(group, results, strict=True):
                _tell(write, result)

    def _next_group(self) -> list[_Write]:
        group: list[_Write] = []
        while self._waiting and len(group) < AT_ONCE:
            write = self._waiting.popleft()
            if not write.ended.done():
                group.append(write)
        return group


def _tell(write: _Write, result: Any) -> None:
    if write.ended.done():  # whoever wrote was cancelled meanwhile
        return
    if isinstance(result, _Raised):
        write.ended.set_exception(result.error)
    else:
        write.ended.set_result(result)


@dataclass(slots=True)
class _Writer:
    """The writing thread's one connection, for as long as nothing is wrong with it."""

    engine: Engine
    connection: Connection | None = None

    def in_one_transaction(self, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
        """What each returned, or what it raised. Raises what spoils the transaction as a whole."""
        if not works:
            return []
        connection = self.connection or self.engine.connect()
        self.connection = None
        try:
            with connection.begin():
                if len(works) == 1:
                    results = [works[0](connection)]
                else:
                    results = [_undone_alone(connection, work) for work in works]
        except sqlite3.Error as error:  # of our savepoints: SQLAlchemy's are its own
            connection.close()
            raise StorageUnavailable(
                "the database gave a transaction up; its disk may be full"
            ) from error
        except BaseException:
            connection.close()
            raise
        self.connection = connection
        return results

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def _undone_alone(connection: Connection, work: Callable[[Connection], Any]) -> Any:
    # Straight to the driver: these are said around every write.
    cursor = connection.connection.cursor()
    cursor.execute("SAVEPOINT one")
    try:
        result = work(connection)
    except Exception as error:  # noqa: BLE001 - it is told to whoever wrote
        # A disk that is full ends the whole transaction: then this raises, and all are told.
        cursor.execute("ROLLBACK TO one")
        result = _Raised(error)
    cursor.execute("RELEASE one")
    cursor.close()
    return result
