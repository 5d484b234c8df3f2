"""Generate the binary documents of a sample corpus from their reviewable text sources.

    python corpora/build.py            write every docx, pptx, xlsx, pdf and png
    python corpora/build.py --check    regenerate into a temporary folder and compare

Each YAML file in `<corpus>/sources/<folder>/` becomes `<corpus>/documents/<folder>/<target>`.
The source format is described at the top of `corpora/aldermoor/BIBLE.md`.

The output is deterministic: dates come from the source, archive members carry 1980, nothing
is random but for a seed derived from the target's name. Run twice, the bytes are the same.
"""

import argparse
import csv
import datetime as dt
import io
import random
import re
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast
from xml.sax.saxutils import escape

import yaml
from docx import Document
from docx.shared import Pt
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pptx import Presentation
from pptx.util import Emu, Inches
from pptx.util import Pt as SlidePt
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    ListFlowable,
    ListItem,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

CORPORA = Path(__file__).resolve().parent
BINARY_SUFFIXES = frozenset({".docx", ".pptx", ".xlsx", ".pdf", ".png"})
ARCHIVE_SUFFIXES = frozenset({".docx", ".pptx", ".xlsx"})
COMPANY = "Aldermoor Pumps"
DEFAULT_DATE = dt.date(2026, 1, 5)

Source = dict[str, Any]


class SourceError(Exception):
    """A source file that cannot be built; the message names it."""


# --- reading a source -------------------------------------------------------------------


def load_source(path: Path) -> Source:
    """The parsed source, with the keys every kind needs checked."""
    parsed: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(parsed, dict):
        raise SourceError(f"{path}: not a mapping")
    source = cast("Source", parsed)
    for key in ("target", "kind", "title"):
        if not isinstance(source.get(key), str):
            raise SourceError(f"{path}: '{key}' is missing or not text")
    if source["kind"] not in BUILDERS:
        raise SourceError(f"{path}: unknown kind {source['kind']!r}")
    source["_folder"] = path.parent
    return source


def timestamp(source: Source) -> dt.datetime:
    """The document's own date at nine in the morning."""
    date = cast("object", source.get("date", DEFAULT_DATE))
    if not isinstance(date, dt.date):
        raise SourceError(f"{source['target']}: 'date' must be written YYYY-MM-DD")
    return dt.datetime(date.year, date.month, date.day, 9, tzinfo=dt.UTC).replace(tzinfo=None)


def cell_text(value: object) -> str:
    """A table cell as it is printed."""
    return "" if value is None else str(value)


def single(block: dict[str, Any], path: str) -> tuple[str, Any]:
    """The kind of a block and its content: the first key that names a block."""
    for key in ("heading", "paragraph", "bullets", "numbered", "table", "page_break"):
        if key in block:
            return key, block[key]
    raise SourceError(f"{path}: unknown block {sorted(block)}")


