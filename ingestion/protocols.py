"""What the ingest flow needs besides the core's protocols."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connectors.containers import Room
from connectors.protocols import Resource
from rag.storage.records import Digest
from rag.types import Chunk, Document, Metadata, Section, no_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildResource:
    """A file that was found inside a resource: a zip's member, a mail's attachment."""

    path: str
    """Its name inside the resource, folders parted by `/`; no two of a resource are the same."""
    media_type: str
    body: Digest
    """The bytes, which the parser has put where originals are kept."""
    size: int
    is_part: bool = False
    """Whether it is a piece of a long document, and so goes by its title."""


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
    children: tuple[ChildResource, ...] = ()
    """What lies inside it and becomes documents of its own."""
    room: Room = field(default_factory=Room)
    """What there was room for."""


class Parser(Protocol):
    def name_for(self, resource: Resource) -> str:
        """Name and version of what reads `resource`: the same bytes under the same name give the
        same document, so that a new version of one format reads that format anew and no other."""
        ...

    async def parse(self, resource: Resource) -> ParsedDocument:
        """Raises `UnsupportedMediaType` or `ParseError` (with its subclasses)."""
        ...


class Chunker(Protocol):
    @property
    def name(self) -> str:
        """Two chunkers of one name cut the same document the same way."""
        ...

    async def chunk(self, document: Document) -> Sequence[Chunk]: ...
