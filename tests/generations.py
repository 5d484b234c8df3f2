"""One generation of the index for good: most tests need no other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from api.generations import OpenGeneration
from ingestion.generations import LiveGeneration, LiveGenerations, OneGeneration
from ingestion.protocols import Chunker
from rag.access import TenantId
from rag.errors import NotFound
from rag.protocols import Embedder, Index
from rag.retrieval import HybridRetriever
from rag.storage.generations.records import FIRST, GenerationId
from tests.ingestion.standins import SectionChunker


def one_generation(
    index: Index,
    embedder: Embedder,
    *,
    chunker: Chunker | None = None,
    embedder_of: Callable[[TenantId], Embedder] | None = None,
) -> OneGeneration:
    return OneGeneration(
        LiveGeneration(
            id=FIRST,
            serves=True,
            chunker=chunker or SectionChunker(),
            embedder_of=embedder_of or (lambda _tenant: embedder),
            index=index,
        )
    )


def with_index(generations: LiveGenerations, index: Index) -> OneGeneration:
    """The same one generation over another index."""
    assert isinstance(generations, OneGeneration)
    return OneGeneration(replace(generations.only, index=index))


@dataclass(frozen=True, slots=True)
class OneInUse:
    """`GenerationsInUse` of a platform whose parts a test has chosen."""

    only: OpenGeneration

    async def serving(self) -> OpenGeneration:
        return self.only

    async def get(self, generation: GenerationId) -> OpenGeneration:
        if generation != self.only.id:
            raise NotFound("that generation is not open here")
        return self.only

    async def live(self) -> Sequence[LiveGeneration]:
        return (self.only.written,)

    async def look(self) -> None:
        """Nothing changes here."""


def one_in_use(index: Index, embedder: Embedder, retriever: HybridRetriever) -> OneInUse:
    return OneInUse(
        OpenGeneration(
            id=FIRST,
            embedder=embedder,
            index=index,
            retriever=retriever,
            written=one_generation(index, embedder).only,
        )
    )