def table_rows(table: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    header = [cell_text(value) for value in cast("list[object]", table["header"])]
    rows = [[cell_text(v) for v in row] for row in cast("list[list[object]]", table["rows"])]
    for row in rows:
        if len(row) != len(header):
            raise SourceError(f"row of {len(row)} cells under {len(header)} headings: {row}")
    return header, rows


# --- docx -------------------------------------------------------------------------------


def build_docx(source: Source) -> bytes:
    document = cast("Any", Document())
    style_font = document.styles["Normal"].font
    style_font.name, style_font.size = "Calibri", Pt(10.5)
    set_core_properties(document.core_properties, source)

    document.add_paragraph(source["title"], style="Title")
    if "reference" in source:
        document.add_paragraph(source["reference"], style="Subtitle")
    footer = document.sections[0].footer.paragraphs[0]
    footer.text = " | ".join(filter(None, [COMPANY, cell_text(source.get("reference"))]))

    for block in cast("list[dict[str, Any]]", source["blocks"]):
        kind, content = single(block, source["target"])
        if kind == "heading":
            document.add_heading(content, level=block.get("level", 1))
        elif kind == "paragraph":
            document.add_paragraph(content)
        elif kind == "page_break":
            document.add_page_break()
        elif kind == "table":
            add_docx_table(document, content)
        else:
            style = "List Bullet" if kind == "bullets" else "List Number"
            for item in content:
                document.add_paragraph(str(item), style=style)
    return saved(document)


def add_docx_table(document: Any, content: dict[str, Any]) -> None:
    header, rows = table_rows(content)
    if "caption" in content:
        document.add_paragraph(content["caption"], style="Caption")
    table = document.add_table(rows=1, cols=len(header), style="Table Grid")
    for cell, text in zip(table.rows[0].cells, header, strict=True):
        cell.paragraphs[0].add_run(text).bold = True
    for row in rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.add_paragraph("")


# --- pptx -------------------------------------------------------------------------------


def build_pptx(source: Source) -> bytes:
    deck = cast("Any", Presentation())
    set_core_properties(deck.core_properties, source)
    opening = deck.slides.add_slide(deck.slide_layouts[0])
    opening.shapes.title.text = source["title"]
    opening.placeholders[1].text = " | ".join(
        filter(
            None,
            [cell_text(source.get("reference")), cell_text(source.get("author")), COMPANY],
        )
    )
    for content in cast("list[dict[str, Any]]", source["slides"]):
        add_slide(deck, content)
    return saved(deck)


def add_slide(deck: Any, content: dict[str, Any]) -> None:
    bullets = cast("list[str]", content.get("bullets", []))
    slide = deck.slides.add_slide(deck.slide_layouts[1 if bullets else 5])
    slide.shapes.title.text = content["title"]
    if bullets:
        frame = slide.placeholders[1].text_frame
        frame.text = str(bullets[0])
        for bullet in bullets[1:]:
            frame.add_paragraph().text = str(bullet)
        for paragraph in frame.paragraphs:
            paragraph.font.size = SlidePt(20)
    if "table" in content:
        header, rows = table_rows(content["table"])
        top = Inches(1.6 + 0.6 * len(bullets))
        if bullets:
            body = slide.placeholders[1]
            left, width = Inches(0.5), Inches(9)
            body.left, body.top, body.width = left, Inches(1.5), width
            body.height = Emu(top - Inches(1.5))
        height = Inches(0.35 * (len(rows) + 1))
        shape = slide.shapes.add_table(
            len(rows) + 1, len(header), Inches(0.5), top, Inches(9), height
        )
        for row_number, row in enumerate([header, *rows]):
            for column, text in enumerate(row):
                cell = shape.table.cell(row_number, column)
                cell.text = text
                cell.text_frame.paragraphs[0].font.size = SlidePt(14)
    if "notes" in content:
        slide.notes_slide.notes_text_frame.text = content["notes"]


def set_core_properties(properties: Any, source: Source) -> None:
    """Title, author and dates of a docx or pptx, none of them today's."""
    properties.title = source["title"]
    properties.author = source.get("author", COMPANY)
    properties.last_modified_by = properties.author
    properties.comments = ""
    properties.revision = 1
    properties.created = properties.modified = timestamp(source)


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return normalised_archive(buffer.getvalue())


# --- xlsx -------------------------------------------------------------------------------


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


# --- pdf --------------------------------------------------------------------------------

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10, leading=13.5, spaceAfter=6)
CELL = ParagraphStyle("cell", parent=BODY, fontSize=8.5, leading=10.5, spaceAfter=0)
CELL_HEAD = ParagraphStyle("cell-head", parent=CELL, fontName="Helvetica-Bold")
CAPTION = ParagraphStyle("caption", parent=BODY, fontName="Helvetica-Oblique", fontSize=9)
TITLE = ParagraphStyle(
    "title", parent=BODY, fontName="Helvetica-Bold", fontSize=18, leading=22, spaceAfter=8
)
HEADINGS = [
    ParagraphStyle(
        f"heading-{level}",
        parent=BODY,
        fontName="Helvetica-Bold",
        fontSize=size,
        leading=size + 4,
        spaceBefore=8,
        keepWithNext=1,
    )
    for level, size in ((1, 14), (2, 12), (3, 10.5))
]


