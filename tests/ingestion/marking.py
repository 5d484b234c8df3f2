"""Chunks that tell of which generation of the index they are, so that a mixture of two shows."""

from collections.abc import Sequence
from dataclasses import replace

from rag.storage.generations.records import GenerationId
from rag.types import Chunk, ChunkId, Document, Span
from tests.ingestion.standins import SectionChunker, digest


class MarkingChunker:
    """A chunk a section where its generation is odd, one for two where it is even; each line tells
    of which generation it is. Chunks of the same text have the same id in all odd ones."""

    def __init__(self, generation: GenerationId) -> None:
        self.name = f"marking {generation}"
        self._generation = generation

    async def chunk(self, document: Document) -> Sequence[Chunk]:
        sections = await SectionChunker().chunk(document)
        size = 1 if self._generation % 2 else 2
        groups = [sections[start : start + size] for start in range(0, len(sections), size)]
        return [self._joined(group, ordinal) for ordinal, group in enumerate(groups)]

    def _joined(self, group: Sequence[Chunk], ordinal: int) -> Chunk:
        first, *others = group
        ids = [chunk.id for chunk in group]
        return replace(
            first,
            id=ChunkId(digest(*ids)) if others else first.id,
            ordinal=ordinal,
            text="\n".join(f"{_mark(self._generation)}{chunk.text}" for chunk in group),
            span=Span(first.span.start, group[-1].span.end),
        )


def lines_of_chunk(text: str, generation: GenerationId) -> list[str]:
    """What stood in the document. A line of another generation keeps its mark."""
    return [line.removeprefix(_mark(generation)) for line in text.split("\n")]


def _mark(generation: GenerationId) -> str:
    return f"{generation}: "
