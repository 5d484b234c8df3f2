"""Lines on pages to headings, paragraphs and lists, by size, weight and distance."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from ingestion.parsers.lines import joined
from ingestion.parsers.outline import Outline
from rag.types import Table

_LARGER = 1.12
"""How many times larger than the running text a heading is set, at least."""
_MAX_HEADING = 120
_BULLET = re.compile(r"(?:[•‣▪●○◦\uf0b7\uf0a7·]|[-–*](?=\s))\s*")
_NUMBER = re.compile(r"\(?(?:\d{1,2}|[a-z])[.)]\s+\S")
_CAPTION = re.compile(r"(?:table|tabelle|tab\.|figure|fig\.|abb\.|abbildung)\s*\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of text, with its box in points from the page's lower left corner."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    size: float
    is_bold: bool
    page: int


@dataclass(frozen=True, slots=True)
class PageContent:
    number: int
    width: float
    height: float
    lines: tuple[Line, ...]
    strokes: int
    """How much is drawn on the page; 0 also where the page is turned."""


@dataclass(frozen=True, slots=True)
class PlacedTable:
    """A table and the box it fills, in points from the page's lower left corner."""

    table: Table
    left: float
    right: float
    bottom: float
    top: float

    def holds(self, line: Line) -> bool:
        middle = (line.bottom + line.top) / 2
        return (
            self.bottom <= middle <= self.top and self.left - 3 <= line.left <= self.right + 3
        )


class TableFinder(Protocol):
    def on_page(self, page: PageContent) -> Sequence[PlacedTable]: ...


def add_pages(outline: Outline, pages: Sequence[PageContent], tables: TableFinder) -> None:
    """Add the text of `pages` to `outline`, tables in their places and not as text as well."""
    levels = heading_levels([line for page in pages for line in page.lines])
    flow = _Flow(outline, levels)
    for page in pages:
        found = tables.on_page(page)
        flow.start_page(page)
        placed: set[int] = set()
        for line in page.lines:
            inside = next((n for n, table in enumerate(found) if table.holds(line)), None)
            if inside is None:
                flow.line(line)
            elif inside not in placed:
                placed.add(inside)
                flow.table(found[inside].table, page.number)
        for number, table in enumerate(found):
            if number not in placed:
                flow.table(table.table, page.number)
    flow.end_paragraph()


def heading_levels(lines: Sequence[Line]) -> Mapping[tuple[float, bool], int]:
    """The level of each look (size, weight) that headings of this document have, from 1."""
    weights: Counter[float] = Counter()
    for line in lines:
        weights[line.size] += len(line.text)
    if not weights:
        return {}
    body = weights.most_common(1)[0][0]
    total = weights.total()
    bold = sum(len(line.text) for line in lines if line.is_bold and line.size <= body * _LARGER)
    larger = {
        line.size
        for line in lines
        if line.size >= body * _LARGER and _can_head(line) and weights[line.size] < total / 3
    }
    levels: dict[tuple[float, bool], int] = {}
    for level, size in enumerate(sorted(larger, reverse=True), 1):
        levels[size, True] = levels[size, False] = level
    if bold < 0.3 * total:
        sizes = {line.size for line in lines if line.is_bold and body <= line.size < body * _LARGER}
        for offset, size in enumerate(sorted(sizes, reverse=True), 1):
            levels.setdefault((size, True), len(larger) + offset)
    return levels


def _can_head(line: Line) -> bool:
    text = line.text
    return (
        len(text) <= _MAX_HEADING
        and any(map(str.isalpha, text))
        and not _BULLET.match(text)
        and not _CAPTION.match(text)
        and not (text[-1] in ".,;" and len(text) > 30)
    )


class _Flow:
    """The state of reading on: the paragraph or heading that may still go on."""

    def __init__(self, outline: Outline, levels: Mapping[tuple[float, bool], int]) -> None:
        self._outline = outline
        self._levels = levels
        self._lines: list[Line] = []
        self._text = ""
        self._leading = 0.0
        self._edge = 0.0

    def start_page(self, page: PageContent) -> None:
        drops = [
            above.bottom - below.bottom
            for above, below in zip(page.lines, page.lines[1:], strict=False)
            if 0 < above.bottom - below.bottom < 4 * max(1.0, above.size)
        ]
        self._leading = median(drops) if drops else 0.0
        self._edge = max((line.right for line in page.lines), default=0.0)

    def line(self, line: Line) -> None:
        if self._lines and self._goes_on(line):
            self._append(line)
        else:
            self.end_paragraph()
            self._lines, self._text = [line], line.text

    def table(self, table: Table, page: int) -> None:
        self.end_paragraph()
        self._outline.table(table, page=page)

    def end_paragraph(self) -> None:
        lines, text = self._lines, self._text
        self._lines, self._text = [], ""
        if not lines:
            return
        page, level = lines[0].page, self._level(lines[0])
        if level is not None and len(lines) <= 3:
            self._outline.heading(text.replace("\n", " "), level, page=page)
        elif bullet := _BULLET.match(text):
            self._outline.item(text[bullet.end() :].replace("\n", " "), page=page)
        elif _NUMBER.match(text):
            self._outline.item(text.replace("\n", " "), page=page)
        else:
            self._outline.prose(text, page=page)

    def _level(self, line: Line) -> int | None:
        level = self._levels.get((line.size, line.is_bold))
        return level if level is not None and _can_head(line) else None

    def _goes_on(self, line: Line) -> bool:
        before = self._lines[-1]
        if self._level(before) != self._level(line) or abs(before.size - line.size) > 1:
            return False
        if before.page != line.page:
            return self._text[-1] not in ".!?:" and line.text[:1].islower()
        drop = before.bottom - line.bottom
        if abs(drop) < 0.4 * line.size:
            return True  # the same line, after a gap
        if _BULLET.match(line.text) or _NUMBER.match(line.text):
            return False
        if drop < 0:  # a new column: only a sentence goes on there
            return self._text[-1] not in ".!?:" and line.text[:1].islower()
        return drop <= 1.25 * max(self._leading, line.size)

    def _append(self, line: Line) -> None:
        before = self._lines[-1]
        self._lines.append(line)
        if before.page == line.page and abs(before.bottom - line.bottom) < 0.4 * line.size:
            self._text = f"{self._text} {line.text}"
        elif self._is_full(before, line) or before.page != line.page or line.bottom > before.bottom:
            self._text = joined(self._text, line.text)
        else:
            self._text = f"{self._text}\n{line.text}"

    def _is_full(self, before: Line, line: Line) -> bool:
        """Whether the page's width broke the line: the next word would not have fit."""
        edge = max(other.right for other in (*self._lines, line))
        if edge < 0.6 * self._edge and len(self._lines) > 3:
            column = edge  # a narrow column
        else:
            column = max(edge, self._edge) if edge > 0.45 * self._edge else edge
        first_word = line.text.split(maxsplit=1)[0]
        character = (before.right - before.left) / max(1, len(before.text))
        return before.right + (len(first_word) + 2) * character > column
