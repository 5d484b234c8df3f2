"""The index of one machine: Qdrant Edge, the engine of Qdrant without its server.

The shard lives in a process of its own (see `qdrant_edge_process`), and this one speaks to it. One
process at a time owns a directory; a second that opens it is told so.

Searches are exact, but for vectors kept in half precision: at 100,000 chunks that is quick enough,
and no graph leaves out what the asker may read.
"""

import asyncio
import os
import pickle
import shutil
import sys
from collections import deque
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from rag.access import AccessList, AccessScope, TenantId
from rag.adapters.qdrant_edge_shard import LENGTH_BYTES, Done, EdgePoint, Failed, frame
from rag.adapters.qdrant_payload import (
    checked,
    described,
    of_document,
    of_tenant,
    payload_of,
    point_id,
    readable,
    where,
)
from rag.errors import ConfigurationError, IndexUnavailable, StorageUnavailable
from rag.protocols import IndexPoint
from rag.types import ChunkId, DocumentId, Filters, IndexHit, Metadata, Vector

_POINTS_A_REQUEST = 32
"""About 20 ms of work: what a search may have to wait behind while documents are indexed."""
_CLOSE_WITHIN_S = 30.0
_FULL_BELOW_BYTES = 64 << 20
"""What the engine takes at least when it needs more room."""


class QdrantEdgeIndex:
    """`Index` on a directory of this machine. Made by `open_edge_index`."""

    def __init__(self, path: Path, *, dimensions: int) -> None:
        self._path = path
        self._dimensions = dimensions
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    @property
    def process_id(self) -> int | None:
        """The process that holds the shard; None until there is one."""
        return self._connection.process_id if self._connection else None

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        for start in range(0, len(points), _POINTS_A_REQUEST):
            some = points[start : start + _POINTS_A_REQUEST]
            await self._ask("upsert", [self._edge_point(point) for point in some])

    async def describe(
        self, tenant: TenantId, document: DocumentId, *, access: AccessList, metadata: Metadata
    ) -> None:
        payload = described(tenant, access, metadata)
        await self._ask("describe", of_document(tenant, document), payload)

    async def delete(self, tenant: TenantId, chunks: Collection[ChunkId]) -> None:
        if chunks:
            await self._ask("delete", [point_id(tenant, chunk) for chunk in chunks])

    async def delete_document(self, tenant: TenantId, document: DocumentId) -> None:
        await self._ask("delete_where", of_document(tenant, document))

    async def chunk_ids(self, tenant: TenantId, document: DocumentId) -> set[ChunkId]:
        return cast("set[ChunkId]", await self._ask("chunk_ids", of_document(tenant, document)))

    async def search_dense(
        self, vector: Vector, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        wanted = where(scope, filters)
        if limit < 1:
            return []
        asked = checked(vector, dimensions=self._dimensions)
        return cast("list[IndexHit]", await self._ask("dense", asked, wanted, limit))

    async def search_sparse(
        self, text: str, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        wanted = where(scope, filters)
        if limit < 1:
            return []
        # IDF counts only what the asker may read, so no score tells of anything else.
        return cast(
            "list[IndexHit]", await self._ask("sparse", text, wanted, readable(scope), limit)
        )

    async def count(self, tenant: TenantId) -> int:
        return cast("int", await self._ask("count", of_tenant(tenant)))

    async def aclose(self) -> None:
        async with self._connecting:
            self._closed = True
            if self._connection:
                await self._connection.aclose()
                self._connection = None

    async def connect(self) -> "_Connection":
        """The live connection; a process that died is started again. Errors: as `_ask`."""
        async with self._connecting:
            if self._closed:
                raise IndexUnavailable("the index is closed")
            if self._connection is None or self._connection.ended:
                if self._connection:
                    await self._connection.aclose()
                self._connection = await _connect(self._path, dimensions=self._dimensions)
            return self._connection

    def _edge_point(self, point: IndexPoint) -> EdgePoint:
        return EdgePoint(
            point_id(point.chunk.document.tenant, point.chunk.id),
            point.chunk.embedded_text,
            checked(point.vector, dimensions=self._dimensions),
            payload_of(point),
        )

    async def _ask(self, operation: str, *arguments: object) -> object:
        """Errors: `IndexUnavailable`, `StorageUnavailable`; `ConfigurationError` on opening."""
        try:
            connection = await self.connect()
            return _result(await connection.ask((operation, arguments)))
        except IndexUnavailable as error:
            # The engine writes to mapped files: on a full disk it is killed, without a word.
            if shutil.disk_usage(self._path).free < _FULL_BELOW_BYTES:
                raise StorageUnavailable(f"the disk of {self._path} is full") from error
            raise


@asynccontextmanager
async def open_edge_index(path: Path, *, dimensions: int) -> AsyncGenerator[QdrantEdgeIndex]:
    """The index in the directory `path`, made where there is none, closed at the end.

    Errors: `ConfigurationError` where another process has it open, or where it holds vectors of
    other dimensions or an older schema.
    """
    index = QdrantEdgeIndex(path, dimensions=dimensions)
    await index.connect()
    try:
        yield index
    finally:
        await index.aclose()


def _result(answer: Done | Failed) -> object:
    match answer:
        case Done(result):
            return result
        case Failed("configuration", message):
            raise ConfigurationError(message)
        case Failed("full", message):
            raise StorageUnavailable(f"the index's disk is full: {message}")
        case Failed(_, message):
            raise IndexUnavailable(message)


# --- the connection ----------------------------------------------------------------------------


class _Connection:
    """Requests to one shard process, answered in the order they were sent."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        requests: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
    ) -> None:
        self._process = process
        self._requests = requests
        self._answers = answers
        self._waiting: deque[asyncio.Future[Done | Failed]] = deque()
        self._sending = asyncio.Lock()
        self._listening = asyncio.create_task(self._listen())

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._listening.done()

    def expect(self) -> "asyncio.Future[Done | Failed]":
        """The next answer that nobody waits for yet."""
        answer: asyncio.Future[Done | Failed] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        return answer

    async def ask(self, request: tuple[str, tuple[object, ...]]) -> Done | Failed:
        message = frame(request)
        async with self._sending:
            if self.ended:
                return _GONE
            answer = self.expect()
            self._requests.write(message)
            try:
                await self._requests.drain()
            except ConnectionError:
                return _GONE
        return await answer

    async def aclose(self) -> None:
        """Let the process finish what it was asked, flush and end."""
        self._requests.close()
        try:
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        try:
            while True:
                length = await self._answers.readexactly(LENGTH_BYTES)
                body = await self._answers.readexactly(int.from_bytes(length, "little"))
                answer = self._waiting.popleft()
                if not answer.done():  # its asker may have been cancelled
                    answer.set_result(pickle.loads(body))  # noqa: S301 - our own child's
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            for answer in self._waiting:
                if not answer.done():
                    answer.set_result(_GONE)


_GONE = Failed("unavailable", "the process that holds the index has ended; it is started again")


async def _connect(path: Path, *, dimensions: int) -> _Connection:
    import_root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rag.adapters.qdrant_edge_process", str(path), str(dimensions)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(import_root), os.environ.get("PYTHONPATH")))
            ),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
    )
    if process.stdin is None or process.stdout is None:
        raise IndexUnavailable("the process that holds the index has no pipes")
    connection = _Connection(process, process.stdin, process.stdout)
    opened = await connection.expect()
    if isinstance(opened, Failed):
        await connection.aclose()
        _result(opened)
    return connection
