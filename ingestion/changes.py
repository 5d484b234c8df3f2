"""Changes as jobs: what a sync found, kept until somebody does it, and read back."""

from collections.abc import Mapping
from typing import Any

from connectors.protocols import AccessChanged, Change, Deleted, Listed, Seen, Upserted
from ingestion.comparing import ChangeKind, Move
from rag.access import TenantId
from rag.storage.documents.records import StoredDocument
from rag.storage.generations.records import Lacking
from rag.storage.jobs.records import JobKind, NewJob
from rag.storage.records import access_of_json, json_of_access
from rag.storage.sources.records import KnownDocument
from rag.types import SourceId

SHUTTING_OUT, AWAITED, TAKING_IN, INDEXING_ANEW, RENDERING = 10, 30, 50, 80, 90
"""Priorities: whom a change shuts out must not wait behind what is new, nor a person behind a
nightly sync."""


RESTORING = "restore"


def job_of_listed(
    listed: Listed,
    kind: ChangeKind,
    known: KnownDocument | None,
    *,
    tenant: TenantId,
    source: SourceId,
    batch: str,
) -> NewJob:
    """The job that follows a resource that is new or changed."""
    other_access = known is not None and known.access_fingerprint != listed.seen.access
    priority = SHUTTING_OUT if other_access else TAKING_IN
    payload: dict[str, Any] = {"seen": _json_of_seen(listed.seen)}
    job = JobKind.UPSERT
    if kind in {ChangeKind.ACCESS, ChangeKind.METADATA} and listed.access is not None:
        job = JobKind.ACCESS
        payload["access"] = json_of_access(listed.access)
        payload["metadata"] = dict(listed.metadata)
    return NewJob(
        tenant=tenant,
        source=source,
        kind=job,
        uri=listed.uri,
        payload=payload,
        batch=batch,
        priority=priority,
    )


def job_of_move(move: Move, *, tenant: TenantId, source: SourceId, batch: str) -> NewJob:
    """One job for both places, so that neither is ever shown alone half-way: `ingestion.moving`."""
    moved: dict[str, Any] = {"uri": move.known.uri, "revision": move.known.revision}
    if move.listed.access is not None:
        moved["access"] = json_of_access(move.listed.access)
    return NewJob(
        tenant=tenant,
        source=source,
        kind=JobKind.UPSERT,
        uri=move.listed.uri,
        payload={"seen": _json_of_seen(move.listed.seen), "moved_from": moved},
        batch=batch,
        priority=SHUTTING_OUT,
    )


def job_of_gone(known: KnownDocument, *, tenant: TenantId, source: SourceId, batch: str) -> NewJob:
    return NewJob(
        tenant=tenant,
        source=source,
        kind=JobKind.DELETE,
        uri=known.uri,
        batch=batch,
        priority=SHUTTING_OUT,
    )


def job_of_recheck(
    known: KnownDocument, *, tenant: TenantId, source: SourceId, batch: str
) -> NewJob:
    """Fetch what the source calls unchanged, and see."""
    seen = Seen(known.revision, known.access_fingerprint, known.identity)
    return NewJob(
        tenant=tenant,
        source=source,
        kind=JobKind.UPSERT,
        uri=known.uri,
        payload={"seen": _json_of_seen(seen)},
        batch=batch,
        priority=INDEXING_ANEW,
    )


def job_of_released(document: StoredDocument) -> NewJob:
    """Fetch a document that an administrator let out of quarantine."""
    return NewJob(
        tenant=document.ref.tenant,
        source=document.ref.source,
        kind=JobKind.UPSERT,
        uri=document.ref.uri,
        payload={"seen": _json_of_seen(Seen(document.revision, document.access_fingerprint))},
        priority=TAKING_IN,
    )


def job_of_mending(uri: str, *, tenant: TenantId, source: SourceId) -> NewJob:
    """For a document that an ingest left half done, and that no change will take up again."""
    return NewJob(
        tenant=tenant,
        source=source,
        kind=JobKind.REINDEX,
        uri=uri,
        payload={"anew": False},
        priority=INDEXING_ANEW,
    )


def reindex_job(
    tenant: TenantId, source: SourceId, *, uri: str | None = None, batch: str | None = None
) -> NewJob:
    """Index a document anew from the original that was kept; without `uri`, all of the source."""
    return NewJob(
        tenant=tenant,
        source=source,
        kind=JobKind.REINDEX,
        uri=uri,
        batch=batch,
        payload={"anew": True},
        priority=INDEXING_ANEW,
    )


def restoring_job(
    tenant: TenantId, source: SourceId, *, uri: str | None = None, batch: str | None = None
) -> NewJob:
    """Put back what the index has lost of a document, from the ledger alone; without `uri`, of all
    of the source."""
    return NewJob(
        tenant=tenant,
        source=source,
        kind=JobKind.REINDEX if uri is None else JobKind.RENDER,
        uri=uri,
        batch=batch,
        payload={RESTORING: True},
        priority=INDEXING_ANEW,
    )


def job_of_rendering(lacking: Lacking) -> NewJob:
    """For a document that a generation of the index lacks."""
    return NewJob(
        tenant=lacking.tenant,
        source=lacking.source,
        kind=JobKind.RENDER,
        uri=lacking.uri,
        priority=RENDERING,
    )


def change_of(kind: JobKind, uri: str, payload: Mapping[str, Any]) -> Change:
    """The change that a job was made of."""
    match kind:
        case JobKind.UPSERT:
            return Upserted(uri, _seen_of_json(payload["seen"]))
        case JobKind.ACCESS:
            return AccessChanged(
                uri,
                _seen_of_json(payload["seen"]),
                access_of_json(payload["access"]),
                payload["metadata"],
            )
        case JobKind.DELETE:
            return Deleted(uri)
        case JobKind.SYNC | JobKind.REINDEX | JobKind.RENDER:
            raise ValueError(f"{kind} is no change of one resource")


def _json_of_seen(seen: Seen) -> dict[str, str | None]:
    return {"revision": seen.revision, "access": seen.access, "identity": seen.identity}


def _seen_of_json(value: Mapping[str, Any]) -> Seen:
    return Seen(value["revision"], value["access"], value.get("identity"))
