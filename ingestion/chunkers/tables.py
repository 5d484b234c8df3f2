"""A table in parts that fit: whole rows under the repeated caption and header."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ingestion.chunkers.cuts import cut_at_best_gaps
from ingestion.chunkers.measuring import CountTokens, shortened, split_to_fit
from rag.types import Span, Table, markdown_row

_COLUMN_TOKENS = 6
"""What a column costs besides its words: a bar in three lines, and the dashes of the second."""
_CLOSING_TOKENS = 3
"""The bars that close the three lines of a header and one row."""


@dataclass(frozen=True, slots=True)
class TablePart:
    """`text` as shown; `span` is where its rows stand in the table's own text."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[str, ...]
    text: str
    span: Span
    tokens: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """What every part of a table repeats."""

    caption: str
    header: tuple[str, ...]
    text: str
    tokens: int
    budget: int


def table_parts(table: Table, *, budget: int, limit: int, count: CountTokens) -> list[TablePart]:
    """`table` in parts of about `budget` tokens, and never more than `limit`.

    A row is never cut while it fits `limit` under the header. A wider one is shown a few cells at
    a time under their own header names, led by the row's first cell, and a cell that is longer
    still in several pieces.
    """
    text = table.text
    rows = _rows(table, text, count)
    above_rows = text[: rows[0].span.start] if rows else text
    if count([above_rows])[0] + sum(row.tokens for row in rows) <= budget:
        return [TablePart(text, Span(0, len(text)))]
    frame = _frame(table, budget, count)
    if not rows:
        return [
            TablePart(text[span.start : span.end], span)
            for span, _ in split_to_fit(text, Span(0, len(text)), budget, count)
        ]
    rowwise = [
        part
        for group in _groups(rows, budget - frame.tokens, minimum=budget // 3)
        for part in _row_parts(group, frame, limit=limit, count=count)
    ]
    captions = list(_caption_parts(table, frame, count))
    # The first part of rows also covers what stands above them.
    above = captions[-1].span.end if captions else 0
    first = TablePart(rowwise[0].text, Span(above, rowwise[0].span.end))
    return [*captions, first, *rowwise[1:]]


def _groups(rows: Sequence[_Row], room: int, *, minimum: int) -> list[Sequence[_Row]]:
    """Rows that share a part. Where the header leaves less than `minimum`, each is on its own."""
    if room < minimum:
        return [[row] for row in rows]
    sizes = [row.tokens for row in rows]
    gaps = [_priority(row) for row in rows[1:]]
    return [rows[piece.start : piece.stop] for piece in cut_at_best_gaps(sizes, gaps, budget=room)]


def _priority(row: _Row) -> tuple[float, str]:
    """How good a cut before `row` is: by its first cell, which names it; among equals, by the rest.

    So an edit of another cell changes no priority.
    """
    return 0.0, _hash(markdown_row(row.cells[:1])) + _hash(row.text)


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()


def _row_parts(
    group: Sequence[_Row], frame: _Frame, *, limit: int, count: CountTokens
) -> Iterator[TablePart]:
    if frame.tokens + sum(row.tokens for row in group) <= limit:
        body = "\n".join(row.text for row in group)
        yield TablePart(f"{frame.text}\n{body}", Span(group[0].span.start, group[-1].span.end))
        return
    for row in group:
        for wide in _wide_row(row, frame, count):
            yield TablePart(wide, row.span)


def _rows(table: Table, text: str, count: CountTokens) -> list[_Row]:
    lines = [markdown_row(row) for row in table.rows]
    tokens = count(lines)
    at = len(text) - sum(map(len, lines)) - max(0, len(lines) - 1)
    rows: list[_Row] = []
    for cells, line, size in zip(table.rows, lines, tokens, strict=True):
        rows.append(_Row(cells, line, Span(at, at + len(line)), size))
        at += len(line) + 1
    return rows


def _frame(table: Table, budget: int, count: CountTokens) -> _Frame:
    caption = shortened(table.caption, budget // 4, count) if table.caption else ""
    top = [caption, ""] if caption else []
    rule = ("---",) * len(table.header)
    text = "\n".join([*top, markdown_row(table.header), markdown_row(rule)])
    return _Frame(caption, table.header, text, count([text])[0], budget)


def _caption_parts(table: Table, frame: _Frame, count: CountTokens) -> Iterator[TablePart]:
    """The whole caption on its own, where the parts repeat only its beginning."""
    if frame.caption != table.caption:
        whole = Span(0, len(table.caption))
        for span, _ in split_to_fit(table.caption, whole, frame.budget, count):
            yield TablePart(table.caption[span.start : span.end], span)


def _wide_row(row: _Row, frame: _Frame, count: CountTokens) -> Iterator[str]:
    """The row a few cells at a time, each under its header name."""
    room = frame.budget - count([frame.caption])[0] - _COLUMN_TOKENS - _CLOSING_TOKENS
    first = (frame.header[0], row.cells[0])
    lead = tuple(shortened(text, room // 8, count) for text in first)
    room -= sum(count(lead))
    cells = list(zip(frame.header, row.cells, strict=True))
    group: list[tuple[str, ...]] = []
    used = 0
    for name, cell in cells[1:] if lead == first else cells:
        for column, tokens in _cell_pieces(name, cell, room, count):
            if group and used + tokens > room:
                yield _columns(frame.caption, [lead, *group])
                group, used = [], 0
            group.append(column)
            used += tokens
    yield _columns(frame.caption, [lead, *group])


def _columns(caption: str, columns: Sequence[tuple[str, ...]]) -> str:
    names, values = zip(*columns, strict=True)
    lines = [markdown_row(names), markdown_row(("---",) * len(columns)), markdown_row(values)]
    return "\n".join(([caption, ""] if caption else []) + lines)


def _cell_pieces(
    name: str, cell: str, room: int, count: CountTokens
) -> Iterator[tuple[tuple[str, str], int]]:
    """The cell in pieces that fit beside its header name, with what each costs."""
    title = shortened(name, room // 4, count)
    own = count([title])[0] + title.count("|") + _COLUMN_TOKENS
    pieces = split_to_fit(
        cell, Span(0, len(cell)), (room - own) // (2 if "|" in cell else 1), count
    )
    for span, tokens in pieces or [(Span(0, 0), 0)]:
        piece = cell[span.start : span.end]
        # Each bar is written with a backslash before it.
        yield (title, piece), own + tokens + piece.count("|")
