"""Search: the passages that match, among those the caller may read."""

from typing import Annotated

from fastapi import APIRouter

from api.auth import Caller
from api.deps import ClientDep, MetricsDep, PlatformDep, TraceId, requires, scope_for
from api.errors import PROBLEMS
from api.filters import filters_of
from api.permissions import Permission
from api.schemas import SearchRequest, SearchResponse
from api.trails import Over, tell, trail_of
from rag.trail import UseCase, sent_of
from rag.types import Query

router = APIRouter(prefix="/v1", tags=["search"], responses=PROBLEMS)


@router.post("/search")
async def search(
    request: SearchRequest,
    caller: Annotated[Caller, requires(Permission.SEARCH)],
    platform: PlatformDep,
    metrics: MetricsDep,
    trace_id: TraceId,
    *,
    client: ClientDep,
) -> SearchResponse:
    """The best passages for a query, by meaning, by words, or by both."""
    trail = await trail_of(
        platform, caller, UseCase.SEARCH, endpoint="/v1/search", trace_id=trace_id
    )
    scope = scope_for(caller)
    filters = await filters_of(request.filters, scope=scope, fields=platform.filter_fields)
    query = Query(
        text=request.query,
        scope=scope,
        limit=request.limit,
        mode=request.mode,
        rerank=request.rerank,
        filters=filters,
    )
    retrieved = await client.waits_for(platform.retriever.retrieve(query))
    metrics.retrieval(retrieved.timings_ms)
    trail.shown.extend(map(sent_of, retrieved.hits))
    await tell(platform, metrics, Over(trail=trail, question=request.query, decision="done"))
    return SearchResponse.of(retrieved, explain=request.explain, trace_id=trace_id)
