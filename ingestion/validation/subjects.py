"""What checks are asked about: a file's bytes, and the text that was read out of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from connectors.protocols import Resource
from ingestion.protocols import ParsedDocument
from ingestion.validation.policy import Policy
from rag.types import Block, Code, Prose, Section, Table

PIECE_CHARACTERS = 64_000
"""A pattern runs over no more at a time: while it does, nothing else in the process can."""
SAMPLE_CHARACTERS = 20_000
"""Judging how a text reads takes no more of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSubject:
    resource: Resource
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSubject:
    parsed: ParsedDocument
    pieces: tuple[str, ...]
    """All of the document's text, its title and headings too, in pieces cut between words."""
    prose: str
    """The beginning of its running text: no tables, no code."""
    policy: Policy
    columns: Mapping[str, str]
    """Of its tables, as `columns_of` names them."""
    columns_before: Mapping[str, str]
    """The same of the last accepted version; empty where there is none."""


def pieces_of(parsed: ParsedDocument) -> tuple[str, ...]:
    pieces: list[str] = []
    waiting: list[str] = []
    size = 0
    for text in _texts_of(parsed):
        if size + len(text) > PIECE_CHARACTERS and waiting:
            pieces.append("\n".join(waiting))
            waiting, size = [], 0
        if len(text) > PIECE_CHARACTERS:
            pieces.extend(_cut(text))
            continue
        waiting.append(text)
        size += len(text) + 1
    if waiting:
        pieces.append("\n".join(waiting))
    return tuple(pieces)


def _texts_of(parsed: ParsedDocument) -> Iterator[str]:
    yield parsed.title
    yield from (value for value in parsed.metadata.values() if isinstance(value, str))
    path: tuple[str, ...] = ()
    for section in parsed.sections:
        if section.heading_path != path:
            path = section.heading_path
            yield from path
        block = section.block
        if isinstance(block, Table):
            yield block.caption
            for row in (block.header, *block.rows):
                yield "\t".join(row)
        else:
            yield block.text


def _cut(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = min(len(text), start + PIECE_CHARACTERS)
        if end < len(text):
            for gap in ("\n", " "):
                at = text.rfind(gap, start + PIECE_CHARACTERS // 2, end)
                if at > 0:
                    end = at
                    break
        yield text[start:end]
        start = end


def prose_of(parsed: ParsedDocument) -> str:
    taken: list[str] = []
    size = 0
    for section in parsed.sections:
        if isinstance(section.block, Prose):
            taken.append(section.block.text)
            size += len(section.block.text)
            if size >= SAMPLE_CHARACTERS:
                break
    return "\n".join(taken)[:SAMPLE_CHARACTERS]


def rewritten(parsed: ParsedDocument, rewrite: Callable[[str], str]) -> ParsedDocument:
    """`parsed` with every text in it rewritten: title, headings, blocks, cells and metadata."""
    paths: dict[tuple[str, ...], tuple[str, ...]] = {}

    def path_of(path: tuple[str, ...]) -> tuple[str, ...]:
        if path not in paths:
            paths[path] = tuple(map(rewrite, path))
        return paths[path]

    def block_of(block: Block) -> Block:
        match block:
            case Prose():
                return Prose(rewrite(block.text))
            case Code():
                return Code(rewrite(block.text))
            case Table():
                rows = tuple(tuple(map(rewrite, row)) for row in block.rows)
                return Table(rewrite(block.caption), tuple(map(rewrite, block.header)), rows)

    return replace(
        parsed,
        title=rewrite(parsed.title),
        sections=tuple(
            Section(path_of(section.heading_path), block_of(section.block), section.page)
            for section in parsed.sections
        ),
        metadata=MappingProxyType(
            {
                name: rewrite(value) if isinstance(value, str) else value
                for name, value in parsed.metadata.items()
            }
        ),
    )
