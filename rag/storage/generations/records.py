"""What the ledger takes and gives of generations. No database is needed to speak of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from rag.access import TenantId
from rag.types import Chunk, DocumentId, SourceId, TokenVectors, VersionId

GenerationId = NewType("GenerationId", int)
FIRST = GenerationId(1)
"""The generation that every ledger begins with."""


class GenerationState(StrEnum):
    BUILDING = "building"
    """It is filled beside the one that serves, and no reader sees it."""
    SERVING = "serving"
    """Readers search it: at any moment there is one."""
    KEPT = "kept"
    """It served before, and follows every change still: readers can be sent back at once."""
    DROPPED = "dropped"
    """It is written no more, and what it held is being removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the chunks and vectors of a generation are made with."""

    embedder: str
    """Its kind, as the settings name it."""
    model: str
    token_dimensions: int | None
    """Dimensions of the token vectors that are stored; None where none are."""
    chunk_tokens: int
    overlap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    id: GenerationId
    state: GenerationState
    recipe: Recipe | None
    """None for a ledger's first, until a process has opened it."""
    created_at: datetime
    serving_since: datetime | None
    report: Mapping[str, Any] | None
    """What the last comparison with the one that serves has found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """A document in one generation: of which content it was made, and how."""

    generation: GenerationId
    content: VersionId
    """The document's version that it is a rendition of: readers see it while that is current."""
    version: VersionId
    """The version of its chunks: equal exactly when the same chunks come out of it."""
    parser: str
    chunker: str
    embedder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A chunk on its way into the ledger. The index holds it already."""

    chunk: Chunk
    tokens: TokenVectors | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRendition:
    """A rendition on its way into the ledger: all its chunks, and those not held there yet."""

    rendition: Rendition
    chunks: tuple[Chunk, ...]
    fresh: tuple[NewChunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a generation has come. Documents that nobody can read yet are not counted."""

    documents: int
    lacking: int
    """Documents whose current content it does not hold."""
    failed: int
    """Of those, the ones that were tried and failed: they wait for somebody."""
    chunks: int


@dataclass(frozen=True, slots=True)
class Lacking:
    """A document whose current content some generation does not hold."""

    tenant: TenantId
    source: SourceId
    document: DocumentId
    uri: str


def recipe_of_json(value: Mapping[str, Any] | None) -> Recipe | None:
    return None if value is None else Recipe(**value)


def json_of_recipe(recipe: Recipe) -> dict[str, Any]:
    return asdict(recipe)
