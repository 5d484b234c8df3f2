"""Spreadsheets: one table a sheet, or more where blank rows part them; CSV and TSV as one sheet."""

import csv
import datetime as dt
import io
import re
from collections.abc import Sequence
from types import MappingProxyType

import python_calamine

from ingestion.parsers.archives import core_properties
from ingestion.parsers.decoding import decoded
from ingestion.parsers.grids import Row, is_data, is_header, is_lone, table_of
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.outline import Outline
from rag.errors import EncryptedFile, LimitExceeded, ParseError
from rag.types import Section

_DELIMITERS = ",;\t|"
_METADATA = MappingProxyType({"document_type": "spreadsheet"})
FIELD_CHARACTERS = 10_000_000
_MAX_CAPTION = 200
GENERIC_SHEET = re.compile(r"(?:Sheet|Tabelle|Feuil|Hoja|Table)\s?\d*", re.IGNORECASE)


def parse_csv(file: RawFile, limits: Limits) -> Extracted:
    text, encoding = decoded(file.body)
    csv.field_size_limit(FIELD_CHARACTERS)
    delimiter, skipped = dialect_of(text, file.name)
    for _ in range(skipped):
        text = text.partition("\n")[2]
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise ParseError(f"it is not a table of separated values: {error}") from error
    width = max(map(len, rows), default=0)
    check_columns(width, limits)
    _check_cells(len(rows), width, limits)
    outline = Outline()
    add_grid(outline, rows)
    warnings = () if encoding.startswith("utf-8") else (f"read as {encoding}",)
    return Extracted(sections=outline.finished(), metadata=_METADATA, warnings=warnings)


def parse_workbook(file: RawFile, limits: Limits) -> Extracted:
    """XLSX, XLSM, XLSB, ODS and XLS. Hidden sheets are left out, and a warning says so."""
    outline, cells = Outline(), 0
    with opened_workbook(file) as workbook:
        shown, hidden = shown_sheets(workbook)
        for name in shown:
            rows = _rows_of(workbook, name, limits, used=cells)
            cells += len(rows) * max(map(len, rows), default=0)
            outline.heading(name, 1)
            add_grid(outline, rows)
    sections = outline.finished()
    if len({section.heading_path for section in sections}) == 1 and GENERIC_SHEET.fullmatch(
        sections[0].heading_path[0] if sections[0].heading_path else "Sheet1"
    ):
        sections = tuple(Section((), section.block, section.page) for section in sections)
    properties = core_properties(file.open())
    title = str(properties.pop("title", ""))
    warnings = (f"hidden sheets left out: {hidden}",) if hidden else ()
    metadata = {**properties, **_METADATA}
    return Extracted(sections=sections, title=title, metadata=metadata, warnings=warnings)


def opened_workbook(file: RawFile) -> python_calamine.CalamineWorkbook:
    try:
        return python_calamine.CalamineWorkbook.from_filelike(file.open())
    except python_calamine.PasswordError as error:
        raise EncryptedFile("the workbook is protected by a password") from error
    except (python_calamine.CalamineError, ValueError, OSError) as error:
        raise ParseError("it cannot be read as a workbook") from error


def shown_sheets(workbook: python_calamine.CalamineWorkbook) -> tuple[list[str], int]:
    """The names of those that people see, and how many they do not."""
    sheets = [
        sheet
        for sheet in workbook.sheets_metadata
        if sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
    ]
    visible = python_calamine.SheetVisibleEnum.Visible
    shown = [sheet.name for sheet in sheets if sheet.visible == visible]
    return shown, len(sheets) - len(shown)


def add_grid(outline: Outline, rows: Sequence[Sequence[str]]) -> None:
    """Add the tables and notes of one sheet to `outline`.

    Rows that hold one text only, above a table, are its caption; below it, a note. Blank rows
    part tables, unless what follows looks like more of the same table.
    """
    notes: list[str] = []
    table: list[Row] = []
    blank = False
    for raw in rows:
        row = tuple(cell.strip() for cell in raw)
        if not any(row):
            blank = True
            continue
        if _is_note(row, after_blank=blank, in_table=bool(table)):
            if table:
                _add_table(outline, notes, table)
                notes, table = [], []
            notes.append(next(filter(None, row)))
        else:
            if table and blank and _starts_table(row, table):
                _add_table(outline, notes, table)
                notes, table = [], []
            table.append(row)
        blank = False
    _add_table(outline, notes, table)


