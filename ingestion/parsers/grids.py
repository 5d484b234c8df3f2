"""Grids of cells to real tables: spans filled, rows padded, the header row chosen."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.types import Table

Row = tuple[str, ...]

_NUMBER = re.compile(r"[-+(]?[£$€]?\s?[-+]?\d[\d.,'\u00a0 ]*\)?\s?(?:%|‰|[£$€]|[A-Za-z°³²/]{1,6})?")
_YEAR = re.compile(r"(?:19|20)\d\d(?:[-/]\d\d)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T][\d:.+]+)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a marked-up table, with how far it reaches."""

    text: str
    rows: int = 1
    columns: int = 1


def spread(rows: Iterable[Sequence[Cell]], *, max_cells: int) -> list[Row]:
    """The grid that `rows` draw, each spanning cell's text in every place it covers.

    A row span reaches no further than the last row; columns are cut where the grid would pass
    `max_cells`, which only a hostile span does.
    """
    source = [list(row) for row in rows]
    width_cap = max(1, max_cells // max(1, len(source)))
    grid = [dict[int, str]() for _ in source]
    for top, row in enumerate(source):
        column = 0
        for cell in row:
            while column in grid[top]:
                column += 1
            right = min(column + max(1, cell.columns), width_cap)
            bottom = min(top + max(1, cell.rows), len(source))
            for line in grid[top:bottom]:
                for place in range(column, right):
                    line.setdefault(place, cell.text)
            column = right
    width = 1 + max((place for line in grid for place in line), default=-1)
    return [tuple(line.get(place, "") for place in range(width)) for line in grid]


def trimmed(rows: Sequence[Sequence[str]]) -> list[Row]:
    """`rows` padded to one width, without the columns that are empty from top to bottom."""
    cleaned = [[" ".join(cell.split()) for cell in row] for row in rows]
    width = max(map(len, cleaned), default=0)
    kept = [n for n in range(width) if any(n < len(row) and row[n] for row in cleaned)]
    return [tuple(row[n] if n < len(row) else "" for n in kept) for row in cleaned]


def table_of(
    rows: Sequence[Sequence[str]], *, caption: str = "", header_rows: int | None = None
) -> Table | None:
    """The table that `rows` make, or None where they make none: one row, or one column.

    `header_rows` says how many rows the source itself marks as header, if it does: several are
    folded into one. Otherwise the first row is the header unless it holds data, and then the
    columns are numbered.
    """
    grid = [row for row in trimmed(rows) if any(row)]
    if len(grid) < 2 or len(grid[0]) < 2:
        return None
    marked = _header_height(grid) if header_rows is None else min(header_rows, len(grid) - 1)
    if marked > 1 or header_rows:
        header = tuple(
            " ".join(dict.fromkeys(cell for cell in column if cell))
            for column in zip(*grid[:marked], strict=True)
        )
        return Table(caption, header, tuple(grid[marked:]))
    if is_header(grid[0]):
        return Table(caption, grid[0], tuple(grid[1:]))
    return Table(caption, tuple(f"Column {n}" for n in range(1, len(grid[0]) + 1)), tuple(grid))


def _header_height(grid: Sequence[Row]) -> int:
    """1, or 2 where the first row groups columns that the second one names."""
    if len(grid) < 4 or any(is_data(cell) for row in grid[:2] for cell in row):
        return 1
    groups = grid[0]
    gaps = sum(not cell or cell == before for before, cell in pairwise(("", *groups)))
    grouped = 3 * gaps >= len(groups) and sum(map(bool, grid[1])) > len(set(filter(None, groups)))
    return 2 if grouped and any(is_data(cell) for cell in grid[2]) else 1


def is_header(row: Sequence[str]) -> bool:
    """Whether `row` can name columns: words, not data. A year can name a column."""
    filled = [cell for cell in row if cell]
    return bool(filled) and 2 * sum(map(is_data, filled)) <= len(filled)


def is_data(cell: str) -> bool:
    """Whether `cell` holds a number or a date rather than a name."""
    if _YEAR.fullmatch(cell):
        return False
    return _NUMBER.fullmatch(cell) is not None or _DATE.fullmatch(cell) is not None


def is_lone(row: Sequence[str]) -> bool:
    """Whether `row` holds one text only, in one cell or merged over several: a title or a note."""
    return len({cell for cell in row if cell}) == 1
