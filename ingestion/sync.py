"""Synchronising: what changed at a source becomes jobs.

The snapshot that a source is compared with is the ledger of documents itself: what was never
taken in is listed again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from connectors.protocols import (
    AccessChanged,
    Change,
    Connector,
    Deleted,
    Problem,
    Seen,
    Snapshot,
    Upserted,
)
from rag.access import TenantId
from rag.errors import Error
from rag.storage.documents import Documents
from rag.storage.jobs import Jobs
from rag.storage.records import JobKind, NewJob, access_of_json, json_of_access
from rag.storage.sources import MAX_PROBLEMS, Sources

ENQUEUED_AT_ONCE = 500

SHUTTING_OUT, TAKING_IN, INDEXING_ANEW = 10, 50, 80
"""Priorities: whom a change shuts out must not wait behind what is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synchronised:
    """What a listing found."""

    changes: int
    problems: int


async def synchronise(
    connector: Connector,
    *,
    tenant: TenantId,
    batch: str,
    documents: Documents,
    jobs: Jobs,
    sources: Sources,
) -> Synchronised:
    """List what changed and enqueue a job for each change, under the mark `batch`.

    What was listed before an error stays enqueued. Errors: those of `discover`, after they were
    noted on the source.
    """
    source = connector.source
    await sources.sync_began(tenant, source, batch=batch)
    waiting: list[NewJob] = []
    changes = 0
    problems: list[tuple[str, str]] = []
    number_of_problems = 0
    try:
        async for change in connector.discover(await _snapshot(documents, tenant, connector)):
            if isinstance(change, Problem):
                number_of_problems += 1
                if len(problems) < MAX_PROBLEMS:
                    problems.append((change.uri, change.reason))
                continue
            changes += 1
            waiting.append(_job_of(change, tenant, connector, batch))
            if len(waiting) >= ENQUEUED_AT_ONCE:
                await jobs.enqueue(waiting)
                waiting.clear()
    except Error as error:
        await jobs.enqueue(waiting)
        await sources.sync_ended(tenant, source, error=str(error), problems=problems)
        raise
    await jobs.enqueue(waiting)
    await jobs.enqueue(await _mending(documents, tenant, connector))
    await sources.sync_ended(
        tenant, source, error=_summary_of(number_of_problems), problems=problems
    )
    return Synchronised(changes=changes, problems=number_of_problems)


async def _snapshot(documents: Documents, tenant: TenantId, connector: Connector) -> Snapshot:
    taken_in = await documents.snapshot(tenant, connector.source)
    return {uri: Seen(seen.revision, seen.access) for uri, seen in taken_in.items()}


def _job_of(
    change: Upserted | AccessChanged | Deleted, tenant: TenantId, connector: Connector, batch: str
) -> NewJob:
    def job(kind: JobKind, priority: int, payload: dict[str, Any]) -> NewJob:
        return NewJob(
            tenant=tenant,
            source=connector.source,
            kind=kind,
            uri=change.uri,
            payload=payload,
            batch=batch,
            priority=priority,
        )

    match change:
        case Upserted(seen=seen):
            return job(JobKind.UPSERT, TAKING_IN, {"seen": _json_of_seen(seen)})
        case AccessChanged():
            payload = {
                "seen": _json_of_seen(change.seen),
                "access": json_of_access(change.access),
                "metadata": dict(change.metadata),
            }
            return job(JobKind.ACCESS, SHUTTING_OUT, payload)
        case Deleted():
            return job(JobKind.DELETE, SHUTTING_OUT, {})
        case _:
            assert_never(change)


def change_of(kind: JobKind, uri: str, payload: Mapping[str, Any]) -> Change:
    """The change that `synchronise` made a job of."""
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
        case JobKind.SYNC | JobKind.REINDEX:
            raise ValueError(f"{kind} is no change of one resource")


async def _mending(documents: Documents, tenant: TenantId, connector: Connector) -> list[NewJob]:
    """Documents that an ingest left half done, and that no change will take up again."""
    return [
        NewJob(
            tenant=tenant,
            source=connector.source,
            kind=JobKind.REINDEX,
            uri=uri,
            payload={"anew": False},
            priority=INDEXING_ANEW,
        )
        for uri in await documents.unsettled(tenant, connector.source)
    ]


def _summary_of(problems: int) -> str | None:
    if not problems:
        return None
    return "1 problem at the source" if problems == 1 else f"{problems} problems at the source"


def _json_of_seen(seen: Seen) -> dict[str, str]:
    return {"revision": seen.revision, "access": seen.access}


def _seen_of_json(value: dict[str, str]) -> Seen:
    return Seen(value["revision"], value["access"])
