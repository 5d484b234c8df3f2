"""What the ingest flow needs besides the core's protocols."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connectors.protocols import Resource
from rag.types import Chunk, Document, Metadata, Section, no_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """What a parser read out of a resource's bytes."""

    title: str
    """The document's own title, or the resource's where it has none."""
    sections: tuple[Section, ...]
    parser: str
    """Name and version: a new one means that the document is read anew."""
    metadata: Metadata = field(default_factory=no_metadata)
    """`document_type`, `language`, `date` where the file says one, mail headers (`mail_from`, …)."""
    warnings: tuple[str, ...] = ()
    """What a reader of the ingest log should know: hidden text stripped, pages without text, …"""


class Parser(Protocol):
    @property
    def name(self) -> str: ...

    async def parse(self, resource: Resource) -> ParsedDocument:
        """Raises `UnsupportedMediaType` or `ParseError` (with its subclasses)."""
        ...


class Chunker(Protocol):
    @property
    def name(self) -> str:
        """Two chunkers of one name cut the same document the same way."""
        ...

    async def chunk(self, document: Document) -> Sequence[Chunk]: ...
