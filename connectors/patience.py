"""A connector with time limits: a source that does not answer must not hold a worker for ever."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from connectors.protocols import Connector, Cursor, Delta, Listed, Page, Problem, Resource
from rag.errors import SourceUnavailable
from rag.types import SourceId

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientConnector:
    """What `inner` is, but silence longer than `seconds` is a `SourceUnavailable`: before the next
    listed resource, the next page of changes, or the end of a fetch."""

    inner: Connector
    seconds: float

    @property
    def source(self) -> SourceId:
        return self.inner.source

    @property
    def delta(self) -> Delta | None:
        inner = self.inner.delta
        return None if inner is None else _PatientDelta(inner, self.seconds)

    def listing(self) -> AsyncIterator[Listed | Problem]:
        return _with_patience(self.inner.listing(), self.seconds)

    async def fetch(self, uri: str) -> Resource:
        with _told(self.seconds):
            async with asyncio.timeout(self.seconds):
                return await self.inner.fetch(uri)

    async def aclose(self) -> None:
        await self.inner.aclose()


@dataclass(frozen=True, slots=True)
class _PatientDelta:
    inner: Delta
    seconds: float

    async def now(self) -> Cursor:
        with _told(self.seconds):
            async with asyncio.timeout(self.seconds):
                return await self.inner.now()

    def since(self, cursor: Cursor) -> AsyncIterator[Page]:
        return _with_patience(self.inner.since(cursor), self.seconds)


async def _with_patience(items: AsyncIterator[_Item], seconds: float) -> AsyncGenerator[_Item]:
    try:
        while True:
            with _told(seconds):
                async with asyncio.timeout(seconds):
                    item = await anext(items, None)
            if item is None:
                return
            yield item
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


@dataclass(frozen=True, slots=True)
class _told:  # noqa: N801 - reads as a word in a `with`
    seconds: float

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError):
            raise SourceUnavailable(f"the source was silent for {self.seconds:g} s") from error
