"""What is done to a document beside ingesting it: nothing is fetched from its source.

A generation of the index that lacks it gets it, an index that lost it gets it back, and indexes
that may be off are brought to what the ledger holds.
"""

from dataclasses import dataclass, field

from ingestion.changes import job_of_mending, reindex_job
from ingestion.describing import legible, version_of
from ingestion.generations import LiveGenerations
from ingestion.kept import KeptConnector, kept_of
from ingestion.ledger import DocumentLedger, JobQueue, OriginalStore
from ingestion.locks import Locks
from ingestion.loose_ends import LooseEnds
from ingestion.outcomes import Indexed, Outcome, Unchanged
from ingestion.protocols import ParsedDocument, Parser
from ingestion.rendering import cut_for, indexed, render, restore
from ingestion.validation.inspection import Inspection, Validator
from rag.access import TenantId
from rag.errors import PermanentError
from rag.storage.documents.records import HeldIn, StoredDocument
from rag.types import Document, DocumentId


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentMending:
    """One thing at a time is done to a document in this process."""

    parser: Parser
    validator: Validator
    generations: LiveGenerations
    documents: DocumentLedger
    originals: OriginalStore
    jobs: JobQueue
    _locks: Locks = field(default_factory=Locks, init=False, repr=False)

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

    # --- what an ingest needs, too ----------------------------------------------------------------

    async def _loose_ends(self) -> LooseEnds:
        """What one ingest ties up, in the generations that are written as it begins."""
        return LooseEnds(await self.generations.live(), self.documents, self.originals, self.jobs)

    async def _parsed_and_checked(
        self, known: StoredDocument, inspection: Inspection
    ) -> tuple[ParsedDocument | None, Inspection]:
        """None where the bytes alone are objected to: no parser gets to see them."""
        if inspection.objections:
            return None, inspection
        parsed = await self.parser.parse(inspection.resource)
        return await self.validator.check_text(parsed, known=known, inspection=inspection)
