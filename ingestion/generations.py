"""Generations of the index, as they are written: readers search one, others follow beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingestion.protocols import Chunker
from rag.access import TenantId
from rag.protocols import Embedder, Index
from rag.storage.generations.records import GenerationId


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGeneration:
    """A generation that is written, with what its chunks and vectors are made with."""

    id: GenerationId
    serves: bool
    chunker: Chunker
    embedder_of: Callable[[TenantId], Embedder]
    index: Index


class LiveGenerations(Protocol):
    async def live(self) -> Sequence[LiveGeneration]:
        """Those to be written now, the one that serves readers first.

        Errors: `StorageUnavailable`, `IndexUnavailable`; `ConfigurationError` where one cannot be
        opened with this process's settings.
        """
        ...


@dataclass(frozen=True, slots=True)
class OneGeneration:
    """`LiveGenerations` where no other is ever built."""

    only: LiveGeneration

    async def live(self) -> Sequence[LiveGeneration]:
        return (self.only,)
