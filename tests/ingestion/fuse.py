"""A fuse: stops a job at a chosen call, as a kill, a shutdown or a long pause of its process would."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar, cast

from connectors.protocols import Cursor, Listed, Page, Problem
from rag.types import SourceId
from tests.ingestion.feed import Feed

_Part = TypeVar("_Part")


class Fuse:
    """Counts the calls that pass it. Set to `n`, the n-th from then on stops where it is until
    `gate` is set."""

    def __init__(self) -> None:
        self._left: int | None = None
        self.blown = asyncio.Event()
        self.gate = asyncio.Event()

    def set(self, calls: int) -> None:
        self._left = calls
        self.blown, self.gate = asyncio.Event(), asyncio.Event()

    def clear(self) -> None:
        self._left = None
        self.gate.set()

    async def step(self) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self._left = None
            self.blown.set()
            await self.gate.wait()


def fused(part: _Part, fuse: Fuse, *methods: str) -> _Part:
    """`part`, whose `methods` pass the fuse before and after they did what they do."""
    return cast("_Part", _Fused(part, fuse, frozenset(methods)))


class _Fused:
    def __init__(self, part: object, fuse: Fuse, methods: frozenset[str]) -> None:
        self._part = part
        self._fuse = fuse
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name not in self._methods:
            return found

        async def stepped(*given: Any, **named: Any) -> Any:
            await self._fuse.step()
            result = await found(*given, **named)
            await self._fuse.step()
            return result

        return stepped


class FusedFeed(Feed):
    """A feed that may stop in the middle of what it says."""

    def __init__(self, source: SourceId, fuse: Fuse) -> None:
        super().__init__(source)
        self._fuse = fuse

    async def since(self, cursor: Cursor) -> AsyncGenerator[Page]:
        async for page in super().since(cursor):
            await self._fuse.step()
            yield page

    async def listing(self) -> AsyncGenerator[Listed | Problem]:
        async for found in super().listing():
            await self._fuse.step()
            yield found
