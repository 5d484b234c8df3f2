"""Ruled tables on PDF pages, by pdfplumber, opened only where a page has lines drawn on it."""

import io
from collections.abc import Sequence
from typing import Any, Self, cast

import pdfplumber

from ingestion.parsers.grids import table_of, trimmed
from ingestion.parsers.model import Limits, RawFile
from ingestion.parsers.pdf_layout import PageContent, PlacedTable

_MIN_STROKES = 4
_MAX_STROKES = 6_000
"""A page with more drawn on it is a drawing, and finding tables in it takes minutes."""
_MAX_TABLE_PAGES = 400


class PdfTables:
    """Finds tables page by page. Use as a context manager: it holds the file open."""

    def __init__(self, file: RawFile, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._document: Any = None
        self._searched = 0
        self._failed: list[int] = []
        self._skipped: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._document is not None:
            self._document.close()

    @property
    def warnings(self) -> list[str]:
        warnings = [f"tables could not be read on page {number}" for number in self._failed[:5]]
        if self._skipped:
            warnings.append(f"tables were not looked for on {len(self._skipped)} pages")
        return warnings

    def on_page(self, page: PageContent) -> Sequence[PlacedTable]:
        """The ruled tables of at least two rows and columns, at least half filled."""
        if page.strokes < _MIN_STROKES or not page.lines:
            return ()
        if page.strokes > _MAX_STROKES or self._searched >= _MAX_TABLE_PAGES:
            self._skipped.append(page.number)
            return ()
        self._searched += 1
        try:
            return self._search(page)
        except Exception:  # noqa: BLE001 - pdfminer raises anything on odd pages; their text stays
            self._failed.append(page.number)
            return ()

    def _search(self, page: PageContent) -> list[PlacedTable]:
        if self._document is None:
            self._document = pdfplumber.open(self._file.path or io.BytesIO(self._file.body))
        source = self._document.pages[page.number - 1]
        placed: list[PlacedTable] = []
        for found in source.find_tables():
            cells = cast("list[list[str | None]]", found.extract())
            rows = trimmed([[cell or "" for cell in row] for row in cells])
            rows = [row for row in rows if any(row)]
            if not _is_table(rows):
                continue
            table = table_of(rows)
            if table is not None:
                left, top, right, bottom = (float(edge) for edge in found.bbox)
                box = (left, right, page.height - bottom, page.height - top)
                placed.append(PlacedTable(table, *box))
        source.close()
        return placed


def _is_table(rows: Sequence[Sequence[str]]) -> bool:
    if len(rows) < 2 or len(rows[0]) < 2:
        return False
    filled = sum(bool(cell) for row in rows for cell in row)
    return 2 * filled > len(rows) * len(rows[0])
