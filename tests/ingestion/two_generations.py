"""A second generation of the index, beside the one that every platform begins with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingestion.generations import LiveGeneration
from rag.errors import ModelUnavailable
from rag.protocols import Index
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import GenerationId, GenerationState, Recipe
from rag.types import Chunk, ChunkId, Document, Embedding
from tests.ingestion.standins import HashEmbedder, SectionChunker

SECOND = GenerationId(2)
RECIPE = Recipe(
    embedder="hash", model="other", token_dimensions=None, chunk_tokens=100, overlap=0.0
)


class OtherEmbedder(HashEmbedder):
    """Gives other vectors, and nothing while its model is away."""

    def __init__(self) -> None:
        super().__init__("other 1")
        self.away = False

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        if self.away:
            raise ModelUnavailable("the new model does not answer")
        return await super().embed_documents(texts)


class ShoutingChunker:
    """Another cut of the same text: no chunk is one of the other generation's."""

    name = "shouting"

    async def chunk(self, document: Document) -> Sequence[Chunk]:
        return [
            replace(chunk, id=ChunkId(f"L{chunk.id}"[:32]), text=chunk.text.upper())
            for chunk in await SectionChunker().chunk(document)
        ]


@dataclass(frozen=True, slots=True)
class ByLedger:
    """`LiveGenerations` as the ledger has them, over parts that are there for each."""

    ledger: Generations
    parts: dict[GenerationId, LiveGeneration]

    async def live(self) -> Sequence[LiveGeneration]:
        return [
            replace(self.parts[each.id], serves=each.state is GenerationState.SERVING)
            for each in await self.ledger.live()
        ]


def second_generation(index: Index, embedder: HashEmbedder) -> LiveGeneration:
    return LiveGeneration(
        id=SECOND,
        serves=False,
        chunker=ShoutingChunker(),
        embedder_of=lambda _tenant: embedder,
        index=index,
    )
