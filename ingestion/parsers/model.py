"""What every parser takes and gives, inside the parsing child and out of it."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from connectors.containers import Room
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
    max_depth: int = 200
    """Levels of headings, objects or elements that a file may nest."""
    max_member_bytes: int = 100 * MEBIBYTE
    """One file inside another."""
    max_columns: int = 16_384
    max_part_bytes: int = 2 * MEBIBYTE
    """A table or a file of records that is longer than this is read in parts of about this size."""
    max_part_cells: int = 400_000
    """So is one with more cells than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """A file as its source gave it."""

    name: str
    """The file's name with its extension, for telling formats apart. May be empty."""
    media_type: str
    body: bytes
    """Empty where `path` is set."""
    path: Path | None = None
    """Where the bytes lie, for a format that can be read piece by piece."""
    room: Room = field(default_factory=Room)

    @property
    def size(self) -> int:
        return len(self.body) if self.path is None else self.path.stat().st_size

    def open(self) -> BinaryIO:
        return io.BytesIO(self.body) if self.path is None else self.path.open("rb")

    def in_memory(self) -> "RawFile":
        """The same, for a format that is read in one piece."""
        if self.path is None:
            return self
        return replace(self, body=self.path.read_bytes(), path=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file inside a file."""

    path: str
    media_type: str
    body: bytes
    is_part: bool = False
    """Whether it is a piece of the same document, and so goes by its title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What was read out of a file."""

    sections: tuple[Section, ...]
    title: str = ""
    """The document's own title; empty where it has none."""
    metadata: Metadata = field(default_factory=no_metadata)
    warnings: tuple[str, ...] = ()
    members: Iterable[Member] = ()
    """The files inside it, made one by one as they are taken: all of them may not fit in memory."""


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
    widest = max(
        (len(block.header) for one in sections if isinstance(block := one.block, Table)), default=0
    )
    if widest > limits.max_columns:
        raise LimitExceeded(f"a table of {widest} columns is wider than {limits.max_columns}")
    characters = sum(
        len(section.block.text) for section in sections if not isinstance(section.block, Table)
    )
    if characters > limits.max_characters:
        raise LimitExceeded(f"{characters} characters are more than {limits.max_characters}")
