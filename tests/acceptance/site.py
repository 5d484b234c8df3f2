"""A platform as it is set up, over a folder of documents, with a reader at its API."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from api.permissions import EVERY_PERMISSION
from api.platform import Platform
from api.settings import Settings
from api.wiring import open_platform
from rag.access import Principal, PrincipalId, TenantId
from rag.storage.documents.records import StoredDocument
from rag.storage.sources.records import Source
from tests.acceptance.bad_files import MAX_BYTES
from tests.platforms import http_over
from tests.syncing import sync

TENANT = TenantId("acme")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    platform: Platform
    http: httpx.AsyncClient
    folder: Path
    source: Source

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return await self.http.post(path, json=body)

    async def documents(self, source: Source | None = None) -> dict[str, StoredDocument]:
        """By the last part of the URI."""
        which = (source or self.source).id
        listed = await self.platform.documents.listed(TENANT, source=which, limit=1_000)
        return {document.ref.uri.rpartition("/")[2]: document for document in listed}

    async def texts_found(self, words: str) -> list[str]:
        response = await self.post("/v1/search", {"query": words, "limit": 100})
        assert response.status_code == 200, response.text
        return [hit["text"] for hit in response.json()["hits"]]

    async def register(self, folder: Path) -> Source:
        return await self.platform.sources.register(
            TENANT, kind="filesystem", name=folder.name, settings={"root": str(folder)}
        )


@asynccontextmanager
async def open_site(
    root: Path, folder: Path, *, settings: Mapping[str, Any] | None = None
) -> AsyncGenerator[Site]:
    """The platform with its data in `root`, after a first sync of `folder`."""
    chosen = Settings.model_validate(
        {
            "data_dir": root / "data",
            "tenant": TENANT,
            "ingestion": {"max_bytes": MAX_BYTES, "parse_timeout_s": 60},
            "rate_limits": {"enabled": False},
            **(settings or {}),
        }
    )
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(chosen))
        await platform.sources.add_tenant(TENANT)
        source = await platform.sources.register(
            TENANT, kind="filesystem", name="documents", settings={"root": str(folder)}
        )
        await sync(platform, source)
        made = await platform.keys.create(
            name="a reader",
            principal=Principal(TENANT, PrincipalId("user:1")),
            permissions=EVERY_PERMISSION,
        )
        _, http = await stack.enter_async_context(
            http_over(
                platform,
                headers={"Authorization": f"Bearer {made.token}"},
                raise_app_exceptions=False,
            )
        )
        yield Site(platform=platform, http=http, folder=folder, source=source)
