"""What a job does, whoever runs it: the in-process dispatcher or an arq worker."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, assert_never

from connectors.protocols import Connector, Deleted, Upserted
from ingestion.changes import (
    AWAITED,
    RESTORING,
    TAKING_IN,
    change_of,
    reindex_job,
    restoring_job,
)
from ingestion.describing import ref_of
from ingestion.kept import EmptySource, Kept, KeptConnector, kept_of, pushed
from ingestion.members import container_of, kept_member
from ingestion.moving import ingest_moved
from ingestion.outcomes import (
    AccessUpdated,
    Failed,
    Indexed,
    Outcome,
    Quarantined,
    Removed,
    Unchanged,
)
from ingestion.pipeline import IngestPipeline
from ingestion.retry import Again, GiveUp, NeverAgain, RetryPolicy
from ingestion.sync import SyncLedger, synchronise
from ingestion.sync_settings import SyncSettings
from rag.access import TenantId
from rag.errors import Error, StorageUnavailable
from rag.storage.documents.ledger import Documents
from rag.storage.documents.records import DocumentState
from rag.storage.generations.ledger import Generations
from rag.storage.jobs.leases import Failure, Leases
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import Job, JobKind, JobState, NewJob
from rag.storage.jobs.workers import Workers
from rag.storage.originals import Originals
from rag.storage.records import Digest
from rag.storage.sources.ledger import Sources
from rag.storage.sources.records import PUSH, Source
from rag.storage.sources.snapshots import Snapshots
from rag.types import DocumentId, SourceId

log = logging.getLogger(__name__)

Connect = Callable[[Source], Connector]
"""Builds the connector of a registered source. Raises `ConfigurationError`."""

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All that running jobs takes."""

    pipeline: IngestPipeline
    jobs: Jobs
    leases: Leases
    documents: Documents
    sources: Sources
    originals: Originals
    workers: Workers
    generations: Generations
    connect: Connect
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    lease: timedelta = timedelta(seconds=60)
    rng: random.Random = field(default_factory=random.Random)


RunJob = Callable[[Job, Work], Awaitable[JobState | None]]
"""`run_job`, or what wraps it."""


async def run_job(job: Job, work: Work) -> JobState | None:
    """Do a claimed job, keep its lease meanwhile, and record how it went: the state it is in now,
    or None where that is no longer ours to say.

    Cancelled, it gives the job back. Where its lease was lost, it stops and records nothing: the
    job is another's. Errors: `StorageUnavailable`, when the ledger cannot be told; the lease then
    runs out and the job is taken back.
    """
    doing = asyncio.create_task(_perform(job, work))
    keeping = asyncio.create_task(_keep_lease(job, work))
    try:
        await asyncio.wait({doing, keeping}, return_when=asyncio.FIRST_COMPLETED)
        return await _record(job, work, doing) if doing.done() else None
    except asyncio.CancelledError:
        await _stop(doing)
        await asyncio.shield(work.leases.release(job))
        raise
    finally:
        await _stop(keeping)
        await _stop(doing)


