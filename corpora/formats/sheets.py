"""An xlsx from its source."""

import csv
import datetime as dt
import io
import re
from pathlib import Path
from typing import Any, cast

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from .archives import normalised_archive
from .sources import COMPANY, Source, SourceError, cell_text, timestamp


def build_xlsx(source: Source) -> bytes:
    book = cast("Any", Workbook())
    book.remove(book.active)
    book.properties.title = source["title"]
    book.properties.creator = source.get("author", COMPANY)
    book.properties.created = timestamp(source)
    for content in cast("list[dict[str, Any]]", source["sheets"]):
        add_sheet(book.create_sheet(content["name"]), content, cast("Path", source["_folder"]))
    buffer = io.BytesIO()
    book.save(buffer)
    # openpyxl writes the time of saving; the document's own date replaces it.
    modified = f"{timestamp(source):%Y-%m-%dT%H:%M:%SZ}".encode()
    return normalised_archive(
        buffer.getvalue(),
        lambda name, data: (
            re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + modified, data)
            if name == "docProps/core.xml"
            else data
        ),
    )


def add_sheet(sheet: Any, content: dict[str, Any], folder: Path) -> None:
    header, rows = sheet_rows(content, folder)
    if "title" in content:
        sheet.append([content["title"]])
        sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=len(header))
        sheet["A1"].font = Font(bold=True, size=14)
    sheet.append(header)
    header_row = sheet.max_row
    for cell in sheet[header_row]:
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="DDE6ED")
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    for row in rows:
        if len(row) != len(header):
            raise SourceError(f"sheet {sheet.title}: {len(row)} cells, {len(header)} headings")
        sheet.append(row)
    sheet.freeze_panes = f"A{header_row + 1}"
    widths = cast("list[float] | None", content.get("widths"))
    for column in range(1, len(header) + 1):
        longest = max((len(cell_text(row[column - 1])) for row in [header, *rows]), default=8)
        width = widths[column - 1] if widths else min(60, max(10, longest + 2))
        sheet.column_dimensions[get_column_letter(column)].width = width


def sheet_rows(content: dict[str, Any], folder: Path) -> tuple[list[str], list[list[object]]]:
    """The rows of a sheet, in the source itself or in the CSV file it names."""
    if "rows_csv" not in content:
        header = [cell_text(value) for value in cast("list[object]", content["header"])]
        return header, cast("list[list[object]]", content["rows"])
    with (folder / content["rows_csv"]).open(encoding="utf-8", newline="") as stream:
        lines = list(csv.reader(stream))
    return lines[0], [[typed_cell(text) for text in line] for line in lines[1:]]


def typed_cell(text: str) -> object:
    """A CSV field as a number or date where it clearly is one."""
    if re.fullmatch(r"-?(0|[1-9]\d{0,14})", text):
        return int(text)
    if re.fullmatch(r"-?(0|[1-9]\d*)\.\d+", text):
        return float(text)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return dt.date.fromisoformat(text)
    return text or None
