"""unstructured, kept offline and quiet, and its elements turned into our sections."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# unstructured, spaCy and lxml are not typed throughout

import os
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, cast

from ingestion.parsers.grids import Cell, spread, table_of
from ingestion.parsers.outline import Outline
from rag.types import Table

LINE_BREAK = "\ue000"
"""Stands for a line break on its way through unstructured, which folds white space."""
TABLE_MARK = "\ue001"
"""Stands before the number of a table that was read beforehand."""
LIST_END = "\ue002\ue002"
"""Stands, as a paragraph, where a list ends: unstructured tells items but not lists."""
MAX_TABLE_CELLS = 2_000_000

_PRIVATE_MARKS = re.compile(f"[{LINE_BREAK}{TABLE_MARK}{LIST_END[0]}]")


@cache
def prepare_unstructured() -> None:
    """Import unstructured so that it neither reports home, nor downloads a model, nor loads torch.

    It wants spaCy's small English model to tell narrative text from other text, a distinction
    that our sections do not make: a blank pipeline with a sentencizer is enough. The name it is
    put in place of is private, so the version is pinned and a test watches it.
    """
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["UNSTRUCTURED_DISABLE_NOTICE"] = "1"
    os.environ["SCARF_NO_ANALYTICS"] = "true"
    has_torch = "torch" in sys.modules
    if not has_torch:  # spaCy would import it, for 170 MB, and use none of it
        sys.modules["torch"] = cast("Any", None)
    try:
        import spacy  # noqa: PLC0415 - only after torch is out of its reach
        from unstructured.nlp import tokenize  # noqa: PLC0415 - only after the environment is set
    finally:
        if not has_torch:
            del sys.modules["torch"]

    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    cast("Any", tokenize)._get_nlp = lambda: pipeline  # noqa: SLF001 - said above


def without_marks(text: str) -> str:
    """`text` without the characters that stand for something here."""
    return _PRIVATE_MARKS.sub("", text)


def unmarked(text: str) -> str:
    """`text` as it came back from unstructured, its line breaks restored."""
    lines = (" ".join(line.split()) for line in text.split(LINE_BREAK))
    return "\n".join(lines).strip()


def add_elements(
    outline: Outline, elements: Iterable[Any], *, tables: Sequence[Table] = ()
) -> None:
    """Add what unstructured found to `outline`, in its order.

    A paragraph of `TABLE_MARK` and a number stands for that one of `tables`.
    """
    for element in elements:
        kind = type(element).__name__
        text: str = element.text or ""
        page = cast("int | None", element.metadata.page_number)
        match kind:
            case "PageBreak" | "Header" | "Footer" | "PageNumber" | "Image":
                continue  # furniture, repeated on every page
            case "Title":
                depth = element.metadata.category_depth
                outline.heading(unmarked(text), 1 + (depth or 0), page=page)
            case "ListItem":
                outline.item(unmarked(text), page=page)
            case "CodeSnippet":
                outline.code(text.replace(LINE_BREAK, "\n"), page=page)
            case "Table":
                add_table(outline, element, page=page)
            case _ if text == LIST_END:
                outline.end_list()
            case _ if text.startswith(TABLE_MARK):
                outline.table(tables[int(text[1:])], page=page)
            case _:
                outline.prose(unmarked(text), page=page)


def add_table(outline: Outline, element: Any, *, page: int | None) -> None:
    """A table, or the text of what is drawn as one and is none: a box, a single row."""
    table = table_from_html(element.metadata.text_as_html or "")
    if table is None:
        outline.prose(unmarked(element.text or ""), page=page)
    else:
        outline.table(table, page=page)


def table_from_html(markup: str) -> Table | None:
    """The table that `markup` shows, spans filled, `th` and `thead` believed."""
    from lxml import html  # noqa: PLC0415 - as slow to import as the rest of the family

    return table_from_tree(html.fragment_fromstring(f"<div>{markup}</div>")) if markup else None


def table_from_tree(root: Any) -> Table | None:
    """The table in an lxml tree. A table inside one of its cells is text of that cell."""
    rows: list[list[Cell]] = []
    header_rows, in_header = 0, True
    for row in root.iter("tr"):
        cells = [cell for cell in row if cell.tag in {"td", "th"}]
        if not cells or next(row.iterancestors("table")) is not next(root.iter("table")):
            continue
        is_marked = row.getparent().tag == "thead" or all(cell.tag == "th" for cell in cells)
        in_header = in_header and is_marked
        header_rows += in_header
        rows.append([_cell_of(cell) for cell in cells])
    caption = " ".join(" ".join(node.itertext()) for node in root.iter("caption"))
    grid = spread(rows, max_cells=MAX_TABLE_CELLS)
    return table_of(grid, caption=" ".join(caption.split()), header_rows=header_rows or None)


def _cell_of(cell: Any) -> Cell:
    for line_break in cell.iter("br"):
        line_break.tail = " " + (line_break.tail or "")
    text = unmarked("".join(cell.itertext())).replace("\n", " ")
    rows, columns = cell.get("rowspan"), cell.get("colspan")
    return Cell(text, _span(rows, most=65_534), _span(columns, most=1_000))


def _span(value: str | None, *, most: int) -> int:
    """As browsers read it: HTML Standard, 4.9.11."""
    return min(int(value), most) if value and value.isdecimal() and int(value) > 0 else 1
