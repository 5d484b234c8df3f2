"""Workbooks with too many cells for one document, taken apart row by row.

Each sheet comes in parts that are CSV files under its header, as a long CSV does. One sheet at a
time is unpacked, in some 100 bytes a cell: what `check_archive` lets through bounds that. Merged
cells are not filled here.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice

import python_calamine

from ingestion.parsers.archives import core_properties
from ingestion.parsers.containers import unique_paths
from ingestion.parsers.grids import is_header, is_lone
from ingestion.parsers.long_tables import check_room, lines_of, named, pieces_of
from ingestion.parsers.model import Extracted, Limits, Member, RawFile
from ingestion.parsers.outline import Outline
from ingestion.parsers.sheets import (
    GENERIC_SHEET,
    check_columns,
    opened_workbook,
    shown_sheets,
    text_of,
)
from rag.errors import ParseError

_LOOKED_FOR_HEADER = 20
"""Rows at the top of a sheet of which one names the columns."""


def parse_long_workbook(file: RawFile, limits: Limits) -> Extracted:
    """The names of the sheets, and what stands above their tables. The rows are members."""
    check_room(file)
    workbook = opened_workbook(file)
    shown, hidden = shown_sheets(workbook)
    outline = Outline()
    for name in shown:
        notes, header, _ = _top_of(_rows_of(workbook, name, limits))
        outline.heading(name, 1)
        for note in notes:
            outline.prose(" ".join(filter(None, note)))
        outline.prose(f"A long table in parts, with these columns: {named(header)}")
    properties = core_properties(file.open())
    return Extracted(
        sections=outline.finished(),
        title=str(properties.pop("title", "")),
        metadata={**properties, "document_type": "spreadsheet"},
        warnings=(f"hidden sheets left out: {hidden}",) if hidden else (),
        members=_members(workbook, shown, limits),
    )


def _members(
    workbook: python_calamine.CalamineWorkbook, shown: Sequence[str], limits: Limits
) -> Iterator[Member]:
    with workbook:
        folders = unique_paths(" ".join(name.split()).replace("/", "_") for name in shown)
        for name, folder in zip(shown, folders, strict=True):
            _, header, rows = _top_of(_rows_of(workbook, name, limits))
            # A row of one text above the header is what the reader of CSV takes for a caption.
            caption = [] if GENERIC_SHEET.fullmatch(name) else [[name, *[""] * (len(header) - 1)]]
            head = "".join(line for line, _ in lines_of([*caption, header]))
            yield from pieces_of(
                lines_of(rows), head=head, kind="csv", limits=limits, folder=f"{folder}/"
            )


def _top_of(rows: Iterator[list[str]]) -> tuple[list[list[str]], list[str], Iterator[list[str]]]:
    """The rows above the one that names the columns, that one, and those below it. Where none looks
    as if it did, the columns are numbered."""
    top: list[list[str]] = []
    for row in islice(rows, _LOOKED_FOR_HEADER):
        if not is_lone(row) and is_header(row):
            return top, row, rows
        top.append(row)
    width = max(map(len, top), default=0)
    return [], [f"Column {number}" for number in range(1, width + 1)], chain(top, rows)


def _rows_of(
    workbook: python_calamine.CalamineWorkbook, name: str, limits: Limits
) -> Iterator[list[str]]:
    """The rows that are not blank."""
    try:
        sheet = workbook.get_sheet_by_name(name)
        check_columns(sheet.width, limits)
        for values in sheet.iter_rows():
            row = [text_of(value) for value in values]
            if any(row):
                yield row
    except (python_calamine.CalamineError, ValueError) as error:
        raise ParseError(f"the sheet {name!r} cannot be read") from error
