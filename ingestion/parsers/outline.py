"""The one way in which parsers build sections: headings, paragraphs, lists, tables, in order."""

import re
from dataclasses import dataclass, field

from rag.types import Block, Code, Prose, Section, Table

_CAPTION = re.compile(
    r"(?:table|tab\.|tabelle|exhibit|schedule|figure|abb\.|abbildung)\s*[\w.-]*\d[\w.-]*\b.{0,160}",
    re.IGNORECASE,
)
MAX_HEADING_CHARACTERS = 200
"""A longer heading is a paragraph that someone styled; it would drown the chunks beneath it."""


@dataclass(slots=True)
class Outline:
    """Gathers blocks under the headings that lead to them.

    A heading with nothing beneath it is kept as a paragraph, so that no text is lost. A line such
    as `Table 2. Rates` right before a table becomes its caption.
    """

    base: tuple[str, ...] = ()
    """The path that everything here stands under."""
    _open: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    _untold: int = 0
    """How many of the innermost open headings have nothing beneath them yet."""
    _sections: list[Section] = field(default_factory=list[Section])
    _items: list[str] = field(default_factory=list[str])
    _items_page: int | None = None
    _page: int | None = None

    def heading(self, text: str, level: int, *, page: int | None = None) -> None:
        """Open a section `level` deep; the outermost has the smallest number."""
        text = " ".join(text.split())
        if not text:
            return
        if len(text) > MAX_HEADING_CHARACTERS:
            self.prose(text, page=page)
            return
        self.end_list()
        self._close(level)
        self._open.append((level, text))
        self._untold += 1
        self._page = page

    def prose(self, text: str, *, page: int | None = None) -> None:
        text = text.strip()
        if text:
            self.end_list()
            self._add(Prose(text), page)

    def item(self, text: str, *, page: int | None = None) -> None:
        """One item of a list; items that follow each other become one paragraph, one a line."""
        text = " ".join(text.split())
        if text:
            if not self._items:
                self._items_page = page
            self._items.append(text)

    def end_list(self) -> None:
        """What is listed next is another list."""
        if self._items:
            text, self._items = "\n".join(self._items), []
            self._add(Prose(text), self._items_page)

    def code(self, text: str, *, page: int | None = None) -> None:
        text = text.strip("\n")
        if text.strip():
            self.end_list()
            self._add(Code(text), page)

    def table(self, table: Table, *, page: int | None = None) -> None:
        self.end_list()
        caption = table.caption or self._take_caption()
        self._add(Table(caption, table.header, table.rows), page)

    def finished(self) -> tuple[Section, ...]:
        self.end_list()
        self._close(0)
        return tuple(self._sections)

    @property
    def path(self) -> tuple[str, ...]:
        return (*self.base, *(text for _, text in self._open))

    @property
    def is_empty(self) -> bool:
        return not (self._sections or self._open or self._items)

    def _add(self, block: Block, page: int | None) -> None:
        self._untold = 0
        self._sections.append(Section(self.path, block, page))

    def _close(self, level: int) -> None:
        """Close the headings at `level` and deeper; those that led to nothing become a paragraph."""
        stay = next(
            (n for n, (depth, _) in enumerate(self._open) if depth >= level), len(self._open)
        )
        closing = [text for _, text in self._open[stay:]]
        empty = closing[len(closing) - min(self._untold, len(closing)) :]
        self._open = self._open[: len(self._open) - len(empty)]
        if empty:
            self._add(Prose("\n".join(empty)), self._page)
        self._open = self._open[:stay]

    def _take_caption(self) -> str:
        if not self._sections or self._sections[-1].heading_path != self.path:
            return ""
        last = self._sections[-1].block
        if isinstance(last, Prose) and _CAPTION.fullmatch(last.text):
            self._sections.pop()
            return last.text
        return ""


def titled(sections: tuple[Section, ...], title: str = "") -> tuple[str, tuple[Section, ...]]:
    """The document's title and its sections, the title not repeated in every heading path.

    Where one outermost heading holds the whole document, it is the title.
    """
    tops = {section.heading_path[:1] for section in sections}
    if len(tops) == 1 and (top := next(iter(tops))) and (not title or title == top[0]):
        return top[0], tuple(
            Section(section.heading_path[1:], section.block, section.page) for section in sections
        )
    return title, sections
