"""What every parser takes and gives, inside the parsing child and out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.errors import LimitExceeded
from rag.types import Metadata, Section, Table, no_metadata

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a file may ask for before it is refused with `LimitExceeded`."""

    max_pages: int = 2000
    max_ocr_pages: int = 200
    max_sections: int = 50_000
    max_cells: int = 2_000_000
    max_characters: int = 20_000_000
    max_unpacked_bytes: int = 200 * MEBIBYTE
    max_pixels: int = 80_000_000
    max_attachment_depth: int = 3
    max_attachments: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """A file as its source gave it."""

    name: str
    """The file's name with its extension, for telling formats apart. May be empty."""
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What was read out of a file."""

    sections: tuple[Section, ...]
    title: str = ""
    """The document's own title; empty where it has none."""
    metadata: Metadata = field(default_factory=no_metadata)
    warnings: tuple[str, ...] = ()


def check_size(sections: Sequence[Section], limits: Limits) -> None:
    """Raises `LimitExceeded` if a document has grown past what the rest of the flow can take."""
    if len(sections) > limits.max_sections:
        raise LimitExceeded(f"{len(sections)} sections are more than {limits.max_sections}")
    cells = sum(
        len(block.header) * (len(block.rows) + 1)
        for section in sections
        if isinstance(block := section.block, Table)
    )
    if cells > limits.max_cells:
        raise LimitExceeded(f"{cells} table cells are more than {limits.max_cells}")
    characters = sum(
        len(section.block.text) for section in sections if not isinstance(section.block, Table)
    )
    if characters > limits.max_characters:
        raise LimitExceeded(f"{characters} characters are more than {limits.max_characters}")
