"""Synchronising, from what a source shows to jobs that follow it.

Read this file to know what a sync does. Where the source has a word of its own on what changed, and
its last full listing is young enough, that is followed page by page; else everything is listed.

1. What a page shows is compared with the ledger, and what differs becomes jobs. Whom it shuts out
   is out at once.
2. The cursor after a page is kept once its jobs are; a sync cut short goes on from there, and one
   that meets a change twice finds it made.
3. What is gone is deleted last, after what moved was told apart from it, and only by a run that
   came to its end. More than a set share of the source at once is held back until an administrator
   confirms it.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.protocols import Connector, Cursor, Gone, Listed, Problem
from ingestion.changes import (
    job_of_gone,
    job_of_listed,
    job_of_mending,
    job_of_move,
    job_of_recheck,
)
from ingestion.comparing import ChangeKind, difference, paired
from ingestion.listing import distinct, in_batches, never_repeating
from ingestion.sync_report import SyncReport
from ingestion.sync_settings import SyncSettings
from rag.access import AccessList, TenantId
from rag.errors import CursorExpired, Error
from rag.narrowing import narrowed
from rag.storage.documents.ledger import Documents
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import NewJob
from rag.storage.records import document_id_of
from rag.storage.sources.ledger import MAX_PROBLEMS, Sources
from rag.storage.sources.records import KnownDocument, Tally
from rag.storage.sources.snapshots import Snapshots
from rag.types import DocumentId

AT_ONCE = 500
"""Resources that are compared, and jobs that are kept, together."""

DELETED_UNASKED = 20
"""So many deletions the brake never holds back: a small source may change altogether."""

HELD_BACK = "the source does not list it any more; its deletion waits to be confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncLedger:
    """Where a sync reads what is known, and keeps what it found."""

    documents: Documents
    snapshots: Snapshots
    jobs: Jobs
    sources: Sources


async def synchronise(
    connector: Connector,
    *,
    tenant: TenantId,
    batch: str,
    ledger: SyncLedger,
    settings: SyncSettings,
    confirm_deletions: bool = False,
) -> Tally:
    """Find what changed and enqueue a job for each change, under the mark `batch`.

    `confirm_deletions` lists everything and deletes whatever is not there, however much it is.
    What was found before an error stays enqueued. Errors: those of the connector, after they were
    noted on the source.
    """
    run = _Run(connector, tenant, batch, ledger, settings)
    report = run.report
    await ledger.sources.sync_began(tenant, connector.source, batch=batch)
    try:
        await run.find_changes(everything=confirm_deletions)
        await run.settle_what_is_gone(confirmed=confirm_deletions)
        await run.come_to_the_end()
    except Error as error:
        await ledger.sources.sync_ended(
            tenant, connector.source, error=str(error), problems=report.problems, tally=report.tally
        )
        raise
    await ledger.sources.sync_ended(
        tenant,
        connector.source,
        error=report.summary(),
        problems=report.problems,
        tally=report.tally,
        complete=run.listed_everything and not report.hidden,
    )
    return report.tally


@dataclass(slots=True)
class _Run:
    """One sync, as far as it is."""

    connector: Connector
    tenant: TenantId
    batch: str
    ledger: SyncLedger
    settings: SyncSettings
    report: SyncReport = field(default_factory=SyncReport)
    may_have_moved: list[Listed] = field(default_factory=list[Listed])
    """New here, and known under another URI: what they are shows once it is known what is gone."""
    cursor: Cursor | None = None
    """Where the next sync goes on, if this one comes to its end."""
    listed_everything: bool = False
    rechecked_to: DocumentId | None = None

    # --- 1. what changed ------------------------------------------------------------------------

    async def find_changes(self, *, everything: bool) -> None:
        state = await self.ledger.snapshots.state(self.tenant, self.connector.source)
        since = state.resumed_from(overlap=self.settings.overlap)
        moment = self.ledger.snapshots.clock()
        is_young = (
            state.reconciled_at is not None
            and moment - state.reconciled_at < self.settings.reconcile_every
        )
        if since is not None and is_young and not everything:
            try:
                await self._follow(Cursor(since))
            except CursorExpired:
                pass  # the listing below tells what the source cannot
            else:
                return
        await self._list_everything()
        await self._recheck_some(state.rechecked_to)

    async def _follow(self, since: Cursor) -> None:
        """Take in, page by page, what the source says has changed."""
        delta = self.connector.delta
        if delta is None:
            raise CursorExpired("the source does not tell any more what changed")
        self.report.goes_by("changes")
        async for page in never_repeating(delta.since(since), since):
            # Of one resource, the page's last word counts.
            latest = {found.uri: found for found in page.found if not isinstance(found, Problem)}
            self.report.note(found for found in page.found if isinstance(found, Problem))
            there = [found for found in latest.values() if isinstance(found, Listed)]
            await self._take(there)
            self.cursor = page.cursor
            await self.ledger.snapshots.turn_page(
                self.tenant,
                self.connector.source,
                missing=[self._id(uri) for uri, found in latest.items() if isinstance(found, Gone)],
                present=[self._id(found.uri) for found in there],
                # What waits to be told from a move is kept by nobody yet.
                cursor=None if self.may_have_moved else page.cursor,
            )

    async def _list_everything(self) -> None:
        """Compare everything there is; then mark what is known and was not listed."""
        delta = self.connector.delta
        self.report.goes_by("listing")
        self.may_have_moved.clear()
        # Before the listing: what changes while it lasts is met once more.
        self.cursor = None if delta is None else await delta.now()
        listed: set[DocumentId] = set()
        async for found in in_batches(self._listing(), AT_ONCE):
            there = [each for each in found if isinstance(each, Listed)]
            self.report.note(each for each in found if isinstance(each, Problem))
            listed.update(await self._take(there))
        missing = await self._not_among(listed)
        if missing:
            missing = await self._outside_of_hidden(await self._still_missing(missing))
        await self.ledger.snapshots.mark_missing(self.tenant, self.connector.source, missing)
        self.listed_everything = True

    def _listing(self) -> AsyncGenerator[Listed | Problem]:
        return distinct(self.connector.listing())

    async def _not_among(self, listed: set[DocumentId]) -> set[DocumentId]:
        pages = self.ledger.snapshots.ids(self.tenant, self.connector.source)
        return {document async for page in pages for document in page if document not in listed}

    async def _still_missing(self, missing: set[DocumentId]) -> set[DocumentId]:
        """A source that is changed while it lists itself may skip what is there: only what a second
        look misses too counts as gone."""
        async for found in self._listing():
            if isinstance(found, Listed):
                missing.discard(self._id(found.uri))
            elif found.hides:
                self.report.hide(found.uri)
        return missing

    async def _outside_of_hidden(self, missing: set[DocumentId]) -> set[DocumentId]:
        if not self.report.hidden:
            return missing
        known = await self.ledger.snapshots.known(
            self.tenant, self.connector.source, sorted(missing), unread=True
        )
        covered = {each.id for each in known.values() if self.report.is_hidden(each.uri)}
        return missing - covered

    async def _take(self, there: Sequence[Listed]) -> list[DocumentId]:
        """Compare with what is known, and keep a job for each that differs; the ids of all."""
        snapshots, source = self.ledger.snapshots, self.connector.source
        ids = [self._id(listed.uri) for listed in there]
        contradicted = await snapshots.contradicted(
            self.tenant,
            source,
            {
                document: (listed.seen.revision, listed.seen.access)
                for listed, document in zip(there, ids, strict=True)
            },
        )
        known = await snapshots.known(self.tenant, source, ids)
        pairs = [(listed, known.get(document)) for listed, document in zip(there, ids, strict=True)]
        regoverned = [
            (listed, before)
            for listed, before in pairs
            if before is not None and before.access_fingerprint != listed.seen.access
        ]
        readers = await snapshots.readers(
            self.tenant, source, [before.id for _, before in regoverned]
        )
        await self._shut_out(regoverned, readers)
        compared = [
            (
                listed,
                before,
                # What a job made of an earlier word is about to do, only a fetch makes good.
                ChangeKind.CONTENT
                if before is not None and before.id in contradicted
                else difference(listed, before, readers.get(before.id) if before else None),
            )
            for listed, before in pairs
        ]
        new = [listed for listed, _, kind in compared if kind is ChangeKind.NEW]
        moving = {each.uri: each for each in await self._that_may_have_moved(new)}
        self.may_have_moved += moving.values()
        await self._enqueue(
            (self._job_of(listed, kind, before), kind)
            for listed, before, kind in compared
            if kind is not None and listed.uri not in moving
        )
        self.report.compared(len(there))
        return ids

    async def _shut_out(
        self,
        regoverned: Iterable[tuple[Listed, KnownDocument]],
        readers: Mapping[DocumentId, AccessList],
    ) -> None:
        """Whom the source does not admit any more is out before any job is done: from then on a
        document is read by those alone whom both the old access and the new admit."""
        narrower: dict[DocumentId, AccessList] = {}
        for listed, before in regoverned:
            if listed.access is None or before.id not in readers:
                continue
            access = narrowed(readers[before.id], listed.access)
            if access != readers[before.id]:
                narrower[before.id] = access
        await self.ledger.snapshots.shut_out(self.tenant, self.connector.source, narrower)

    async def _that_may_have_moved(self, new: Sequence[Listed]) -> list[Listed]:
        identities = {each.seen.identity for each in new if each.seen.identity is not None}
        known = await self.ledger.snapshots.identities(
            self.tenant, self.connector.source, identities
        )
        return [each for each in new if each.moved_from is not None or each.seen.identity in known]

    async def _recheck_some(self, rechecked_to: DocumentId | None) -> None:
        """Fetch some again that the source calls unchanged, the next ones each time."""
        if not self.settings.recheck:
            return
        snapshots, source = self.ledger.snapshots, self.connector.source
        some: list[DocumentId] = []
        async for page in snapshots.ids(self.tenant, source, after=rechecked_to):
            some = page[: self.settings.recheck]
            break
        self.rechecked_to = some[-1] if some else DocumentId("")
        known = await snapshots.known(self.tenant, source, some)
        jobs = [
            job_of_recheck(each, tenant=self.tenant, source=source, batch=self.batch)
            for each in known.values()
        ]
        await self.ledger.jobs.enqueue(jobs)

    # --- 2. what is gone ------------------------------------------------------------------------

    async def settle_what_is_gone(self, *, confirmed: bool) -> None:
        """Tell moves from deletions; then delete, or hold the deletions back."""
        source = self.connector.source
        gone = await self.ledger.snapshots.missing(self.tenant, source)
        found = paired(self.may_have_moved, gone)
        await self._enqueue(
            (
                job_of_move(move, tenant=self.tenant, source=source, batch=self.batch),
                ChangeKind.MOVED,
            )
            for move in found.moves
        )
        new = ChangeKind.NEW
        await self._enqueue((self._job_of(listed, new, None), new) for listed in found.new)
        if not confirmed and await self._is_too_much(len(found.gone)):
            self.report.note(Problem(known.uri, HELD_BACK) for known in found.gone[:MAX_PROBLEMS])
            self.report.held_back = len(found.gone)
            return
        await self._enqueue(
            (
                job_of_gone(known, tenant=self.tenant, source=source, batch=self.batch),
                ChangeKind.DELETED,
            )
            for known in found.gone
        )

    async def _is_too_much(self, deletions: int) -> bool:
        if deletions <= DELETED_UNASKED:
            return False
        there = await self.ledger.snapshots.count(self.tenant, self.connector.source)
        return deletions > self.settings.max_deleted_share * there

    # --- 3. the end -----------------------------------------------------------------------------

    async def come_to_the_end(self) -> None:
        """All that was found is kept: the next sync may go on from here."""
        tenant, source = self.tenant, self.connector.source
        unsettled = await self.ledger.documents.unsettled(tenant, source)
        mending = [job_of_mending(uri, tenant=tenant, source=source) for uri in unsettled]
        await self.ledger.jobs.enqueue(mending)
        await self.ledger.snapshots.ended(
            tenant,
            source,
            held_back=self.report.held_back,
            cursor=self.cursor,
            listed_everything=self.listed_everything,
            rechecked_to=self.rechecked_to,
            overlap=self.settings.overlap,
        )

    # --- inside ---------------------------------------------------------------------------------

    def _id(self, uri: str) -> DocumentId:
        return document_id_of(self.tenant, self.connector.source, uri)

    def _job_of(self, listed: Listed, kind: ChangeKind, known: KnownDocument | None) -> NewJob:
        return job_of_listed(
            listed,
            kind,
            known,
            tenant=self.tenant,
            source=self.connector.source,
            batch=self.batch,
        )

    async def _enqueue(self, jobs: Iterable[tuple[NewJob, ChangeKind]]) -> None:
        found = list(jobs)
        for at in range(0, len(found), AT_ONCE):
            await self.ledger.jobs.enqueue([job for job, _ in found[at : at + AT_ONCE]])
        self.report.changed(kind for _, kind in found)