def _is_note(row: Row, *, after_blank: bool, in_table: bool) -> bool:
    if len(row) < 2 or not is_lone(row):
        return False
    text = next(filter(None, row))
    return not in_table or (after_blank and not is_data(text)) or len(text) > _MAX_CAPTION


def _add_table(outline: Outline, notes: Sequence[str], table: Sequence[Row]) -> None:
    """Add `table` under the last of `notes`; one row or one column is text, not a table."""
    found = table_of(table, caption=notes[-1] if notes else "")
    for note in notes if found is None else notes[:-1]:
        outline.prose(note)
    if found is None:
        outline.prose("\n".join(" ".join(filter(None, row)) for row in table))
    else:
        outline.table(found)


def _starts_table(row: Row, above: Sequence[Row]) -> bool:
    """Whether `row`, after a blank row, is a new table's header rather than more of `above`."""
    if not is_header(row):
        return False
    if row == above[0]:
        return True
    held = [
        any(is_data(line[place]) for line in above[1:] if place < len(line))
        for place in range(len(row))
    ]
    return any(cell and held[place] and not is_data(cell) for place, cell in enumerate(row)) or (
        [bool(cell) for cell in row] != [bool(cell) for cell in above[0]]
        and not any(map(is_data, row))
    )


def _rows_of(
    workbook: python_calamine.CalamineWorkbook, name: str, limits: Limits, *, used: int
) -> list[list[str]]:
    try:
        sheet = workbook.get_sheet_by_name(name)
        _check_cells(sheet.height + used // max(1, sheet.width), sheet.width, limits)
        rows = [[text_of(value) for value in row] for row in sheet.to_python(skip_empty_area=True)]
    except (python_calamine.CalamineError, ValueError) as error:
        raise ParseError(f"the sheet {name!r} cannot be read") from error
    offset = sheet.start or (0, 0)
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        _fill(rows, top - offset[0], left - offset[1], bottom - offset[0], right - offset[1])
    return rows


def _fill(rows: list[list[str]], top: int, left: int, bottom: int, right: int) -> None:
    """Put a merged cell's text in each place it covers."""
    if not (0 <= top < len(rows) and 0 <= left < len(rows[top])):
        return
    text = rows[top][left]
    for row in rows[top : bottom + 1]:
        for place in range(left, min(right + 1, len(row))):
            row[place] = text


def _check_cells(height: int, width: int, limits: Limits) -> None:
    if height * width > limits.max_cells:
        raise LimitExceeded(
            f"{height} rows of {width} columns are more than {limits.max_cells} cells"
        )


def text_of(value: object) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return (
                str(int(value))
                if value.is_integer() and abs(value) < 1e15
                else repr(round(value, 10))
            )
        case dt.datetime():
            return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
        case dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return str(value)
        case _:
            return " ".join(str(value).split())


def dialect_of(text: str, name: str) -> tuple[str, int]:
    """The delimiter, and how many lines at the top only name it."""
    above = len(text) - len(text.lstrip("\ufeff \r\n"))
    first_line = text[above:].split("\n", 1)[0]
    if match := re.fullmatch(r"sep=(.)\s*", first_line):  # what Excel writes and reads
        return match[1], text[:above].count("\n") + 1
    return _delimiter_of(text, name), 0


def check_columns(width: int, limits: Limits) -> None:
    if width > limits.max_columns:
        raise LimitExceeded(f"{width} columns are more than {limits.max_columns}")


def _delimiter_of(text: str, name: str) -> str:
    """The delimiter that cuts the first lines into equally many fields, as often as possible."""
    if name.lower().endswith(".tsv"):
        return "\t"
    sample = "\n".join(text.split("\n")[:50])
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        rows = [
            row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row
        ]
        widths = [len(row) for row in rows]
        common = max(set(widths), key=lambda width: (widths.count(width), width), default=1)
        score = 0.0 if common < 2 else widths.count(common) / len(widths) + common / 1000
        if score > best_score:
            best, best_score = delimiter, score
    return best