def build_pdf(source: Source) -> bytes:
    buffer = io.BytesIO()
    template = cast("Any", SimpleDocTemplate)(
        buffer,
        pagesize=A4,
        leftMargin=22 * mm,
        rightMargin=22 * mm,
        topMargin=20 * mm,
        bottomMargin=22 * mm,
        title=source["title"],
        author=source.get("author", COMPANY),
        invariant=1,
        pageCompression=0,
    )
    reference = cell_text(source.get("reference"))
    label = " | ".join(filter(None, [COMPANY, reference, f"{timestamp(source):%d.%m.%Y}"]))

    def footer(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont("Helvetica", 8)
        canvas.drawString(22 * mm, 12 * mm, label)
        canvas.drawRightString(A4[0] - 22 * mm, 12 * mm, f"Page {document.page}")
        canvas.restoreState()

    story: list[Any] = [pdf_text(source["title"], TITLE)]
    if reference:
        story.append(pdf_text(reference, CAPTION))
    for block in cast("list[dict[str, Any]]", source["blocks"]):
        story.extend(pdf_block(block, source["target"], template.width))
    template.build(story, onFirstPage=footer, onLaterPages=footer)
    return buffer.getvalue()


def pdf_text(text: str, style: ParagraphStyle) -> Any:
    """A paragraph; the built-in fonts know Windows-1252 only, so anything else is refused."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError as error:
        raise SourceError(f"a PDF cannot show {text[error.start : error.end]!r}") from error
    return cast("Any", Paragraph)(escape(text), style)


def pdf_block(block: dict[str, Any], target: str, width: float) -> Iterator[Any]:
    kind, content = single(block, target)
    if kind == "heading":
        yield pdf_text(content, HEADINGS[int(block.get("level", 1)) - 1])
    elif kind == "paragraph":
        yield pdf_text(content, BODY)
    elif kind == "page_break":
        yield PageBreak()
    elif kind == "table":
        yield from pdf_table(content, width)
    else:
        items = [cast("Any", ListItem)(pdf_text(str(item), BODY)) for item in content]
        style = {"bulletType": "bullet", "start": "•"} if kind == "bullets" else {}
        yield cast("Any", ListFlowable)(items, leftIndent=14, bulletFontSize=9, **style)


def pdf_table(content: dict[str, Any], width: float) -> Iterator[Any]:
    header, rows = table_rows(content)
    if "caption" in content:
        yield pdf_text(content["caption"], CAPTION)
    longest = [
        max(6, *(min(40, len(row[i])) for row in [header, *rows])) for i in range(len(header))
    ]
    table = cast("Any", Table)(
        [
            [pdf_text(text, CELL_HEAD) for text in header],
            *([pdf_text(text, CELL) for text in row] for row in rows),
        ],
        colWidths=[width * share / sum(longest) for share in longest],
        repeatRows=1,
    )
    table.setStyle(
        cast("Any", TableStyle)(
            [
                ("GRID", (0, 0), (-1, -1), 0.6, colors.black),
                ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#DDE6ED")),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    yield table
    yield Spacer(1, 4 * mm)


# --- scans ------------------------------------------------------------------------------

SCAN_SIZE = (1654, 2339)  # A4 at 200 dots per inch
SCAN_MARGIN = 130
SCAN_SPACE = 0.32  # of the type size; the font's own space is too narrow to be recognised


def build_scan(source: Source) -> bytes:
    """A typed page as a scanner delivers it: a little grey, a little crooked, with specks."""
    target = str(source["target"])
    pages = cast("list[str]", source["pages"])
    images = [scan_page(text, zlib.crc32(f"{target}/{n}".encode())) for n, text in enumerate(pages)]
    buffer = io.BytesIO()
    if target.endswith(".png"):
        if len(images) != 1:
            raise SourceError(f"{target}: a PNG holds one page")
        images[0].save(buffer, "PNG", optimize=True, dpi=(200, 200))
        return buffer.getvalue()
    canvas = cast("Any", Canvas)(buffer, pagesize=A4, invariant=1, pageCompression=0)
    for image in images:
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG", quality=60, dpi=(200, 200))
        jpeg.seek(0)
        canvas.drawImage(cast("Any", ImageReader)(jpeg), 0, 0, width=A4[0], height=A4[1])
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def scan_page(text: str, seed: int) -> Image.Image:
    rng = random.Random(seed)
    page = Image.new("L", SCAN_SIZE, 246)
    draw = ImageDraw.Draw(page)
    top = SCAN_MARGIN
    for line in text.splitlines():
        size = 42 if line.startswith("# ") else 30
        font = ImageFont.load_default(size=size)
        width = 0.0
        for word in line.removeprefix("# ").split(" "):
            draw.text((SCAN_MARGIN + width, top), word, fill=38, font=font)
            width += draw.textlength(word, font=font) + size * SCAN_SPACE
        if width > SCAN_SIZE[0] - 2 * SCAN_MARGIN:
            raise SourceError(f"line too long for a scanned page: {line!r}")
        top += round(size * 1.38)
    if top > SCAN_SIZE[1] - SCAN_MARGIN:
        raise SourceError("too many lines for a scanned page")
    page = page.rotate(rng.uniform(0.35, 0.6), Image.Resampling.BICUBIC, fillcolor=246)
    page = page.filter(ImageFilter.GaussianBlur(0.5))
    pixels = cast("Any", page.load())
    for _ in range(1500):
        x, y = rng.randrange(SCAN_SIZE[0]), rng.randrange(SCAN_SIZE[1])
        pixels[x, y] = max(0, pixels[x, y] - rng.randrange(30, 90))
    return page.quantize(16).convert("L")


# --- archives ---------------------------------------------------------------------------


def normalised_archive(
    data: bytes, change: Callable[[str, bytes], bytes] = lambda _, data: data
) -> bytes:
    """The same archive with every member dated 1980, so that equal content is equal bytes."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            new.writestr(info, change(name, old.read(name)))
    return buffer.getvalue()


BUILDERS: dict[str, Callable[[Source], bytes]] = {
    "docx": build_docx,
    "pptx": build_pptx,
    "xlsx": build_xlsx,
    "pdf": build_pdf,
    "scan": build_scan,
}


# --- the command ------------------------------------------------------------------------


def build_corpus(corpus: Path, output: Path) -> list[Path]:
    """Write every binary document of the corpus below `output`; the paths relative to it."""
    written: list[Path] = []
    for path in sorted((corpus / "sources").rglob("*.yaml")):
        source = load_source(path)
        relative = path.parent.relative_to(corpus / "sources") / source["target"]
        if relative in written:
            raise SourceError(f"{path}: {relative} is written by another source too")
        try:
            data = BUILDERS[source["kind"]](source)
        except (SourceError, KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{path}: {error!r}") from error
        destination = output / relative
        destination.parent.mkdir(parents=True, exist_ok=True)
        if not destination.exists() or destination.read_bytes() != data:
            destination.write_bytes(data)
        written.append(relative)
    return written


def differences(corpus: Path) -> list[str]:
    """What --check finds: files that differ, are missing, or have no source."""
    documents = corpus / "documents"
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        written = build_corpus(corpus, fresh)
        found = [
            f"{path}: missing"
            if not (documents / path).is_file()
            else f"{path}: differs from its source"
            for path in written
            if not (documents / path).is_file() or not same(fresh / path, documents / path)
        ]
    orphans = {
        path.relative_to(documents)
        for path in documents.rglob("*")
        if path.suffix.lower() in BINARY_SUFFIXES
    } - set(written)
    return found + [f"{path}: has no source" for path in sorted(orphans)]


def same(first: Path, second: Path) -> bool:
    """Equal bytes; for an archive, equal members, so that another zlib is no difference."""
    if first.read_bytes() == second.read_bytes():
        return True
    if first.suffix not in ARCHIVE_SUFFIXES or not zipfile.is_zipfile(second):
        return False
    with zipfile.ZipFile(first) as a, zipfile.ZipFile(second) as b:
        return a.namelist() == b.namelist() and all(a.read(n) == b.read(n) for n in a.namelist())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the binary documents of the corpora.")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    options = parser.parse_args(arguments)
    corpora = sorted(path.parent for path in CORPORA.glob("*/sources"))
    problems: list[str] = []
    for corpus in corpora:
        try:
            if options.check:
                problems += [f"{corpus.name}: {line}" for line in differences(corpus)]
            else:
                count = len(build_corpus(corpus, corpus / "documents"))
                print(f"{corpus.name}: {count} binary documents")
        except SourceError as error:
            problems.append(str(error))
    for line in problems:
        print(line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
