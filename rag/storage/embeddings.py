"""Embeddings that were paid for once: an `Embedder` that looks before it computes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import bindparam, delete, func, select, tuple_, update

from rag.access import TenantId
from rag.protocols import Embedder
from rag.storage.database import Database, insert_into
from rag.storage.moments import now
from rag.storage.parts import in_parts
from rag.storage.records import fingerprint_of
from rag.storage.tables import CachedEmbeddingRow
from rag.types import Embedding

_USED_PRECISION = timedelta(hours=1)
"""How stale `used_at` may be: a hit is a read, and seldom worth a write."""


@dataclass(frozen=True, slots=True)
class EmbeddingCache:
    """Embeddings by fingerprint, a tenant's own. Errors: `StorageUnavailable`.

    Holds `max_entries` of all tenants together, give or take a tenth; those unused for longest
    make room.
    """

    database: Database
    max_entries: int = 200_000
    clock: Callable[[], datetime] = now
    _since_trim: list[int] = field(default_factory=lambda: [0], repr=False)

    async def find(self, tenant: TenantId, fingerprints: Sequence[str]) -> Mapping[str, Embedding]:
        found: dict[str, Embedding] = {}
        stale: list[str] = []
        fresh_from = self.clock() - _USED_PRECISION
        for some in in_parts(fingerprints):
            for row in await self.database.rows(_FOUND, {"tenant": tenant, "some": some}):
                found[row.fingerprint] = _embedding_of(row.vector, row.token_dimensions, row.tokens)
                if row.used_at < fresh_from:
                    stale.append(row.fingerprint)
        if stale:
            await self._touch(tenant, stale)
        return found

    async def store(self, tenant: TenantId, embeddings: Mapping[str, Embedding]) -> None:
        if not embeddings:
            return
        moment = self.clock()
        rows = [
            {
                "fingerprint": fingerprint,
                "tenant": tenant,
                "vector": embedding.vector.astype(np.float32).tobytes(),
                "token_dimensions": None if tokens is None else tokens.shape[1],
                "tokens": None if tokens is None else tokens.tobytes(),
                "used_at": moment,
            }
            for fingerprint, embedding in sorted(embeddings.items())
            for tokens in (embedding.tokens,)
        ]
        statement = insert_into(self.database, CachedEmbeddingRow).on_conflict_do_nothing()
        await self.database.write(lambda connection: connection.execute(statement, rows))
        self._since_trim[0] += len(rows)
        if self._since_trim[0] * 10 > self.max_entries:
            self._since_trim[0] = 0
            await self.trim()

    async def trim(self) -> int:
        """Forget what is over the bound; the number of entries forgotten."""
        [row] = await self.database.rows(select(func.count(CachedEmbeddingRow.tenant)))
        excess = row[0] - self.max_entries
        if excess <= 0:
            return 0
        key = tuple_(CachedEmbeddingRow.fingerprint, CachedEmbeddingRow.tenant)
        oldest = (
            select(CachedEmbeddingRow.fingerprint, CachedEmbeddingRow.tenant)
            .order_by(CachedEmbeddingRow.used_at)
            .limit(excess)
        )
        statement = delete(CachedEmbeddingRow).where(key.in_(oldest))
        return await self.database.write(lambda connection: connection.execute(statement).rowcount)

    async def _touch(self, tenant: TenantId, fingerprints: Sequence[str]) -> None:
        statement = (
            update(CachedEmbeddingRow)
            .where(
                CachedEmbeddingRow.tenant == tenant,
                CachedEmbeddingRow.fingerprint.in_(fingerprints),
            )
            .values(used_at=self.clock())
        )
        await self.database.write(lambda connection: connection.execute(statement))


_FOUND = select(
    CachedEmbeddingRow.fingerprint,
    CachedEmbeddingRow.vector,
    CachedEmbeddingRow.token_dimensions,
    CachedEmbeddingRow.tokens,
    CachedEmbeddingRow.used_at,
).where(
    CachedEmbeddingRow.tenant == bindparam("tenant"),
    CachedEmbeddingRow.fingerprint.in_(bindparam("some", expanding=True)),
)


@dataclass(frozen=True, slots=True)
class CachedEmbedder:
    """An `Embedder` that embeds a document's text once for each tenant. Queries pass through."""

    embedder: Embedder
    cache: EmbeddingCache
    tenant: TenantId

    @property
    def name(self) -> str:
        return self.embedder.name

    @property
    def dimensions(self) -> int:
        return self.embedder.dimensions

    @property
    def max_tokens(self) -> int:
        return self.embedder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.embedder.count_tokens(texts)

    async def embed_query(self, text: str) -> Embedding:
        return await self.embedder.embed_query(text)

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        keys = [fingerprint_of(self.name, text) for text in texts]
        known = await self.cache.find(self.tenant, list(dict.fromkeys(keys)))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if not missing:
            return [known[key] for key in keys]
        made = await self.embedder.embed_documents(list(missing.values()))
        fresh = dict(zip(missing, made, strict=True))
        await self.cache.store(self.tenant, fresh)
        return [fresh.get(key) or known[key] for key in keys]


def _embedding_of(vector: bytes, token_dimensions: int | None, tokens: bytes | None) -> Embedding:
    embedding = Embedding(np.frombuffer(vector, np.float32))
    if tokens is None or token_dimensions is None:
        return embedding
    return replace(embedding, tokens=np.frombuffer(tokens, np.int8).reshape(-1, token_dimensions))
