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
from dataclasses import dataclass, replace

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
from ingestion.describing import (
    MEMBERS,
    document_of,
    held_in_of,
    legible,
    merged,
    ref_of,
    version_of,
)
from ingestion.generations import LiveGeneration
from ingestion.loose_ends import LooseEnds
from ingestion.members import member_jobs
from ingestion.mending import DocumentMending
from ingestion.outcomes import AccessUpdated, Failed, Indexed, Outcome, Removed, Unchanged
from ingestion.protocols import ParsedDocument
from ingestion.rendering import Cut, cut_for, indexed, is_current, render
from ingestion.validation.inspection import Inspection
from ingestion.versions import new_version_of
from ingestion.withholding import Withholding
from rag.access import TenantId
from rag.errors import PermanentError, SourceGone
from rag.narrowing import narrowed
from rag.storage.documents.records import DocumentState, StoredDocument
from rag.types import Document, DocumentRef, VersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestPipeline(DocumentMending):
    """One for a process: it lets one ingest of a document run at a time.

    Errors of `ingest`: `TransientError`, when the same call may succeed later. What a source or
    a file is at fault for is an outcome.
    """

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
