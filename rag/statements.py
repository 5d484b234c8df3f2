"""The evidence cut into what one citation can name: sentences, and rows of tables."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.sentences import split_sentences
from rag.types import Chunk, Evidence, Span

_RULE = re.compile(r"\|?(?:\s*:?-{2,}:?\s*\|)+(?:\s*:?-{2,}:?\s*)?")
_CELL_BREAK = re.compile(r"(?<!\\)\|")
_LEAD_IN_LENGTH = 300


@dataclass(frozen=True, slots=True)
class TableRow:
    """The cells of a row under the names of their columns. Both have the same length."""

    columns: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A sentence or a table row of the evidence, where it stands, and what it stands under."""

    number: int
    """The number of the evidence that it belongs to."""
    chunk: Chunk
    span: Span
    """Where `text` stands in `chunk.text`."""
    text: str
    context: str
    """Title and headings, and the table's caption and columns or the line that leads to a list."""
    row: TableRow | None = None


def statements_of(evidence: Sequence[Evidence]) -> tuple[Statement, ...]:
    """Every statement of `evidence`, in order; one that overlapping chunks share comes once."""
    found: dict[tuple[str, int, str], Statement] = {}
    for passage in evidence:
        for part in passage.parts:
            for statement in _statements(passage.number, part.chunk):
                place = part.chunk.span.start + statement.span.start
                key = (part.chunk.document.id, place, statement.text)
                found.setdefault(key, statement)
    return tuple(found.values())


def _statements(number: int, chunk: Chunk) -> Iterator[Statement]:
    columns: tuple[str, ...] | None = None
    caption = ""
    lead_in = ""
    for span in split_sentences(chunk.text):
        text = chunk.text[span.start : span.end]
        if not text.startswith("|"):
            columns = None
            caption = text[:_LEAD_IN_LENGTH]
            yield Statement(
                number=number,
                chunk=chunk,
                span=span,
                text=text,
                context=_lines(chunk.header, lead_in),
            )
            if text.endswith(":"):
                lead_in = text[-_LEAD_IN_LENGTH:]
            elif not _is_item(text):
                lead_in = ""
        elif columns is None:
            columns = cells_of(text)
        elif not _RULE.fullmatch(text):
            cells = cells_of(text)
            yield Statement(
                number=number,
                chunk=chunk,
                span=span,
                text=text,
                context=_lines(chunk.header, caption, " ".join(columns)),
                row=_row(columns, cells),
            )


def cells_of(line: str) -> tuple[str, ...]:
    """The cells of a Markdown table's line, without their padding and escapes."""
    parts = _CELL_BREAK.split(line.strip().strip())
    inner = parts[1 if not parts[0].strip() else 0 :]
    inner = inner[:-1] if inner and not inner[-1].strip() and line.rstrip().endswith("|") else inner
    return tuple(part.strip().replace("\\|", "|") for part in inner)


def _row(columns: tuple[str, ...], cells: tuple[str, ...]) -> TableRow:
    width = max(len(columns), len(cells))
    return TableRow(columns + ("",) * (width - len(columns)), cells + ("",) * (width - len(cells)))


def _is_item(text: str) -> bool:
    return re.match(r"[-*+•–]\s|\(?\d{1,3}[.)]\s", text) is not None


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)
