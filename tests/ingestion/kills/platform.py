"""The ingest side that is killed: a real folder, ledger and index; parsing and embedding that
take no time."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from api.generations import OpenGenerations
from connectors.filesystem import FilesystemConnector
from ingestion.dispatch import Bell, Dispatcher
from ingestion.generations import LiveGenerations
from ingestion.jobs import Work, sync_job
from ingestion.pipeline import IngestPipeline
from ingestion.releasing import release_from_quarantine
from ingestion.retry import RetryPolicy
from ingestion.validation.flow import validator_over
from rag.access import Membership, PrincipalId
from rag.errors import NotFound
from rag.storage.access.groups import BY_ADMINS, Groups
from rag.storage.database import Database
from rag.storage.jobs.failures import Failures
from rag.storage.jobs.leases import Leases
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import JobState
from rag.storage.jobs.rows import Announce
from rag.storage.jobs.workers import Workers
from rag.storage.records import document_id_of
from rag.storage.sources.ledger import Sources
from rag.storage.verdicts.ledger import Verdicts
from rag.storage.verdicts.records import Accept
from tests.ingestion.kills.doom import (
    Doom,
    DoomedAnnouncement,
    DoomedDocuments,
    DoomedGenerations,
    DoomedLedger,
    DoomedOriginals,
)
from tests.ingestion.kills.generations import all_hold_everything, bring_about, wanted_in
from tests.ingestion.kills.watching import Place
from tests.ingestion.kills.world import State
from tests.ingestion.platform import SOURCE, TENANT
from tests.ingestion.test_containers import BoxParser

_SETTINGS = {"validation": {"secrets": "quarantine", "near_duplicates": False}}
"""Which of two that are alike came first is chance."""


def work_over(
    database: Database,
    place: Place,
    *,
    generations: LiveGenerations,
    announce: Announce,
    doom: Doom,
    lease: timedelta = timedelta(seconds=60),
) -> Work:
    originals = DoomedOriginals(place.originals, doom=doom)
    documents, sources = DoomedDocuments(database, doom=doom), Sources(database)
    announced = DoomedAnnouncement(announce, doom)
    jobs = Jobs(database, announced)
    pipeline = IngestPipeline(
        parser=BoxParser(originals),
        validator=validator_over(sources, Verdicts(database)),
        generations=DoomedGenerations(generations, doom),
        documents=documents,
        originals=originals,
        jobs=jobs,
    )
    return Work(
        pipeline=pipeline,
        jobs=jobs,
        leases=Leases(database, announced),
        documents=documents,
        sources=sources,
        originals=originals,
        workers=Workers(database),
        generations=DoomedLedger(database, doom=doom),
        connect=lambda _source: FilesystemConnector(place.source, source=SOURCE),
        retry=RetryPolicy(
            first_delay=timedelta(milliseconds=20), longest_delay=timedelta(seconds=1)
        ),
        lease=lease,
    )


def dispatcher_of(work: Work, bell: Bell) -> Dispatcher:
    return Dispatcher(
        work=work,
        bell=bell,
        concurrency=4,
        poll=timedelta(milliseconds=50),
        sweep_every=timedelta(milliseconds=200),
        tidy_every=timedelta(milliseconds=700),
    )


async def follow(
    state: State, source: Path, work: Work, database: Database, generations: OpenGenerations
) -> None:
    """What people and the clock ask of the platform in this state: all of it may be asked again.
    Generations are begun, switched and dropped while the source is synced."""
    memberships = [
        Membership(PrincipalId(member), PrincipalId(group))
        for member, group in sorted(state.memberships)
    ]
    await Groups(database).replace(TENANT, BY_ADMINS, memberships)
    for path in state.releases:
        with suppress(NotFound):  # it was let out before
            await release_from_quarantine(
                TENANT,
                document_id_of(TENANT, SOURCE, (source / path).as_uri()),
                accept=Accept.VERSION,
                by=PrincipalId("user:admin"),
                verdicts=Verdicts(database),
                documents=work.documents,
                sources=work.sources,
                jobs=work.jobs,
            )
    await _again_what_died(work)
    await work.jobs.enqueue([sync_job(TENANT, SOURCE)])
    await bring_about(wanted_in(state.number), work.generations, generations)


async def all_done(work: Work, dispatcher: Dispatcher) -> None:
    """Once no job is left, none is a dead letter, and no generation lacks anything."""
    while True:
        await dispatcher.idle()
        if not await _again_what_died(work):
            break
    await all_hold_everything(work.generations)
    await dispatcher.idle()


async def _again_what_died(work: Work) -> int:
    """A job whose worker was killed five times is a dead letter, until somebody says: try it
    again."""
    failures = Failures(work.documents.database)
    return await failures.retry_all(work.jobs, TENANT, states=[JobState.DEAD])


async def register(database: Database) -> None:
    sources = Sources(database)
    await sources.add_tenant(TENANT)
    await sources.register(
        TENANT, kind="filesystem", name="Files", settings=_SETTINGS, source=SOURCE
    )
