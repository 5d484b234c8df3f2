"""Usage on its way to the ledger: added up for a moment, then written together."""

import asyncio
import logging
from contextlib import suppress

from rag.errors import StorageUnavailable
from rag.gateway.usage import NO_USAGE, UsageCount, UsageKey, UsageStore, Used

EVERY_S = 0.2
MOST_KEYS = 10_000
"""Different keys that may wait while the ledger cannot be written."""

log = logging.getLogger(__name__)


class BatchedUsage:
    """Writes what it was told at most `every_s` later, and all of it when it is closed.

    A process that is killed loses what it was told since the last write; where that must not be,
    as where a budget counts, it is `written`. Used from one event loop.
    """

    def __init__(self, store: UsageStore, *, every_s: float = EVERY_S) -> None:
        self._store = store
        self._every_s = every_s
        self._waiting: dict[UsageKey, UsageCount] = {}
        self._writing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._closing = asyncio.Event()
        self._failing = False
        self.lost = 0
        """Entries that could not be kept, since the process began."""

    def note(self, used: Used) -> None:
        """Write it soon."""
        for key, count in used.items():
            if key not in self._waiting and len(self._waiting) >= MOST_KEYS:
                self.lost += 1
                log.error("usage was lost: the ledger could not be written for too long")
                continue
            self._waiting[key] = self._waiting.get(key, NO_USAGE) + count
        if self._waiting and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write_soon())

    async def written(self, used: Used) -> None:
        """Durable when this returns; where the ledger cannot be written, it is noted instead."""
        try:
            await self._store.add(used)
        except StorageUnavailable as error:
            self._say(error)
            self.note(used)

    async def flush(self) -> None:
        """Write all that waits. Errors: `StorageUnavailable`, and then it goes on waiting."""
        async with self._turn:
            waiting, self._waiting = self._waiting, {}
            if not waiting:
                return
            try:
                await self._store.add(waiting)
            except StorageUnavailable:
                for key, count in waiting.items():
                    self._waiting[key] = self._waiting.get(key, NO_USAGE) + count
                raise
            except Exception:
                # It would be refused again, and hold up all that comes after it.
                self.lost += len(waiting)
                log.exception("usage was refused by the ledger", extra={"entries": len(waiting)})
            self._failing = False

    async def aclose(self) -> None:
        """Write what waits; what cannot be written even now is lost, and the log says so."""
        self._closing.set()
        if self._writing is not None:
            await asyncio.wait({self._writing})
        try:
            await self.flush()
        except StorageUnavailable:
            self.lost += len(self._waiting)
            log.exception("usage was lost at the end", extra={"entries": len(self._waiting)})

    async def _write_soon(self) -> None:
        while self._waiting and not self._closing.is_set():
            with suppress(TimeoutError):
                # Nothing is cancelled while it is written: nobody could say whether it was.
                await asyncio.wait_for(self._closing.wait(), self._every_s)
            try:
                await self.flush()
            except StorageUnavailable as error:
                self._say(error)

    def _say(self, error: StorageUnavailable) -> None:
        if not self._failing:
            log.warning("usage waits to be written", extra={"cause": str(error)})
        self._failing = True
