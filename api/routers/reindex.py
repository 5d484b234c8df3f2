"""Indexing anew, from the originals that are kept: by connector, by filter, or all."""

from collections.abc import AsyncGenerator
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import ConfigDict, Field, model_validator

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.filters import FilterMap, known_filters, matches
from api.permissions import Permission
from api.platform import Platform
from api.shapes import Schema
from ingestion.changes import reindex_job, restoring_job
from rag.access import TenantId
from rag.storage.documents.estimates import Amount, amount_of, seconds_of
from rag.storage.documents.records import StoredDocument
from rag.storage.jobs.records import JobKind
from rag.types import Filters, SourceId

PAGE = 500
KINDS = (JobKind.REINDEX, JobKind.UPSERT)
"""Jobs whose pace tells how long it takes: those that do the same first."""

router = APIRouter(prefix="/v1/admin", tags=["administration"], responses=PROBLEMS)


class ReindexRequest(Schema):
    """Say what: one `connector`, what `filters` match (of one connector or of all), or `all`."""

    connector: str | None = Field(default=None, max_length=64)
    filters: FilterMap = Field(default_factory=dict)
    all: bool = False
    from_ledger: bool = Field(
        default=False,
        description="Put back what the index has lost, as the ledger holds it: nothing is parsed.",
    )
    dry_run: bool = False

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"filters": {"department": "sales"}, "dry_run": True}]}
    )

    @model_validator(mode="after")
    def _it_says_what(self) -> Self:
        if self.all == (self.connector is not None or bool(self.filters)):
            raise ValueError("name a connector, filters, or all")
        return self


class ReindexOut(Schema):
    dry_run: bool
    documents: int
    bytes: int = Field(description="Size of the originals that are parsed again.")
    chunks: int = Field(description="Chunks now: at most about as many are embedded again.")
    tokens: int = Field(description="About as many at most: a quarter of the chunks' characters.")
    seconds: float | None = Field(
        description="How long it would take if nothing else were done; null before any job."
    )
    cost: float = Field(description="At `embedder.price_per_million_tokens`.")
    job_ids: list[str] = Field(description="Empty in a dry run.")


@router.post("/reindex", status_code=202, responses=problems(404))
async def reindex(
    request: ReindexRequest,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> ReindexOut:
    """Parse, chunk and index documents anew, or put back what the index has lost. With `dry_run`:
    how many, how much, how long."""
    tenant = caller.principal.tenant
    source = None if request.connector is None else SourceId(request.connector)
    if source is not None:
        await platform.sources.get(tenant, source)
    # No content is shown: an administrator may choose by any field of the tenant's documents.
    known = await platform.documents.fields(tenant, request.filters.keys())
    filters = known_filters(request.filters, known)
    job_of = restoring_job if request.from_ledger else reindex_job
    amount = Amount()
    job_ids: list[str] = []
    async for page in _pages(platform, tenant, source, filters):
        ids = [document.ref.id for document in page]
        amount += await amount_of(platform.database, tenant, ids)
        if filters and not request.dry_run:
            job_ids += await platform.jobs.enqueue(
                [job_of(tenant, each.ref.source, uri=each.ref.uri) for each in page]
            )
    seconds = await seconds_of(platform.database, amount.documents, kinds=KINDS)
    if not filters and not request.dry_run:
        ids = [source] if source else [each.id for each in await platform.sources.listed(tenant)]
        # One job for each source: it makes those of the documents.
        job_ids += await platform.jobs.enqueue([job_of(tenant, each) for each in ids])
    return ReindexOut(
        dry_run=request.dry_run,
        documents=amount.documents,
        bytes=amount.bytes,
        chunks=amount.chunks,
        tokens=amount.tokens,
        seconds=seconds,
        cost=amount.cost(platform.settings.embedder.price_per_million_tokens),
        job_ids=job_ids,
    )


async def _pages(
    platform: Platform, tenant: TenantId, source: SourceId | None, filters: Filters
) -> AsyncGenerator[list[StoredDocument]]:
    after = None
    while listed := await platform.documents.listed(tenant, source=source, limit=PAGE, after=after):
        after = listed[-1].ref.id
        yield [document for document in listed if matches(document.metadata, filters)]
