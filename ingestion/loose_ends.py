"""What is left to do once the ledger says what shall be, so that nothing hangs over."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ingestion.describing import MEMBERS
from ingestion.generations import LiveGeneration
from ingestion.ledger import DocumentLedger, JobQueue, OriginalStore
from ingestion.members import mending_jobs
from rag.access import AccessList
from rag.storage.documents.records import StoredDocument
from rag.storage.generations.records import GenerationId
from rag.types import ChunkId, Metadata


@dataclass(frozen=True, slots=True)
class LooseEnds:
    """Each may be done again, and does no harm when there is nothing to do.

    The index of every generation is told, the one that readers search first.
    """

    generations: Sequence[LiveGeneration]
    documents: DocumentLedger
    originals: OriginalStore
    jobs: JobQueue

    async def describe_in_index(
        self, known: StoredDocument, access: AccessList, metadata: Metadata
    ) -> None:
        for generation in self.generations:
            await generation.index.describe(
                known.ref.tenant, known.ref.id, access=access, metadata=metadata
            )

    async def take_out_of_index(self, known: StoredDocument) -> None:
        for generation in self.generations:
            await generation.index.delete_document(known.ref.tenant, known.ref.id)

    async def delete_from_index(
        self, known: StoredDocument, gone: Mapping[GenerationId, Collection[ChunkId]]
    ) -> None:
        for generation in self.generations:
            if chunks := gone.get(generation.id):
                await generation.index.delete(known.ref.tenant, chunks)

    async def mend_members(self, known: StoredDocument, *, ever: bool = False) -> None:
        """What the ledger now says of documents inside this one, the index is told by their jobs.
        `ever` also asks for those that lay in it before."""
        if ever or MEMBERS in known.parsed_metadata:
            uris = await self.documents.unsettled_members(known.ref.tenant, known.ref.id)
            await self.jobs.enqueue(mending_jobs(known.ref, uris))

    async def settle(self, known: StoredDocument) -> None:
        """After an ingest that was cut short, an index may hold what the ledger never heard of."""
        if not known.settled:
            for generation in self.generations:
                indexed = await generation.index.chunk_ids(known.ref.tenant, known.ref.id)
                stray = indexed - await self.documents.held(known.ref.id, generation.id)
                if stray:
                    await generation.index.delete(known.ref.tenant, stray)
        await self.say_settled(known)

    async def say_settled(self, known: StoredDocument) -> None:
        told = [generation.id for generation in self.generations]
        await self.documents.settle(known.ref.id, fence=known.fence, settled_in=told)

    async def forget_original(self, known: StoredDocument) -> None:
        if known.original is None:
            return
        async with self.documents.unreferenced(known.original) as nobody_needs_it:
            if nobody_needs_it:
                await self.originals.remove(known.original)
