"""Whether the process lives, whether it can serve, what Prometheus asks, and what the API is."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api.deps import PUBLIC, MetricsDep, PlatformDep
from api.platform import Platform
from rag.access import TenantId
from rag.errors import Error
from rag.storage.jobs.depth import queue_depth

PROBE_TIMEOUT_S = 5.0

router = APIRouter(tags=["operations"], dependencies=[PUBLIC])


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    status: Literal["ready", "not_ready"]
    parts: dict[str, Literal["ok", "unavailable"]]


@router.get("/healthz")
async def healthz() -> Alive:
    """Liveness: the process answers."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(platform: PlatformDep) -> Response:
    """Readiness, part by part; 503 while one of them is not."""
    tenant = TenantId(platform.settings.tenant)
    database, index = await asyncio.gather(
        _works(platform.jobs.counts()), _works(_count(platform, tenant))
    )
    parts: dict[str, Literal["ok", "unavailable"]] = {
        "database": "ok" if database else "unavailable",
        "index": "ok" if index else "unavailable",
    }
    ready = all(part == "ok" for part in parts.values())
    body = Readiness(status="ready" if ready else "not_ready", parts=parts)
    return JSONResponse(body.model_dump(), 200 if ready else 503)


async def _count(platform: Platform, tenant: TenantId) -> int:
    return await (await platform.generations.serving()).index.count(tenant)


async def _works(probe: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await probe
    except (Error, TimeoutError):
        return False
    return True


@router.get("/metrics", response_class=Response)
async def metrics(platform: PlatformDep, metrics: MetricsDep) -> Response:
    """For Prometheus. No tenant, no person, no content."""
    metrics.jobs({state.value: count for state, count in (await platform.jobs.counts()).items()})
    metrics.queue(await queue_depth(platform.database), platform.jobs.clock())
    metrics.workers(await platform.workers.listed(), await platform.workers.total())
    metrics.reviews(await platform.reviews.open_by_check())
    metrics.money(platform.money.figures, lost=platform.money.batched.lost)
    return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> dict[str, Any]:
    """What this API is, for tools."""
    return request.app.openapi()