async def _stop(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait({task})


async def _keep_lease(job: Job, work: Work) -> None:
    """Ends when the lease is lost."""
    while True:
        await asyncio.sleep(work.lease.total_seconds() / 4)
        try:
            if not await work.leases.extend(job, lease=work.lease):
                log.warning("job %s was taken over by another worker", job.id)
                return
        except StorageUnavailable:
            log.warning("job %s: its lease could not be extended", job.id)


async def _record(job: Job, work: Work, doing: "asyncio.Task[str | Failure]") -> JobState | None:
    error = doing.exception()
    if error is None:
        result = doing.result()
        if isinstance(result, Failure):
            return JobState.FAILED if await work.leases.failed(job, result) else None
        return JobState.DONE if await work.leases.done(job, result) else None
    failure = _failure_of(error, job)
    verdict = work.retry.verdict(
        error, attempts=job.attempts, max_attempts=job.max_attempts, rng=work.rng
    )
    match verdict:
        case Again(delay=delay):
            return JobState.WAITING if await work.leases.wait(job, failure, delay=delay) else None
        case NeverAgain():
            return JobState.FAILED if await work.leases.failed(job, failure) else None
        case GiveUp():
            return JobState.DEAD if await work.leases.died(job, failure) else None
        case _:
            assert_never(verdict)


def _failure_of(error: BaseException, job: Job) -> Failure:
    name = type(error).__name__
    if isinstance(error, Error):
        return Failure(name, str(error))
    # Nobody knows what such an error's text holds: it goes to the log, under the operator's eyes.
    log.error("job %s failed in a way nobody foresaw", job.id, exc_info=error)
    return Failure(name, "an unforeseen error; the log of the worker has it")


# --- the kinds of job --------------------------------------------------------------------------


async def _perform(job: Job, work: Work) -> str | Failure:
    """In a word what came of it."""
    match job.kind:
        case JobKind.UPSERT | JobKind.ACCESS | JobKind.DELETE:
            return _told(await _ingest(job, work))
        case JobKind.SYNC:
            return await _sync(job, work)
        case JobKind.REINDEX if job.uri is None:
            return await _reindex_source(job, work)
        case JobKind.REINDEX:
            return _told(await _reindex_document(job, work))
        case JobKind.RENDER:
            document = ref_of(job.tenant, job.source, _uri_of(job)).id
            restores = bool(job.payload.get(RESTORING))
            bring = work.pipeline.restore if restores else work.pipeline.render
            return _told(await bring(job.tenant, document))
        case _:
            assert_never(job.kind)


async def _ingest(job: Job, work: Work) -> Outcome:
    uri = _uri_of(job)
    if job.original is not None:
        kept = await _sent(job, uri, job.original, work)
        if kept is None:
            return Unchanged()
        sent = KeptConnector(job.source, kept, work.originals)
        return await work.pipeline.ingest(
            Upserted(uri, kept.seen),
            sent,
            tenant=job.tenant,
            anew=bool(job.payload.get("anew", False)),
        )
    change = change_of(job.kind, uri, job.payload)
    if not isinstance(change, Upserted):
        # Shutting someone out must not wait for a source that does not answer.
        return await work.pipeline.ingest(change, EmptySource(job.source), tenant=job.tenant)
    connector = work.connect(await work.sources.get(job.tenant, job.source))
    moved_from = job.payload.get("moved_from")
    try:
        if moved_from is not None:
            return await ingest_moved(
                change, connector, work.pipeline, tenant=job.tenant, moved_from=moved_from
            )
        return await work.pipeline.ingest(change, connector, tenant=job.tenant)
    finally:
        await connector.aclose()


async def _sent(job: Job, uri: str, body: Digest, work: Work) -> Kept | None:
    """What the job was given: by an app, or out of another document; None where that has other
    content by now."""
    container = container_of(job.payload)
    if container is None:
        return pushed(uri, job.payload, body)
    parent = await work.documents.find(job.tenant, container.document)
    return kept_member(uri, job.payload, body, container=container, parent=parent)


async def _sync(job: Job, work: Work) -> str:
    source = await work.sources.get(job.tenant, job.source)
    if source.kind == PUSH:
        return "nothing to list: apps send what this source has"
    connector = work.connect(source)
    try:
        found = await synchronise(
            connector,
            tenant=job.tenant,
            batch=job.id,
            ledger=SyncLedger(
                documents=work.documents,
                snapshots=Snapshots(work.documents.database),
                jobs=replace(work.jobs, least_urgent=AWAITED)
                if job.payload.get("awaited")
                else work.jobs,
                sources=work.sources,
            ),
            settings=SyncSettings.of(source.settings),
            confirm_deletions=bool(job.payload.get("confirm_deletions")),
        )
    finally:
        await connector.aclose()
    return f"listed {found.changes} changes and {found.problems} problems"


async def _reindex_source(job: Job, work: Work) -> str:
    """A job for each document that has a version, and for each that never could be read."""
    number = 0
    after: DocumentId | None = None
    while page := await work.documents.listed(
        job.tenant, source=job.source, limit=_PAGE, after=after
    ):
        after = page[-1].ref.id
        number += len(page)
        job_of = restoring_job if job.payload.get(RESTORING) else reindex_job
        await work.jobs.enqueue(
            [
                job_of(job.tenant, job.source, uri=document.ref.uri, batch=job.id)
                for document in page
            ]
        )
    return f"{number} documents to index anew"


def sync_job(
    tenant: TenantId,
    source: SourceId,
    *,
    confirm_deletions: bool = False,
    awaited: bool = False,
) -> NewJob:
    """Find what changed at a source, and take it in. `confirm_deletions` deletes whatever the
    source does not list now, however much it is. `awaited`: somebody waits for it, so that it and
    the jobs it makes go before those of syncs that nobody asked for."""
    said = {"confirm_deletions": confirm_deletions, "awaited": awaited}
    return NewJob(
        tenant=tenant,
        source=source,
        kind=JobKind.SYNC,
        payload={name: True for name, is_so in said.items() if is_so},
        priority=AWAITED if awaited else TAKING_IN,
    )


async def _reindex_document(job: Job, work: Work) -> Outcome:
    uri = _uri_of(job)
    document = await work.documents.find(job.tenant, ref_of(job.tenant, job.source, uri).id)
    if document is None or document.state is DocumentState.NEW:
        return Unchanged()  # its first ingest is still to come, from the source
    if document.state is DocumentState.DELETED:
        return await work.pipeline.ingest(Deleted(uri), EmptySource(job.source), tenant=job.tenant)
    anew = bool(job.payload.get("anew", True))
    if document.state is DocumentState.QUARANTINED or (document.original is None and not anew):
        # Nothing of it is kept: it is released, or comes anew from its source.
        return await work.pipeline.settle(job.tenant, document.ref.id)
    kept = kept_of(document)
    connector = KeptConnector(job.source, kept, work.originals)
    return await work.pipeline.ingest(
        Upserted(uri, kept.seen),
        connector,
        tenant=job.tenant,
        anew=anew,
    )


def _uri_of(job: Job) -> str:
    if job.uri is None:
        raise ValueError("a job for one resource names its URI")
    return job.uri


def _told(outcome: Outcome) -> str | Failure:
    match outcome:
        case Indexed():
            return (
                f"indexed {outcome.chunks} chunks: {outcome.embedded} embedded, "
                f"{outcome.kept} kept, {outcome.removed} removed"
            )
        case Unchanged():
            return "unchanged"
        case AccessUpdated():
            return "access or metadata updated"
        case Removed():
            return "removed"
        case Failed():
            return Failure(outcome.error_class, outcome.reason)
        case Quarantined():
            return Failure("Quarantined", outcome.detail)
        case _:
            assert_never(outcome)
