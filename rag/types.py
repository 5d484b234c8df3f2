"""The vocabulary the rest of the code is written in.

Everything here is a frozen value. It never reaches for a database, a model or a network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, NewType

import numpy as np
from numpy.typing import NDArray

from rag.access import AccessList, AccessScope, TenantId

SourceId = NewType("SourceId", str)
DocumentId = NewType("DocumentId", str)
VersionId = NewType("VersionId", str)
"""One state of a document's content. Opaque; equal exactly when the indexed content is equal."""
ChunkId = NewType("ChunkId", str)

Vector = NDArray[np.float32]
"""Shape (dimensions,), unit length."""
TokenVectors = NDArray[np.int8]
"""Shape (tokens, token dimensions): unit-length token vectors times 127, rounded."""

MetadataValue = str | int | float | bool
Metadata = Mapping[str, MetadataValue]
"""Field to value. Dates are ISO 8601 strings (`2026-03-31`)."""

BUILT_IN_FIELDS = (
    "document_type",
    "department",
    "date",
    "access_level",
    "language",
    "source",
)
"""The metadata fields that any document may carry and every filter may name."""


def no_metadata() -> Metadata:
    return MappingProxyType({})


# --- documents, as parsed ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prose:
    """Running text: a paragraph, or a list with one item a line."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text whose white space matters."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A real table. Every row is as long as `header`; a merged cell's text stands in each place."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        """The table in Markdown, its caption above it."""
        lines = [markdown_row(self.header), markdown_row(("---",) * len(self.header))]
        lines += [markdown_row(row) for row in self.rows]
        return "\n".join(([self.caption, ""] if self.caption else []) + lines)


def markdown_row(cells: tuple[str, ...]) -> str:
    """`| a | b |`, with what would break the row escaped or folded."""
    folded = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return "| " + " | ".join(folded) + " |"


Block = Prose | Code | Table


@dataclass(frozen=True, slots=True)
class Section:
    """One block of a document, under the headings that lead to it (outermost first)."""

    heading_path: tuple[str, ...]
    block: Block
    page: int | None = None

    @property
    def text(self) -> str:
        return self.block.text


SECTION_GAP = "\n\n"
"""What stands between two sections in a document's text."""


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """Enough of a document to name it, link to it and cite it."""

    id: DocumentId
    tenant: TenantId
    source: SourceId
    uri: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A resource after parsing and before chunking."""

    ref: DocumentRef
    version: VersionId
    sections: tuple[Section, ...]
    access: AccessList
    metadata: Metadata = field(default_factory=no_metadata)

    @property
    def text(self) -> str:
        """The parsed text: what chunk spans count characters in."""
        return SECTION_GAP.join(section.text for section in self.sections)


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of a text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The unit of retrieval: a passage small enough to embed and to cite.

    `id` comes from the document and `embedded_text` alone, so an edit elsewhere in the document
    leaves it as it was.
    """

    id: ChunkId
    document: DocumentRef
    version: VersionId
    ordinal: int
    text: str
    heading_path: tuple[str, ...]
    kind: Literal["prose", "code", "table"]
    span: Span
    """Where `text` comes from in the document's text. A repeated caption or header is not in it."""
    page: int | None = None

    @property
    def header(self) -> str:
        """What tells a reader, and both searches, where the passage stands."""
        return " > ".join((self.document.title, *self.heading_path))

    @property
    def embedded_text(self) -> str:
        return f"{self.header}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Embedding:
    """A text as vectors: one for the whole, and one a token where the embedder gives them."""

    vector: Vector
    tokens: TokenVectors | None = None


# --- retrieval ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field equals one of `values`."""

    values: tuple[MetadataValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """The field lies within the bounds that are given (numbers, or ISO dates)."""

    gte: float | str | None = None
    lte: float | str | None = None
    gt: float | str | None = None
    lt: float | str | None = None


Filters = Mapping[str, AnyOf | Between]
"""Field to condition. All must hold."""


def no_filters() -> Filters:
    return MappingProxyType({})


Quality = Literal["fast", "balanced", "best"]
"""What the asker chooses. The text of a question can never choose a model."""


class Mode(StrEnum):
    HYBRID = "hybrid"
    DENSE = "dense"
    SPARSE = "sparse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    text: str
    scope: AccessScope
    limit: int = 10
    mode: Mode = Mode.HYBRID
    rerank: bool = True
    filters: Filters = field(default_factory=no_filters)


@dataclass(frozen=True, slots=True)
class IndexHit:
    """What an index knows of a match. Scores compare within one ranking only."""

    chunk: ChunkId
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Where each stage put a chunk, from 1; None where the stage did not rank it."""

    dense: int | None = None
    sparse: int | None = None
    fused: int | None = None
    rerank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedChunk:
    """A chunk that the asker may read now, and how it came to be found."""

    chunk: Chunk
    score: float
    """The score of the last stage that ranked it."""
    ranks: Ranks
    metadata: Metadata
    acl_as_of: datetime
    """When the access list that admitted the asker was read from the source."""
    superseded_by: DocumentId | None = None
    """A newer document that says it replaces this one, if there is any."""
    stage_scores: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """For `explain`: each stage's score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The outcome of one retrieval: hits best first, and how it went."""

    hits: tuple[RetrievedChunk, ...]
    timings_ms: Mapping[str, float]
    rerank: Literal["complete", "budget_spent", "skipped"] = "skipped"
    """`budget_spent`: the rerank ran out of time, and the rest kept their fused order."""


# --- answers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One numbered passage, as the model is shown it: a chunk, or neighbours merged into one."""

    number: int
    hit: RetrievedChunk
    """The best chunk of the passage."""
    text: str
    parts: tuple[RetrievedChunk, ...]
    """The chunks that `text` is made of, in document order: a citation names the one it quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A marker in the answer, such as `[2]`, and the words in the cited chunk that it rests on."""

    number: int
    chunk: Chunk
    quote: str
    span: Span
    """Where `quote` stands in `chunk.text`."""
    verified: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the model counted them. The extractive model uses none."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Those of the input that the provider had read before, and bills for less."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    text: str
    citations: tuple[Citation, ...]
    confidence: float
    """0 to 1: how well the evidence supports the least supported sentence."""
    model: str
    prompt: str
    """The prompt's name and version."""
    usage: Usage = Usage()


class RefusalReason(StrEnum):
    NO_EVIDENCE = "no_evidence"
    UNGROUNDED = "ungrounded"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An honest non-answer. It is a result, not an error.

    What the asker may not read and what does not exist give the same refusal, word for word.
    """

    reason: RefusalReason
    detail: str
