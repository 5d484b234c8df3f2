"""Connectors: register, check, sync, watch."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.platform import Platform
from api.policies import check_policy
from api.removal import deletion_of
from api.roots import check_root
from api.routers.connector_shapes import (
    CheckOut,
    ConnectorChange,
    ConnectorOut,
    ConnectorRequest,
    ConnectorsOut,
    FoundOut,
    ProgressOut,
    RemovalOut,
    SourceProblem,
    StatusOut,
    SyncRequest,
)
from api.shapes import JobAccepted
from connectors.protocols import Connector, Problem
from connectors.registry import build_connector
from ingestion.jobs import sync_job
from ingestion.schedule import next_sync_of
from ingestion.sync_settings import SyncSettings, without_sync_settings
from ingestion.validation.policy import without_policy
from rag.errors import ConfigurationError, Error, InvalidRequest, NotFound
from rag.storage.documents.records import DocumentState
from rag.storage.sources.records import PUSH, Source, SourceState
from rag.types import SourceId

PAGE = 500
ALIVE = (
    DocumentState.ACTIVE,
    DocumentState.NEW,
    DocumentState.FAILED,
    DocumentState.QUARANTINED,
)
SAMPLE = 20
"""How many listed resources prove that a source can be read."""

router = APIRouter(prefix="/v1/admin/connectors", tags=["administration"], responses=PROBLEMS)


@router.get("")
async def list_connectors(
    caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> ConnectorsOut:
    """Every connector of the tenant."""
    sources = await platform.sources.listed(caller.principal.tenant)
    kept = [source for source in sources if source.state is not SourceState.REMOVED]
    return ConnectorsOut(connectors=[ConnectorOut.of(source) for source in kept])


@router.post("", status_code=201)
async def register_connector(
    request: ConnectorRequest,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> ConnectorOut:
    """Register a source. Nothing is read before its first sync."""
    await _check(platform, request.kind, request.settings)
    source = await platform.sources.register(
        caller.principal.tenant, kind=request.kind, name=request.name, settings=request.settings
    )
    return ConnectorOut.of(source)


@router.get("/{connector_id}", responses=problems(404))
async def show_connector(
    connector_id: str, caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> ConnectorOut:
    return ConnectorOut.of(await _source(platform, caller, connector_id))


@router.patch("/{connector_id}", responses=problems(404))
async def change_connector(
    connector_id: str,
    request: ConnectorChange,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> ConnectorOut:
    """Rename, set anew, pause or resume. While it is paused none of its jobs is begun."""
    tenant = caller.principal.tenant
    source = await _source(platform, caller, connector_id)
    settings = source.settings if request.settings is None else request.settings
    if request.settings is not None:
        await _check(platform, source.kind, settings)
    await platform.sources.register(
        tenant,
        kind=source.kind,
        name=request.name or source.name,
        settings=settings,
        source=source.id,
    )
    if request.state is not None:
        await platform.sources.set_state(tenant, source.id, SourceState(request.state))
    if "access_max_age_hours" in request.model_fields_set:
        hours = request.access_max_age_hours
        max_age = None if hours is None else timedelta(hours=hours)
        await platform.sources.set_access_max_age(tenant, source.id, max_age)
    if request.weight is not None or "max_running" in request.model_fields_set:
        limited = "max_running" in request.model_fields_set
        await platform.sources.set_share(
            tenant,
            source.id,
            weight=request.weight or source.weight,
            max_running=request.max_running if limited else source.max_running,
        )
    return ConnectorOut.of(await platform.sources.get(tenant, source.id))


@router.delete("/{connector_id}", status_code=202, responses=problems(404))
async def remove_connector(
    connector_id: str, caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> RemovalOut:
    """Read nothing from the source any more, and delete every document that came from it."""
    source = await _source(platform, caller, connector_id)
    await platform.sources.set_state(source.tenant, source.id, SourceState.REMOVED)
    await platform.groups.replace(source.tenant, source.id, [])
    documents, after = 0, None
    while page := await platform.documents.listed(
        source.tenant, source=source.id, states=ALIVE, limit=PAGE, after=after
    ):
        after = page[-1].ref.id
        documents += len(page)
        await platform.jobs.enqueue([deletion_of(document) for document in page])
    return RemovalOut(documents=documents)


@router.post("/{connector_id}/test", responses=problems(404))
async def test_connector(
    connector_id: str, caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> CheckOut:
    """Whether the source can be listed now. Nothing is ingested."""
    source = await _source(platform, caller, connector_id)
    connector = _built(source.kind, source.settings, source.id, platform)
    listing, listed, told = connector.listing(), 0, list[str]()
    try:
        async for found in listing:
            if isinstance(found, Problem):
                told.append(f"{found.uri}: {found.reason}")
            listed += 1
            if listed >= SAMPLE:
                break
    except Error as error:
        return CheckOut(ok=False, detail=str(error), listed=listed, problems=told)
    finally:
        if isinstance(listing, AsyncGenerator):
            await listing.aclose()
        await connector.aclose()
    return CheckOut(ok=True, detail="the source can be listed", listed=listed, problems=told)


@router.post("/{connector_id}/sync", status_code=202, responses=problems(404))
async def sync_connector(
    connector_id: str,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    request: SyncRequest | None = None,
) -> JobAccepted:
    """Compare the source with what is known of it, and take in what changed."""
    confirmed = request is not None and request.confirm_deletions
    source = await _source(platform, caller, connector_id)
    if source.kind == PUSH:
        raise InvalidRequest("apps push into this source: there is nothing to compare it with")
    job = sync_job(source.tenant, source.id, confirm_deletions=confirmed, awaited=True)
    [job_id] = await platform.jobs.enqueue([job])
    return JobAccepted(job_id=job_id)


@router.get("/{connector_id}/status", responses=problems(404))
async def connector_status(
    connector_id: str, caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> StatusOut:
    """How its last sync went, and how far its jobs are."""
    tenant = caller.principal.tenant
    source = await _source(platform, caller, connector_id)
    progress = await platform.sources.progress(tenant, source.id)
    return StatusOut(
        state="syncing" if progress.pending else source.state,
        last_sync_at=source.last_sync_at,
        last_sync_error=source.last_sync_error,
        next_sync_at=next_sync_of(source),
        reconciled_at=source.reconciled_at,
        found=None if source.tally is None else FoundOut(**asdict(source.tally)),
        held_back_deletions=source.held_back,
        jobs=ProgressOut.of(progress),
        documents=await platform.sources.document_counts(tenant, source.id),
        problems=[SourceProblem(uri=uri, reason=reason) for uri, reason in source.problems],
    )


async def _check(platform: Platform, kind: str, settings: Mapping[str, Any]) -> None:
    check_root(
        settings,
        data_dir=platform.settings.data_dir,
        allowed=platform.settings.ingestion.filesystem_roots,
    )
    try:
        SyncSettings.of(settings)
    except ConfigurationError as error:
        raise InvalidRequest(str(error)) from error
    await _built(kind, settings, SourceId("new"), platform).aclose()


async def _source(platform: Platform, caller: Caller, connector: str) -> Source:
    source = await platform.sources.get(caller.principal.tenant, SourceId(connector))
    if source.state is SourceState.REMOVED:
        raise NotFound("there is no such source")
    return source


def _built(
    kind: str, settings: Mapping[str, Any], source: SourceId, platform: Platform
) -> Connector:
    """Raises `InvalidRequest`: what stops a process at its start is the caller's mistake here."""
    try:
        check_policy(settings)
        return build_connector(
            kind,
            without_sync_settings(without_policy(settings)),
            source=source,
            scratch=platform.settings.fetched_dir,
            spool=platform.originals.spool,
        )
    except ConfigurationError as error:
        raise InvalidRequest(str(error)) from error
