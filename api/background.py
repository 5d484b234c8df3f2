"""Work that goes on after an answer was given: nobody waits for it, and it never holds one up."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager

log = logging.getLogger(__name__)

MOST = 16
"""What is to be done beyond so many at a time is left undone: a sample may have gaps."""


class Background:
    """Satisfies `rag.asking_protocols.Later`. Made by `open_background`."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, work: Coroutine[None, None, None], /) -> None:
        if len(self._tasks) >= self._most:
            work.close()
            log.warning("work after an answer was left undone: there is too much of it")
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    async def idle(self) -> None:
        """Wait until all of it is done."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.idle()

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("work after an answer failed", extra={"cause": type(error).__name__})


@asynccontextmanager
async def open_background() -> AsyncGenerator[Background]:
    """What still goes on when the block ends is given up."""
    background = Background()
    try:
        yield background
    finally:
        await background.aclose()
