"""Lines on pages to headings, paragraphs and lists, by size, weight and distance."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from ingestion.parsers.lines import joined
from ingestion.parsers.outline import Outline
from rag.types import Table

_LARGER = 1.12
"""How many times larger than the running text a heading is set, at least."""
_MAX_HEADING = 120
_BULLET = re.compile(r"(?:[•‣▪●○◦\uf0b7\uf0a7·]|[-\u2013*](?=\s))\s*")
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
        return self.bottom <= middle <= self.top and self.left - 3 <= line.left <= self.right + 3


class TableFinder(Protocol):
    def on_page(self, page: PageContent) -> Sequence[PlacedTable]: ...


def add_pages(outline: Outline, pages: Sequence[PageContent], tables: TableFinder) -> None:
    """Add the text of `pages` to `outline`, tables in their places and not as text as well."""
    found_on = [tables.on_page(page) for page in pages]
    outside = [
        [line for line in page.lines if not any(table.holds(line) for table in found)]
        for page, found in zip(pages, found_on, strict=True)
    ]
    flow = _Flow(outline, heading_levels([line for lines in outside for line in lines]))
    for page, found, text in zip(pages, found_on, outside, strict=True):
        flow.start_page(text)
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
        and text[0] not in ",;.:)-"
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
        self._page: Sequence[Line] = ()

    def start_page(self, lines: Sequence[Line]) -> None:
        drops = [
            above.bottom - below.bottom
            for above, below in pairwise(lines)
            if 0 < above.bottom - below.bottom < 4 * max(1.0, above.size)
        ]
        self._leading = sorted(drops)[len(drops) // 4] if drops else 0.0
        self._page = lines

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
        if _is_beside(before, line):
            return True
        before = max(self._lines, key=lambda other: other.size) if len(self._lines) < 4 else before
        if self._level(before) != self._level(line) or abs(before.size - line.size) > 1:
            return False
        before = self._lines[-1]
        if before.page != line.page:
            return self._text[-1] not in ".!?:" and line.text[:1].islower()
        drop = before.bottom - line.bottom
        if any(sign.match(line.text) for sign in (_BULLET, _NUMBER, _CAPTION)):
            return False
        if drop < 0:  # a new column: only a sentence goes on there
            return self._text[-1] not in ".!?:" and line.text[:1].islower()
        return drop <= 1.3 * min(max(self._leading, 1.2 * line.size), 1.7 * line.size)

    def _append(self, line: Line) -> None:
        before = self._lines[-1]
        self._lines.append(line)
        if _is_beside(before, line):
            self._text = f"{self._text} {line.text}"
        elif self._is_full(before, line) or before.page != line.page or line.bottom > before.bottom:
            self._text = joined(self._text, line.text)
        else:
            self._text = f"{self._text}\n{line.text}"

    def _is_full(self, before: Line, line: Line) -> bool:
        """Whether the page's width broke the line: the next word would not have fit."""
        rights = sorted(other.right for other in self._page if abs(other.left - line.left) < 25)
        edge = rights[len(rights) * 4 // 5] if rights else line.right
        first_word = line.text.split(maxsplit=1)[0]
        character = (before.right - before.left) / max(1, len(before.text))
        return before.right + (len(first_word) + 1.5) * character > edge


def _is_beside(before: Line, line: Line) -> bool:
    """Whether `line` goes on at the height of `before`: after a gap, or raised as a footnote is."""
    overlap = min(before.top, line.top) - max(before.bottom, line.bottom)
    height = min(before.top - before.bottom, line.top - line.bottom)
    return (
        before.page == line.page
        and overlap > 0.5 * height
        and -2 < line.left - before.right < 20 * line.size
    )
