"""Ingesting, from one change at a source to a document that can be found.

Read this file to know what `ingest` does. It may be killed at any step and run again: the second
run ends where the first would have. Three rules make it so:

1. A new chunk is in the index before the ledger knows it, and a gone one leaves the ledger before
   the index. Readers see only what both hold, so they see the old version or the new one.
2. The ledger switches versions in one transaction.
3. A document is marked unsettled before the index is touched and settled after. Whoever finds it
   unsettled compares the index with the ledger and removes what nobody knows of.

What lies inside a document (a zip's files, a mail's attachments) becomes documents of their own,
each by a job: the ledger carries the container's access and its deletion down to them at once, and
a container is settled when their jobs are there.
"""

from collections.abc import Callable, Sequence
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
from ingestion.describing import (
    MEMBERS,
    document_of,
    held_in_of,
    legible,
    merged,
    ref_of,
    version_of,
)
from ingestion.ledger import DocumentLedger, JobQueue, OriginalStore
from ingestion.locks import Locks
from ingestion.loose_ends import LooseEnds
from ingestion.members import member_jobs
from ingestion.outcomes import (
    AccessUpdated,
    Failed,
    Indexed,
    Outcome,
    Quarantined,
    Removed,
    Unchanged,
)
from ingestion.protocols import Chunker, ParsedDocument, Parser
from ingestion.validation.inspection import Inspection, Validator
from ingestion.versions import new_version_of
from rag.access import NOBODY, TenantId
from rag.errors import AccessUnknown, PermanentError, SourceGone
from rag.narrowing import narrowed
from rag.protocols import Embedder, Index, IndexPoint
from rag.storage.documents.records import (
    DocumentState,
    NewChunk,
    SeenAs,
    StoredDocument,
)
from rag.storage.verdicts.records import Validation
from rag.types import (
    Chunk,
    ChunkId,
    Document,
    DocumentRef,
    VersionId,
)

