"""A document in a generation of the index: cut, embedded and indexed as the generation has it."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ingestion.generations import LiveGeneration
from ingestion.ledger import DocumentLedger
from ingestion.outcomes import Indexed
from rag.access import TenantId
from rag.errors import PermanentError, TransientError
from rag.protocols import IndexPoint
from rag.storage.documents.records import DocumentState, StoredDocument
from rag.storage.generations.records import (
    GenerationId,
    NewChunk,
    NewRendition,
    Rendition,
)
from rag.storage.records import fingerprint_of
from rag.types import Chunk, ChunkId, Document, VersionId

log = logging.getLogger(__name__)

EMBEDDED_AT_ONCE = 256
"""Chunks of one document that are embedded, indexed and staged together: what memory must hold."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A document in chunks, as one generation's chunker has it."""

    generation: LiveGeneration
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A rendition that the index holds, and the ledger all but its last chunks."""

    new: NewRendition
    embedded: int

    @property
    def kept(self) -> int:
        return len(self.new.chunks) - self.embedded


def rendition_version(version: VersionId, generation: LiveGeneration) -> VersionId:
    """Equal exactly when the same chunks come out of the document's `version`."""
    return VersionId(fingerprint_of(version, generation.chunker.name))


def is_current(
    rendition: Rendition | None, version: VersionId, generation: LiveGeneration, tenant: TenantId
) -> bool:
    """Whether it is of the document's `version`, cut and embedded as it would be now."""
    return (
        rendition is not None
        and rendition.content == version
        and rendition.version == rendition_version(version, generation)
        and rendition.embedder == generation.embedder_of(tenant).name
    )


async def cut_for(generations: Sequence[LiveGeneration], document: Document) -> list[Cut]:
    """Raises `PermanentError` where a chunker cannot cut it."""
    return [
        Cut(generation, tuple(await generation.chunker.chunk(versioned)))
        for generation in generations
        for versioned in (
            replace(document, version=rendition_version(document.version, generation)),
        )
    ]


def indexed(shown: Rendered, gone: Mapping[GenerationId, Collection[ChunkId]]) -> Indexed:
    """What came of it for those who search the first generation that was rendered."""
    return Indexed(
        len(shown.new.chunks),
        embedded=shown.embedded,
        kept=shown.kept,
        removed=len(gone[shown.new.rendition.generation]),
    )


async def render(
    cuts: Sequence[Cut],
    document: Document,
    *,
    known: StoredDocument,
    content: VersionId,
    parser: str,
    before: Mapping[GenerationId, Rendition],
    documents: DocumentLedger,
    anew: bool = False,
) -> list[Rendered]:
    """Embed and index what the generations do not hold yet of `cuts`, as renditions of `content`.

    A generation that no reader searches, and that fails, is left out: it has that document to make
    up for, and what serves readers goes on. `anew` embeds even what is held. Errors: those of the
    generation that serves, or where every one fails, of the last.
    """
    rendered: list[Rendered] = []
    failed: TransientError | PermanentError | None = None
    for cut in cuts:
        try:
            rendered.append(
                await _render(
                    cut,
                    document,
                    known=known,
                    content=content,
                    parser=parser,
                    before=before.get(cut.generation.id),
                    documents=documents,
                    anew=anew,
                )
            )
        except (TransientError, PermanentError) as error:
            if cut.generation.serves:
                raise
            failed = error
            log.warning(
                "generation %s lacks document %s for now: %s",
                cut.generation.id,
                document.ref.id,
                type(error).__name__,
            )
    if failed is not None and not rendered:
        raise failed
    return rendered


async def restore(
    generation: LiveGeneration, known: StoredDocument, documents: DocumentLedger
) -> int | None:
    """Embed and index what the generation's index has lost of the version that is shown, as the
    ledger holds it; how many chunks that were.

    None where the ledger does not hold what was embedded: a title or headings that were too long
    for it were shortened then.
    """
    contents = await documents.contents(known, generation.id)
    indexed = await generation.index.chunk_ids(known.ref.tenant, known.ref.id)
    lost = [(chunk, embedded) for chunk, embedded in contents if chunk.id not in indexed]
    if any(fingerprint_of(chunk.embedded_text) != embedded for chunk, embedded in lost):
        return None
    embedder = generation.embedder_of(known.ref.tenant)
    for start in range(0, len(lost), EMBEDDED_AT_ONCE):
        some = [chunk for chunk, _ in lost[start : start + EMBEDDED_AT_ONCE]]
        embeddings = await embedder.embed_documents([chunk.embedded_text for chunk in some])
        await generation.index.upsert(
            [
                IndexPoint(chunk, known.access, known.metadata, embedding.vector)
                for chunk, embedding in zip(some, embeddings, strict=True)
            ]
        )
    return len(lost)


async def _render(
    cut: Cut,
    document: Document,
    *,
    known: StoredDocument,
    content: VersionId,
    parser: str,
    before: Rendition | None,
    documents: DocumentLedger,
    anew: bool,
) -> Rendered:
    generation = cut.generation
    embedder = generation.embedder_of(document.ref.tenant)
    # Chunks of another embedder, or that the index may have lost, count as not held.
    never_touched = known.settled and known.state is DocumentState.NEW
    same_vectors = before is None or before.embedder == embedder.name
    held: set[ChunkId] = set()
    if same_vectors and not anew and not never_touched:
        held = await documents.held(document.ref.id, generation.id)
    missing = [chunk for chunk in cut.chunks if chunk.id not in held]
    fresh: list[NewChunk] = []
    for start in range(0, len(missing), EMBEDDED_AT_ONCE):
        # All but the last go to the ledger at once: a long document that is interrupted goes on
        # where it was.
        await documents.stage(fresh, generation=generation.id, fence=known.fence)
        some = missing[start : start + EMBEDDED_AT_ONCE]
        embeddings = await embedder.embed_documents([chunk.embedded_text for chunk in some])
        points = [
            IndexPoint(chunk, document.access, document.metadata, embedding.vector)
            for chunk, embedding in zip(some, embeddings, strict=True)
        ]
        await generation.index.upsert(points)
        fresh = [
            NewChunk(chunk=chunk, tokens=embedding.tokens)
            for chunk, embedding in zip(some, embeddings, strict=True)
        ]
    rendition = Rendition(
        generation=generation.id,
        content=content,
        version=rendition_version(document.version, generation),
        parser=parser,
        chunker=generation.chunker.name,
        embedder=embedder.name,
    )
    new = NewRendition(rendition=rendition, chunks=cut.chunks, fresh=tuple(fresh))
    return Rendered(new=new, embedded=len(missing))
