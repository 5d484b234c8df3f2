"""A platform for tests of the API: real stores, and the shipped stand-ins for the models."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import create_engine, insert

from api.permissions import EVERY_PERMISSION, Permission
from api.platform import Platform
from api.settings import Settings
from rag.access import Principal, PrincipalId, TenantId, readable_by
from rag.bodies import Body
from rag.protocols import Index, IndexPoint, LanguageModel
from rag.storage.database import open_database
from rag.storage.documents.records import NewVersion
from rag.storage.generations.records import (
    FIRST,
    GenerationState,
    NewChunk,
    NewRendition,
    Rendition,
)
from rag.storage.originals import Originals
from rag.storage.records import document_id_of
from rag.storage.sources.ledger import Sources
from rag.storage.tables import Base, GenerationRow
from rag.testing import HashEmbedder, KeepOrder, MemoryIndex, ScriptedLanguageModel
from rag.types import (
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    MetadataValue,
    SourceId,
    Span,
    VersionId,
)
from tests.platforms import http_over, platform_of

ACME, OTHER = TenantId("acme"), TenantId("other")
SOURCE = SourceId("handbook")
THE_FIRST = {
    "id": FIRST,
    "state": GenerationState.SERVING.value,
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
}
"""What a migrated database begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running app, and what a test needs beside it."""

    app: FastAPI
    http: httpx.AsyncClient
    platform: Platform
    model: ScriptedLanguageModel
    tmp: Path

    async def key(
        self,
        user: str,
        *,
        tenant: TenantId = ACME,
        groups: Iterable[str] = (),
        permissions: Iterable[Permission] = EVERY_PERMISSION,
        expires_at: datetime | None = None,
    ) -> dict[str, str]:
        """The headers of somebody with a new key."""
        made = await self.platform.keys.create(
            name=f"key of {user}",
            principal=Principal(tenant, PrincipalId(user), frozenset(map(PrincipalId, groups))),
            permissions=permissions,
            expires_at=expires_at,
        )
        return {"Authorization": f"Bearer {made.token}"}

    async def expired_key(self, user: str) -> dict[str, str]:
        return await self.key(user, expires_at=datetime.now(UTC) - timedelta(seconds=1))

    async def revoked_key(self, user: str) -> dict[str, str]:
        headers = await self.key(user)
        [newest, *_] = await self.platform.keys.listed(ACME)
        await self.platform.keys.revoke(ACME, newest.id)
        return headers

    async def publish(
        self,
        uri: str,
        text: str,
        *,
        readers: Iterable[str],
        denied: Iterable[str] = (),
        until: Mapping[str, datetime] | None = None,
        tenant: TenantId = ACME,
        source: SourceId = SOURCE,
        title: str = "",
        metadata: Mapping[str, MetadataValue] | None = None,
        media_type: str = "text/plain",
        body: bytes | None = None,
    ) -> DocumentId:
        """A document of one chunk, in the ledger and in the index, as an ingest leaves it."""
        platform, described = self.platform, dict(metadata or {})
        ref = DocumentRef(document_id_of(tenant, source, uri), tenant, source, uri, title or uri)
        access = readable_by(readers, denied=denied, until=until)
        original = body if body is not None else text.encode()
        chunk = Chunk(
            id=ChunkId(f"{ref.id}-0"[-64:]),
            document=ref,
            version=VersionId("v1"),
            ordinal=0,
            text=text,
            heading_path=(),
            kind="prose",
            span=Span(0, len(text)),
        )
        begun = await platform.documents.begin(ref, access=access)
        embedding = await platform.embedder.embed_query(chunk.embedded_text)
        index = (await platform.generations.serving()).index
        await index.upsert([IndexPoint(chunk, access, described, embedding.vector)])
        await platform.documents.switch(
            NewVersion(
                ref=ref,
                source_title=ref.title,
                version=chunk.version,
                revision="r1",
                access_fingerprint="a1",
                access=access,
                metadata=described,
                source_metadata=described,
                parsed_metadata={},
                content_hash="h1",
                original=await platform.originals.store(Body.of(original)),
                media_type=media_type,
                size=len(original),
                supersedes=None,
            ),
            [
                NewRendition(
                    rendition=Rendition(
                        generation=FIRST,
                        content=chunk.version,
                        version=chunk.version,
                        parser="test",
                        chunker="test",
                        embedder=platform.embedder.name,
                    ),
                    chunks=(chunk,),
                    fresh=(NewChunk(chunk=chunk, tokens=embedding.tokens),),
                )
            ],
            fence=begun.fence,
        )
        await platform.documents.settle(ref.id, fence=begun.fence, settled_in=[FIRST])
        return ref.id


@cache
def _empty_database() -> bytes:
    """A SQLite file with all tables, made once for all the sites of a process."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rag.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            Base.metadata.create_all(connection)
            connection.execute(insert(GenerationRow), THE_FIRST)
        engine.dispose()
        return path.read_bytes()


@asynccontextmanager
async def open_site(
    tmp: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    reply: str = "",
    model: LanguageModel | None = None,
    index: Index | None = None,
) -> AsyncGenerator[Site]:
    """The app over a platform in `tmp`."""
    chosen = Settings(data_dir=tmp / "data", **(settings or {}))
    chosen.data_dir.mkdir(parents=True, exist_ok=True)
    (chosen.data_dir / "rag.db").write_bytes(_empty_database())
    async with open_database(chosen.resolved_database_url) as database:
        sources = Sources(database)
        for tenant in (ACME, OTHER):
            await sources.add_tenant(tenant)
        await sources.register(
            ACME,
            kind="filesystem",
            name="handbook",
            settings={"root": str(tmp / "handbook")},
            source=SOURCE,
        )
        scripted = ScriptedLanguageModel(reply)
        platform = platform_of(
            chosen,
            database=database,
            originals=Originals(tmp / "originals"),
            index=MemoryIndex() if index is None else index,
            embedder=HashEmbedder(),
            reranker=KeepOrder(),
            model=model or scripted,
        )
        await platform.prompts.load()
        async with http_over(platform) as (app, http):
            yield Site(app=app, http=http, platform=platform, model=scripted, tmp=tmp)
