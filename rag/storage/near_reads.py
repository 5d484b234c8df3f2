"""Reading a few rows by their keys without leaving the event loop's thread.

SQLite finds a row by its key in some ten microseconds, for what every request asks for is in
memory; to change threads and back takes ten times as long, and waits for its turn under load.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Executable, Row


@dataclass(slots=True)
class NearReads:
    """One connection of its own, for as long as nothing is wrong with it. Each query sees the last
    committed state. Used from one thread."""

    engine: Engine
    connection: Connection | None = None

    def rows(self, query: Executable, parameters: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
        connection = self.connection or self.engine.connect()
        self.connection = None
        try:
            rows = connection.execute(query, parameters).all()
        except BaseException:
            connection.close()
            raise
        self.connection = connection
        return rows

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
