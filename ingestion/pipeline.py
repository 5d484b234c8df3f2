"""Ingesting, from one change at a source to a document that can be found.

Read this file to know what `ingest` does. It may be killed at any step and run again: the second
run ends where the first would have. Three rules make it so:

1. A new chunk is in the index before the ledger knows it, and a gone one leaves the ledger before
   the index. Readers see only what both hold, so they see the old version or the new one.
2. The ledger switches versions in one transaction.
3. A document is marked unsettled before the index is touched and settled after. Whoever finds it
   unsettled compares the index with the ledger and removes what nobody knows of.

Every generation of the index that is written has its own cut, vectors and chunks of a document
(`ingestion.rendering`); they change together.

What lies inside a document (a zip's files, a mail's attachments) becomes documents of their own,
each by a job: the ledger carries the container's access and its deletion down to them at once, and
a container is settled when their jobs are there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from connectors.protocols import (
    AccessChanged,
    Change,
    Connector,
    Deleted,
    Problem,
    Resource,
    Seen,
    Upserted,
)
from ingestion.changes import job_of_mending, reindex_job
from ingestion.describing import (
    MEMBERS,
    document_of,
    held_in_of,
    legible,
    merged,
    ref_of,
    version_of,
)
from ingestion.generations import LiveGeneration, LiveGenerations
from ingestion.kept import KeptConnector, kept_of
from ingestion.ledger import DocumentLedger, JobQueue, OriginalStore
from ingestion.locks import Locks
from ingestion.loose_ends import LooseEnds
from ingestion.members import member_jobs
from ingestion.outcomes import AccessUpdated, Failed, Indexed, Outcome, Removed, Unchanged
from ingestion.protocols import ParsedDocument, Parser
from ingestion.rendering import Cut, cut_for, indexed, is_current, render, restore
from ingestion.validation.inspection import Inspection, Validator
from ingestion.versions import new_version_of
from ingestion.withholding import Withholding
from rag.access import TenantId
from rag.errors import PermanentError, SourceGone
from rag.narrowing import narrowed
from rag.storage.documents.records import DocumentState, HeldIn, StoredDocument
from rag.types import Document, DocumentId, DocumentRef, VersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestPipeline:
    """One for a process: it lets one ingest of a document run at a time.

    Errors of `ingest`: `TransientError`, when the same call may succeed later. What a source or
    a file is at fault for is an outcome.
    """

    parser: Parser
    validator: Validator
    generations: LiveGenerations
    documents: DocumentLedger
    originals: OriginalStore
    jobs: JobQueue
    _locks: Locks = field(default_factory=Locks, init=False, repr=False)

    async def ingest(
        self, change: Change, connector: Connector, *, tenant: TenantId, anew: bool = False
    ) -> Outcome:
        """Make what readers find follow `change`. `anew` indexes even what is unchanged."""
        ref = ref_of(tenant, connector.source, change.uri)
        async with self._locks.of(ref.id):
            ends = await self._loose_ends()
            match change:
                case Upserted(seen=seen):
                    return await self._upsert(ref, seen, connector, ends, anew=anew)
                case AccessChanged():
                    return await self._change_access(ref, change, ends)
                case Deleted(revision=revision):
                    return await self._delete(ref, ends, revision=revision)
                case Problem(reason=reason):
                    return Failed(reason, "Problem")

    async def _loose_ends(self) -> LooseEnds:
        """What one ingest ties up, in the generations that are written as it begins."""
        return LooseEnds(await self.generations.live(), self.documents, self.originals, self.jobs)

    # --- new or changed content -----------------------------------------------------------------

    async def _upsert(
        self, ref: DocumentRef, seen: Seen, connector: Connector, ends: LooseEnds, *, anew: bool
    ) -> Outcome:
        withholding = Withholding(self.documents, ends)
        try:
            resource = legible(await connector.fetch(ref.uri))
        except SourceGone:
            return await self._delete(ref, ends)
        except PermanentError as error:
            return await withholding.unfetched(ref, seen, error)

        ref = replace(ref, title=resource.title)
        policy = await self.validator.policy_of(ref)
        held_in = held_in_of(resource)
        known = await self.documents.begin(ref, access=resource.access, held_in=held_in)
        version = version_of(resource, self.parser, policy.shaping)
        if not anew and await self._shows(known, version, ends.generations):
            return await self._keep_content(known, resource, ends)
        inspection = await self.validator.check_file(resource, known=known, policy=policy)
        try:
            known = await self._close_to_the_newly_shut_out(known, resource)
            parsed, inspection = await self._parsed_and_checked(known, inspection)
            if parsed is None or inspection.objections:
                return await withholding.quarantine(known, inspection)
            document = document_of(ref, resource, parsed, version)
            cuts = await cut_for(ends.generations, document)
        except PermanentError as error:
            found = inspection.failed(error)
            return await withholding.unreadable(known, resource.seen, error, found)
        return await self._replace_content(
            known, document, cuts, parsed, ends, inspection=inspection, anew=anew
        )

    async def _parsed_and_checked(
        self, known: StoredDocument, inspection: Inspection
    ) -> tuple[ParsedDocument | None, Inspection]:
        """None where the bytes alone are objected to: no parser gets to see them."""
        if inspection.objections:
            return None, inspection
        parsed = await self.parser.parse(inspection.resource)
        return await self.validator.check_text(parsed, known=known, inspection=inspection)

    async def _shows(
        self, known: StoredDocument, version: VersionId, generations: Sequence[LiveGeneration]
    ) -> bool:
        """Whether readers see just this content, and every generation has it, made as it would be
        now."""
        if known.state is not DocumentState.ACTIVE or known.version != version:
            return False
        if not known.settled and MEMBERS in known.parsed_metadata:
            return False
        renditions = await self.documents.renditions(known.ref.id)
        return all(
            is_current(renditions.get(generation.id), version, generation, known.ref.tenant)
            for generation in generations
        )

    async def _keep_content(
        self, known: StoredDocument, resource: Resource, ends: LooseEnds
    ) -> Outcome:
        """The bytes are those that were read before; who may read them need not be."""
        metadata = merged(known.parsed_metadata, resource.metadata, known.ref.source)
        same = known.access == resource.access and known.metadata == metadata
        await self.documents.describe(
            known.ref.tenant,
            known.ref.id,
            fence=known.fence,
            access=resource.access,
            source_metadata=resource.metadata,
            metadata=metadata,
            access_fingerprint=resource.seen.access,
            revision=resource.seen.revision,
            identity=resource.seen.identity,
            confirmed_at=resource.confirmed_at,
        )
        if not (same and known.settled):
            await ends.describe_in_index(known, resource.access, metadata)
            await ends.mend_members(known)
        await ends.settle(known)
        return Unchanged() if same else AccessUpdated()

    async def _close_to_the_newly_shut_out(
        self, known: StoredDocument, resource: Resource
    ) -> StoredDocument:
        """Until the new content is shown, the old one is read only by those whom both access
        lists admit: a reader who was taken away is shut out now, and one who was added may have
        been added because of what the new content leaves out."""
        if known.state is not DocumentState.ACTIVE or known.access == resource.access:
            return known
        access = narrowed(known.access, resource.access)
        await self.documents.describe(
            known.ref.tenant,
            known.ref.id,
            fence=known.fence,
            access=access,
            confirmed_at=resource.confirmed_at,
        )
        return replace(known, access=access, settled=False)  # the index was not told

    async def _replace_content(
        self,
        known: StoredDocument,
        document: Document,
        cuts: Sequence[Cut],
        parsed: ParsedDocument,
        ends: LooseEnds,
        *,
        inspection: Inspection,
        anew: bool,
    ) -> Indexed:
        resource = inspection.resource
        original = await self.originals.store(resource.body)
        holds = bool(parsed.children) or MEMBERS in known.parsed_metadata
        is_new = known.settled and known.state is DocumentState.NEW
        rendered = await render(
            cuts,
            document,
            known=known,
            content=document.version,
            parser=parsed.parser,
            before={} if is_new else await self.documents.renditions(document.ref.id),
            documents=self.documents,
            anew=anew,
        )
        new = new_version_of(
            document,
            parsed,
            inspection,
            original=original,
            is_old=anew and known.error is not None and known.original == original,
            holds=holds,
        )
        # Of what is unsettled, the ledger may have said more than the index heard.
        same = (known.access, known.metadata) == (document.access, document.metadata)
        # A generation that was left out may hold old chunks, which it keeps later.
        kept = any(each.kept for each in rendered) or len(rendered) < len(cuts)
        described = not kept or (known.settled and same)
        settles = known.settled and described and not holds
        gone = await self.documents.switch(
            new,
            [each.new for each in rendered],
            fence=known.fence,
            settled_in=[each.id for each in ends.generations] if settles else (),
        )

        if not await self.originals.holds(original):  # its last owner just went
            await self.originals.store(resource.body)
        await ends.delete_from_index(known, gone)
        if not described:
            await ends.describe_in_index(known, document.access, document.metadata)
        if holds:
            await self.jobs.enqueue(member_jobs(document, parsed, anew=anew))
            await ends.mend_members(known, ever=True)
        if any(gone.values()) or not settles:
            await ends.settle(known)
        if known.original not in {None, original}:
            await ends.forget_original(known)
        return indexed(rendered[0], gone)

    # --- a generation that lacks a document -----------------------------------------------------

    async def render(self, tenant: TenantId, document: DocumentId) -> Outcome:
        """Give every generation that lacks the document a rendition of the version that is shown,
        from the original that is kept. Nothing changes in the other generations.

        Raises `PermanentError` also where the original cannot be read as it was.
        """
        async with self._locks.of(document):
            ends = await self._loose_ends()
            known = await self.documents.take(tenant, document)
            if known is None or known.version is None:
                await self._have_it_mended(await self.documents.find(tenant, document))
                return Unchanged()
            before = await self.documents.renditions(document)
            lacking = [
                generation
                for generation in ends.generations
                if generation.id not in before or before[generation.id].content != known.version
            ]
            if not lacking:
                await self._leave_as_it_was(known, ends)
                return Unchanged()
            try:
                parsed, shown = await self._shown_again(known)
                cuts = await cut_for(lacking, shown)
            except PermanentError:
                await self._leave_as_it_was(known, ends)
                raise
            rendered = await render(
                cuts,
                shown,
                known=known,
                content=known.version,
                parser=parsed.parser,
                before=before,
                documents=self.documents,
            )
            gone = await self.documents.add_renditions(
                document, [each.new for each in rendered], fence=known.fence
            )
            await ends.delete_from_index(known, gone)
            await self._leave_as_it_was(known, ends)
            return indexed(rendered[0], gone)

    async def restore(self, tenant: TenantId, document: DocumentId) -> Outcome:
        """Put back what the indexes have lost of the document, from what the ledger holds: nothing
        is fetched or parsed. What cannot be had from there is indexed anew by another job."""
        async with self._locks.of(document):
            ends = await self._loose_ends()
            known = await self.documents.take(tenant, document)
            if known is None:
                await self._have_it_mended(await self.documents.find(tenant, document))
                return Unchanged()
            restored = [
                await restore(generation, known, self.documents) for generation in ends.generations
            ]
            await ends.describe_in_index(known, known.access, known.metadata)
            await self._leave_as_it_was(known, ends)
            if None in restored:
                ref = known.ref
                await self.jobs.enqueue([reindex_job(ref.tenant, ref.source, uri=ref.uri)])
                return Unchanged()
            held = await self.documents.held(document, ends.generations[0].id)
            back = restored[0] or 0
            return Indexed(len(held), embedded=back, kept=len(held) - back, removed=0)

    async def _leave_as_it_was(self, known: StoredDocument, ends: LooseEnds) -> None:
        """What an earlier ingest left to do is not done by this: another job does it."""
        if known.settled:
            await ends.say_settled(known)
        else:
            await self._have_it_mended(known)

    async def _have_it_mended(self, left: StoredDocument | None) -> None:
        """Whoever left it so may have taken this job for the one that mends it."""
        if left is not None and not left.settled:
            ref = left.ref
            mending = job_of_mending(ref.uri, tenant=ref.tenant, source=ref.source)
            await self.jobs.enqueue([mending])

    async def _shown_again(self, known: StoredDocument) -> tuple[ParsedDocument, Document]:
        """What readers see of it, as the parser reads it now."""
        kept = KeptConnector(known.ref.source, kept_of(known), self.originals)
        resource = legible(await kept.fetch(known.ref.uri))
        policy = await self.validator.policy_of(known.ref)
        inspection = await self.validator.check_file(resource, known=known, policy=policy)
        parsed, inspection = await self._parsed_and_checked(known, inspection)
        if parsed is None or inspection.objections:
            raise PermanentError("validation objects to it now: index it anew, or release it")
        return parsed, Document(
            ref=known.ref,
            version=version_of(resource, self.parser, policy.shaping),
            sections=parsed.sections,
            access=known.access,
            metadata=known.metadata,
        )

    # --- changes that need no content -----------------------------------------------------------

    async def _change_access(
        self, ref: DocumentRef, change: AccessChanged, ends: LooseEnds
    ) -> Outcome:
        found = await self.documents.find(ref.tenant, ref.id)
        if found is None or found.state is DocumentState.DELETED:
            # It went after it was listed; if it comes back, it is listed as new.
            return Unchanged()
        known = await self.documents.begin(ref, access=change.access)
        # Whoever was added may have been added because of a newer content that we cannot read.
        stale = known.error is not None and known.state is DocumentState.ACTIVE
        access = narrowed(known.access, change.access) if stale else change.access
        metadata = merged(known.parsed_metadata, change.metadata, ref.source)
        await self.documents.describe(
            ref.tenant,
            ref.id,
            fence=known.fence,
            access=access,
            source_metadata=change.metadata,
            metadata=metadata,
            access_fingerprint=change.seen.access,
        )
        await ends.describe_in_index(known, access, metadata)
        await ends.mend_members(known)
        await ends.settle(known)
        return AccessUpdated()

    async def settle(self, tenant: TenantId, document: DocumentId) -> Outcome:
        """Leave the indexes as the ledger says of a document, of which nothing need be kept."""
        async with self._locks.of(document):
            ends = await self._loose_ends()
            found = await self.documents.find(tenant, document)
            if found is None:
                return Unchanged()
            held_in = (
                None
                if found.parent is None
                else HeldIn(found.parent, version=None, fence=found.fence)
            )
            known = await self.documents.begin(found.ref, access=found.access, held_in=held_in)
            await ends.describe_in_index(known, known.access, known.metadata)
            await ends.mend_members(known)
            await ends.settle(known)
            return Unchanged()

    async def _delete(
        self, ref: DocumentRef, ends: LooseEnds, *, revision: str | None = None
    ) -> Outcome:
        known = await self.documents.tombstone(ref.tenant, ref.id, revision=revision)
        if known is not None:
            await ends.take_out_of_index(known)
            await ends.mend_members(known, ever=True)
            await ends.forget_original(known)
            await ends.say_settled(known)
        return Removed()
