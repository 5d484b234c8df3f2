"""Faults that tests put into a platform, and take away again."""

import asyncio
import resource
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from qdrant_client import AsyncQdrantClient

from rag.adapters.qdrant_server import QdrantServerIndex
from rag.protocols import Index
from rag.types import Embedding
from tests.ingestion.standins import HashEmbedder


@dataclass(slots=True)
class Clock:
    """The machine's, and what somebody did to it."""

    jumped: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.jumped


class FaultyEmbedder(HashEmbedder):
    """Raises `error` while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        if self.error is not None:
            raise self.error
        return await super().embed_documents(texts)


@dataclass(slots=True)
class Exchangeable:
    """An index in whose place another may stand for a while, as behind one address."""

    own: Any
    instead: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own if self.instead is None else self.instead, name)

    def as_index(self) -> Index:
        return cast("Index", self)


@asynccontextmanager
async def index_server(*, answers: bool) -> AsyncGenerator[QdrantServerIndex]:
    """An index whose server refuses the connection, or takes requests and never answers one."""

    async def silence(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await gone.wait()
        finally:
            writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    if not answers:
        server.close()
        await server.wait_closed()
    client = AsyncQdrantClient(url=url, timeout=1, check_compatibility=False)
    try:
        yield QdrantServerIndex(client, collection="chunks", dimensions=8)
    finally:
        await client.close()
        gone.set()
        server.close()


@contextmanager
def full_disk(*, from_bytes: int = 0) -> Generator[None]:
    """The kernel refuses what this process writes to files beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (from_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


Check = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Polls the ledger, which rings no bell."""

    seconds: float = 30
    pause: float = field(default=0.02)

    async def until(self, is_so: Check) -> None:
        async with asyncio.timeout(self.seconds):
            while not await is_so():  # noqa: ASYNC110 - see above
                await asyncio.sleep(self.pause)
