"""The real wiring over one document, a models.yaml, and a model that plays a script."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from api.permissions import EVERY_PERMISSION, Permission
from api.platform import Platform
from api.settings import Settings
from api.wiring import open_platform
from rag.access import Principal, PrincipalId, TenantId
from rag.adapters.spans import Spans
from tests.platforms import http_over
from tests.scripted_upstream import Reply, ScriptedUpstream, scripted_upstream
from tests.spans import Collector
from tests.syncing import sync

TENANT = TenantId("default")
MAIL, PHONE = "anna.berger@example.com", "+49 30 901820"
SEALS = f"# Seals\n\nThe pump seal of the AP-450X is replaced every 12 months. Parts: Anna Berger, {MAIL}, {PHONE}.\n"
QUESTION = "How often is the pump seal of the AP-450X replaced?"
TRUE = "The pump seal of the AP-450X is replaced every 12 months [1]."
INVENTED = "The pump seal of the AP-450X is never replaced at all [1]."

CATALOGUE = """
providers:
  outside: {{base_url: "{url}", region: us}}
models:
  - name: small
    tier: cheap
    context_tokens: 32768
    max_output_tokens: 512
    price: {{input: 1, output: 2}}
    deployments: [{{provider: outside, model: small}}]
  - name: large
    tier: premium
    context_tokens: 32768
    max_output_tokens: 512
    price: {{input: 10, output: 20}}
    deployments: [{{provider: outside, model: large}}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    platform: Platform
    http: httpx.AsyncClient
    upstream: ScriptedUpstream
    operator: Mapping[str, str]

    async def key(self, user: str, *permissions: Permission) -> dict[str, str]:
        made = await self.platform.keys.create(
            name=user,
            principal=Principal(TENANT, PrincipalId(user)),
            permissions=permissions or EVERY_PERMISSION,
        )
        return {"Authorization": f"Bearer {made.token}"}

    async def ask(self, headers: Mapping[str, str], question: str = QUESTION) -> dict[str, Any]:
        body = {"question": question, "stream": False, "quality": "fast"}
        return (await self.http.post("/v1/ask", json=body, headers=headers)).json()

    @property
    def sent(self) -> str:
        return json.dumps(self.upstream.asked, ensure_ascii=False)


@asynccontextmanager
async def house(
    folder: Path,
    *replies: Reply,
    settings: Mapping[str, Any] | None = None,
    told: Collector | None = None,
) -> AsyncGenerator[House]:
    """A platform with its data in `folder`, over the documents that lie there already (`furnished`),
    or else over a folder of them that it takes in first."""
    async with scripted_upstream(*replies) as upstream:
        catalogue = folder / "models.yaml"
        catalogue.write_text(CATALOGUE.format(url=upstream.base_url))
        chosen = Settings.model_validate(
            {
                "data_dir": folder / "data",
                "models": {"file": catalogue},
                "gateway": {"health_every_s": 0, "backoff_s": 0.01, "retries": 0},
                **(settings or {}),
            }
        )
        spans = None if told is None else Spans(told.get_tracer("rag"))
        is_furnished = chosen.data_dir.exists()
        async with open_platform(chosen, spans=spans) as platform:
            if not is_furnished:
                await take_in(platform, folder)
            async with http_over(platform, tracer_provider=told) as (_, http):
                made = await platform.keys.create(
                    name="operator",
                    principal=Principal(TENANT, PrincipalId("app:operator")),
                    permissions=EVERY_PERMISSION,
                )
                operator = {"Authorization": f"Bearer {made.token}"}
                yield House(platform=platform, http=http, upstream=upstream, operator=operator)


async def take_in(platform: Platform, folder: Path) -> None:
    (folder / "docs").mkdir()
    (folder / "docs" / ".access.yaml").write_text("readers: [everyone]\n")
    (folder / "docs" / "seals.md").write_text(SEALS)
    await platform.sources.add_tenant(TENANT)
    source = await platform.sources.register(
        TENANT, kind="filesystem", name="docs", settings={"root": str(folder / "docs")}
    )
    await sync(platform, source)
