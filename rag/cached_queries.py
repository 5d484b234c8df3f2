"""Embeddings of queries, remembered: the answer cache, retrieval and a second try embed a text once."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.access import TenantId
from rag.protocols import Embedder
from rag.types import Embedding

_Asked = tuple[TenantId, str]


@dataclass(slots=True)
class CachedQueries:
    """The queries asked last, in this process alone, and a tenant's own: what is quick would tell
    one tenant what another asks.

    Two who ask the same at once wait for one embedding. What documents say is kept elsewhere, by
    `rag.storage.embeddings`.
    """

    embedder: Embedder
    most: int = 2_048
    _known: OrderedDict[_Asked, Embedding] = field(
        default_factory=OrderedDict[_Asked, Embedding], repr=False
    )
    _coming: dict[_Asked, asyncio.Task[Embedding]] = field(
        default_factory=dict[_Asked, asyncio.Task[Embedding]], repr=False
    )

    def of(self, tenant: TenantId) -> "TenantQueries":
        return TenantQueries(self, tenant)

    async def embed(self, tenant: TenantId, text: str) -> Embedding:
        asked = (tenant, text)
        known = self._known.get(asked)
        if known is not None:
            self._known.move_to_end(asked)
            return known
        coming = self._coming.get(asked)
        if coming is None:
            coming = self._coming[asked] = asyncio.create_task(self._embed(asked))
        # Who stops waiting does not stop it for the others.
        return await asyncio.shield(coming)

    async def _embed(self, asked: _Asked) -> Embedding:
        try:
            made = await self.embedder.embed_query(asked[1])
        finally:
            del self._coming[asked]
        self._known[asked] = made
        while len(self._known) > self.most:
            self._known.popitem(last=False)
        return made


@dataclass(frozen=True, slots=True)
class TenantQueries:
    """An `Embedder` that embeds a query of the tenant once. Documents pass through."""

    queries: CachedQueries
    tenant: TenantId

    @property
    def name(self) -> str:
        return self.queries.embedder.name

    @property
    def dimensions(self) -> int:
        return self.queries.embedder.dimensions

    @property
    def max_tokens(self) -> int:
        return self.queries.embedder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.queries.embedder.count_tokens(texts)

    async def embed_query(self, text: str) -> Embedding:
        return await self.queries.embed(self.tenant, text)

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        return await self.queries.embedder.embed_documents(texts)
