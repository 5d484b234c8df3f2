"""Generations of the index over stand-ins: as many as a test begins, each with its own cut, vectors
and model, which may be away."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ingestion.generations import LiveGeneration
from rag.protocols import Index
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import FIRST, Generation, GenerationId, GenerationState
from tests.ingestion.marking import MarkingChunker
from tests.ingestion.standins import DictIndex
from tests.ingestion.two_generations import RECIPE, OtherEmbedder


def _first_index() -> dict[GenerationId, DictIndex]:
    return {FIRST: DictIndex()}


def _first_embedder() -> dict[GenerationId, OtherEmbedder]:
    return {FIRST: OtherEmbedder()}


@dataclass(frozen=True, slots=True)
class SomeGenerations:
    """`LiveGenerations` as the ledger has them at that moment."""

    ledger: Generations
    indexes: dict[GenerationId, DictIndex] = field(default_factory=_first_index)
    embedders: dict[GenerationId, OtherEmbedder] = field(default_factory=_first_embedder)
    reached: Callable[[DictIndex], Index] = lambda index: index
    """How those who write reach an index."""

    async def live(self) -> Sequence[LiveGeneration]:
        return [self._written(each) for each in await self.ledger.live()]

    def _written(self, generation: Generation) -> LiveGeneration:
        embedder = self.embedders[generation.id]
        return LiveGeneration(
            id=generation.id,
            serves=generation.state is GenerationState.SERVING,
            chunker=MarkingChunker(generation.id),
            embedder_of=lambda _tenant: embedder,
            index=self.reached(self.indexes[generation.id]),
        )

    def reached_by(self, way: Callable[[DictIndex], Index]) -> "SomeGenerations":
        """The same ones, as another process reaches them."""
        return replace(self, reached=way)

    async def begin(self) -> None:
        new = GenerationId(max(self.indexes) + 1)
        self.indexes[new], self.embedders[new] = DictIndex(), OtherEmbedder()
        assert (await self.ledger.begin(RECIPE)).id == new

    async def serving(self) -> GenerationId:
        return (await self.ledger.live())[0].id

    async def others(self) -> list[Generation]:
        """Those that are written and do not serve."""
        return (await self.ledger.live())[1:]

    async def switch(self) -> bool:
        """To the other one, where it holds everything or has served before; whether it does."""
        for other in await self.others():
            is_kept = other.state is GenerationState.KEPT
            if is_kept or not (await self.ledger.standing(other.id)).lacking:
                await self.ledger.switch(other.id)
                return True
        return False

    async def drop(self) -> None:
        """What does not serve."""
        for other in await self.others():
            await self.ledger.drop(other.id)