EMBEDDED_AT_ONCE = 256
"""Chunks of one document that are embedded, indexed and staged together: what memory must hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestPipeline:
    """One for a process: it lets one ingest of a document run at a time.

    Errors of `ingest`: `TransientError`, when the same call may succeed later. What a source or
    a file is at fault for is an outcome.
    """

    parser: Parser
    validator: Validator
    chunker: Chunker
    embedder_of: Callable[[TenantId], Embedder]
    index: Index
    documents: DocumentLedger
    originals: OriginalStore
    jobs: JobQueue
    _locks: Locks = field(default_factory=Locks, init=False, repr=False)

    @property
    def _loose_ends(self) -> LooseEnds:
        return LooseEnds(self.index, self.documents, self.originals, self.jobs)

    async def ingest(
        self, change: Change, connector: Connector, *, tenant: TenantId, anew: bool = False
    ) -> Outcome:
        """Make what readers find follow `change`. `anew` indexes even what is unchanged."""
        ref = ref_of(tenant, connector.source, change.uri)
        async with self._locks.of(ref.id):
            match change:
                case Upserted(seen=seen):
                    return await self._upsert(ref, seen, connector, anew=anew)
                case AccessChanged():
                    return await self._change_access(ref, change)
                case Deleted(revision=revision):
                    return await self._delete(ref, revision=revision)
                case Problem(reason=reason):
                    return Failed(reason, "Problem")

    # --- new or changed content -----------------------------------------------------------------

    async def _upsert(
        self, ref: DocumentRef, seen: Seen, connector: Connector, *, anew: bool
    ) -> Outcome:
        try:
            resource = legible(await connector.fetch(ref.uri))
        except SourceGone:
            return await self._delete(ref)
        except PermanentError as error:
            return await self._record_unfetched(ref, seen, error)

        ref = replace(ref, title=resource.title)
        policy = await self.validator.policy_of(ref)
        held_in = held_in_of(resource)
        known = await self.documents.begin(ref, access=resource.access, held_in=held_in)
        version = await version_of(resource, self.parser, self.chunker, policy.shaping)
        if not anew and self._shows(known, version):
            return await self._keep_content(known, resource)
        inspection = await self.validator.check_file(resource, known=known, policy=policy)
        try:
            known = await self._close_to_the_newly_shut_out(known, resource)
            parsed, inspection = await self._parsed_and_checked(known, inspection)
            if parsed is None or inspection.objections:
                return await self._quarantine(known, inspection)
            document = document_of(ref, resource, parsed, version)
            chunks = await self.chunker.chunk(document)
        except PermanentError as error:
            found = inspection.failed(error)
            return await self._record_unreadable(known, resource.seen, error, found)
        return await self._replace_content(
            known, document, chunks, parsed, inspection=inspection, anew=anew
        )

    async def _parsed_and_checked(
        self, known: StoredDocument, inspection: Inspection
    ) -> tuple[ParsedDocument | None, Inspection]:
        """None where the bytes alone are objected to: no parser gets to see them."""
        if inspection.objections:
            return None, inspection
        parsed = await self.parser.parse(inspection.resource)
        return await self.validator.check_text(parsed, known=known, inspection=inspection)

    def _shows(self, known: StoredDocument, version: VersionId) -> bool:
        """Whether readers see just this content, embedded as it would be now."""
        embedder = self.embedder_of(known.ref.tenant).name
        return (
            known.state is DocumentState.ACTIVE
            and known.version == version
            and known.embedder == embedder
            and (known.settled or MEMBERS not in known.parsed_metadata)
        )

    async def _keep_content(self, known: StoredDocument, resource: Resource) -> Outcome:
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
            await self._loose_ends.describe_in_index(known, resource.access, metadata)
            await self._loose_ends.mend_members(known)
        await self._loose_ends.settle(known)
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
        chunks: Sequence[Chunk],
        parsed: ParsedDocument,
        *,
        inspection: Inspection,
        anew: bool,
    ) -> Indexed:
        resource = inspection.resource
        embedder = self.embedder_of(document.ref.tenant)
        original = await self.originals.store(resource.body)
        holds = bool(parsed.children) or MEMBERS in known.parsed_metadata
        # Chunks of another embedder, or that the index may have lost, count as not held.
        never_touched = known.settled and known.state is DocumentState.NEW
        usable = not anew and not never_touched and known.embedder in {None, embedder.name}
        held = await self.documents.held(document.ref.id) if usable else set[ChunkId]()
        missing = [chunk for chunk in chunks if chunk.id not in held]

        last = await self._embed_and_index(document, missing, embedder, known.fence)
        new = new_version_of(
            document,
            parsed,
            inspection,
            original=original,
            chunker=self.chunker,
            embedder=embedder,
            is_old=anew and known.error is not None and known.original == original,
            holds=holds,
        )
        kept = len(chunks) - len(missing)
        # Of what is unsettled, the ledger may have said more than the index heard.
        same = (known.access, known.metadata) == (document.access, document.metadata)
        described = not kept or (known.settled and same)
        settles = known.settled and described and not holds
        gone = await self.documents.switch(
            new, chunks, fresh=last, fence=known.fence, settles=settles
        )

        if not await self.originals.holds(original):  # its last owner just went
            await self.originals.store(resource.body)
        if gone:
            await self.index.delete(document.ref.tenant, gone)
        if not described:
            await self._loose_ends.describe_in_index(known, document.access, document.metadata)
        if holds:
            await self.jobs.enqueue(member_jobs(document, parsed, anew=anew))
            await self._loose_ends.mend_members(known, ever=True)
        if gone or not settles:
            await self._loose_ends.settle(known)
        if known.original not in {None, original}:
            await self._loose_ends.forget_original(known)
        return Indexed(len(chunks), embedded=len(missing), kept=kept, removed=len(gone))

    async def _embed_and_index(
        self,
        document: Document,
        missing: Sequence[Chunk],
        embedder: Embedder,
        fence: int,
    ) -> Sequence[NewChunk]:
        """Put `missing` into the index, and all but the returned last of them into the ledger:
        a long document that is interrupted goes on where it was."""
        fresh: list[NewChunk] = []
        for start in range(0, len(missing), EMBEDDED_AT_ONCE):
            await self.documents.stage(fresh, fence=fence)
            some = missing[start : start + EMBEDDED_AT_ONCE]
            embeddings = await embedder.embed_documents([chunk.embedded_text for chunk in some])
            points = [
                IndexPoint(chunk, document.access, document.metadata, embedding.vector)
                for chunk, embedding in zip(some, embeddings, strict=True)
            ]
            await self.index.upsert(points)
            fresh = [
                NewChunk(chunk=chunk, tokens=embedding.tokens)
                for chunk, embedding in zip(some, embeddings, strict=True)
            ]
        return fresh

    # --- content that cannot be had -------------------------------------------------------------

    async def _record_unfetched(
        self, ref: DocumentRef, seen: Seen, error: PermanentError
    ) -> Outcome:
        """Without the resource nobody says who may read it, unless the listing says that this is
        as it was: what is not known is private."""
        known = await self.documents.begin(ref, access=NOBODY)
        readers_unknown = (
            isinstance(error, AccessUnknown) or seen.access != known.access_fingerprint
        )
        if known.state is DocumentState.ACTIVE and readers_unknown:
            await self.documents.describe(ref.tenant, ref.id, fence=known.fence, access=NOBODY)
            known = replace(known, access=NOBODY)
        return await self._record_unreadable(known, seen, error)

    async def _quarantine(self, known: StoredDocument, inspection: Inspection) -> Outcome:
        """Nobody reads this version before an administrator lets it out. The last good one stays
        shown, unless it may hold what this one is kept back for."""
        validation, seen = inspection.validation, inspection.resource.seen
        hides = inspection.hides_the_last_version
        detail = "; ".join(
            f"{verdict.reason}: {verdict.detail}" for verdict in inspection.objections
        )
        await self.documents.quarantine(
            known,
            seen=SeenAs(seen.revision, seen.access),
            validation=validation,
            detail=detail,
            hides=hides,
        )
        if hides and known.state is DocumentState.ACTIVE:
            await self.index.delete_document(known.ref.tenant, known.ref.id)
            await self._loose_ends.mend_members(known)
            await self._loose_ends.forget_original(known)
        else:
            await self._loose_ends.describe_in_index(known, known.access, known.metadata)
        await self._loose_ends.settle(known)
        return Quarantined(validation.reason, detail)

    async def _record_unreadable(
        self,
        known: StoredDocument,
        seen: Seen,
        error: PermanentError,
        validation: Validation | None = None,
    ) -> Outcome:
        await self.documents.fail(
            known.ref.id,
            fence=known.fence,
            seen=SeenAs(seen.revision, seen.access),
            error=error,
            tenant=known.ref.tenant,
            validation=validation,
        )
        await self._loose_ends.describe_in_index(known, known.access, known.metadata)
        await self._loose_ends.mend_members(known)
        await self._loose_ends.settle(known)
        return Failed(str(error), type(error).__name__)

    # --- changes that need no content -----------------------------------------------------------

    async def _change_access(self, ref: DocumentRef, change: AccessChanged) -> Outcome:
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
        await self._loose_ends.describe_in_index(known, access, metadata)
        await self._loose_ends.mend_members(known)
        await self._loose_ends.settle(known)
        return AccessUpdated()

    async def _delete(self, ref: DocumentRef, *, revision: str | None = None) -> Outcome:
        known = await self.documents.tombstone(ref.tenant, ref.id, revision=revision)
        if known is not None:
            await self.index.delete_document(ref.tenant, ref.id)
            await self._loose_ends.mend_members(known, ever=True)
            await self._loose_ends.forget_original(known)
            await self.documents.settle(ref.id, fence=known.fence)
        return Removed()
