"""Embedding for many documents at once: small requests are gathered into full batches."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rag.protocols import Embedder
from rag.types import Embedding


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    texts: Sequence[str]
    embedded: asyncio.Future[list[Embedding]]


class BatchingEmbedder:
    """An `Embedder` that gathers what arrives while it is busy into one call of `embedder`.

    No request waits for others to come: an idle embedder begins at once, and what queues up
    meanwhile goes together, sorted by length so that little is spent on padding. A request that
    fails fails alone. Queries pass by. Used from one event loop.
    """

    def __init__(self, embedder: Embedder, *, max_texts: int = 256) -> None:
        self._embedder = embedder
        self._max_texts = max_texts
        self._waiting: deque[_Request] = deque()
        self._busy: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self._embedder.name

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)

    async def embed_query(self, text: str) -> Embedding:
        return await self._embedder.embed_query(text)

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        if not texts:
            return []
        request = _Request(texts, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._busy is None or self._busy.done():
            self._busy = asyncio.create_task(self._embed_waiting())
        return await request.embedded

    async def _embed_waiting(self) -> None:
        while batch := self._next_batch():
            try:
                await self._embed(batch)
            except Exception as error:  # noqa: BLE001 - it is whoever asked that must know
                if len(batch) == 1:
                    _give(batch[0], error)
                else:
                    await self._embed_each(batch)

    def _next_batch(self) -> list[_Request]:
        """As many waiting requests as fit, in the order they came; those given up are dropped."""
        batch: list[_Request] = []
        size = 0
        while self._waiting:
            request = self._waiting[0]
            if not request.embedded.done():
                if batch and size + len(request.texts) > self._max_texts:
                    break
                batch.append(request)
                size += len(request.texts)
            self._waiting.popleft()
        return batch

    async def _embed(self, batch: Sequence[_Request]) -> None:
        texts = [text for request in batch for text in request.texts]
        by_length = sorted(range(len(texts)), key=lambda place: len(texts[place]), reverse=True)
        made = await self._embedder.embed_documents([texts[place] for place in by_length])
        embeddings = dict(zip(by_length, made, strict=True))
        start = 0
        for request in batch:
            end = start + len(request.texts)
            _give(request, [embeddings[place] for place in range(start, end)])
            start = end

    async def _embed_each(self, batch: Sequence[_Request]) -> None:
        for request in batch:
            try:
                await self._embed([request])
            except Exception as error:  # noqa: BLE001 - it is whoever asked that must know
                _give(request, error)


def _give(request: _Request, result: list[Embedding] | Exception) -> None:
    if request.embedded.done():  # its asker was cancelled meanwhile
        return
    if isinstance(result, Exception):
        request.embedded.set_exception(result)
    else:
        request.embedded.set_result(result)
