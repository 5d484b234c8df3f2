"""Small files of every format, made on the spot by the libraries that make them elsewhere."""

import datetime as dt
import io
import zipfile
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import docx
import openpyxl
import pptx
from PIL import Image, ImageDraw, ImageFont
from pptx.util import Inches
from reportlab.lib import colors
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Table, TableStyle

from ingestion.parsers.formats import extract
from ingestion.parsers.model import Extracted, Limits, RawFile
from rag.types import Section
from rag.types import Table as RealTable

SHARED = Path(__file__).parents[4] / "shared" / "data" / "parsing" / "unstructured"
"""Real files; tests that use them skip where they are absent."""

SENTENCE = (
    "The pump may run dry for no more than ten seconds before the seal is damaged beyond repair."
)


def read(name: str, body: bytes | str, *, limits: Limits | None = None) -> Extracted:
    content = body.encode() if isinstance(body, str) else body
    return extract(RawFile(name=name, media_type="", body=content), limits or Limits())


def texts(extracted: Extracted) -> list[str]:
    return [section.text for section in extracted.sections]


def tables(extracted: Extracted) -> list[RealTable]:
    return [one.block for one in extracted.sections if isinstance(one.block, RealTable)]


def under(extracted: Extracted, *path: str) -> list[Section]:
    return [section for section in extracted.sections if section.heading_path == path]


def docx_file(fill: Callable[[Any], None], *, title: str = "", modified: str = "") -> bytes:
    document = cast("Any", docx.Document())
    document.core_properties.title = title
    if modified:
        document.core_properties.modified = dt.datetime.fromisoformat(modified)
    fill(document)
    return _saved(document)


def pptx_file(fill: Callable[[Any], None]) -> bytes:
    deck = cast("Any", pptx.Presentation())
    fill(deck)
    return _saved(deck)


def slide(deck: Any, title: str, *lines: str, notes: str = "") -> Any:
    added = deck.slides.add_slide(deck.slide_layouts[1])
    added.shapes.title.text = title
    added.placeholders[1].text = "\n".join(lines)
    if notes:
        added.notes_slide.notes_text_frame.text = notes
    return added


def slide_table(on: Any, rows: Sequence[Sequence[str]]) -> Any:
    box = (Inches(1), Inches(3), Inches(6), Inches(2))
    table = on.shapes.add_table(len(rows), len(rows[0]), *box).table
    for top, row in enumerate(rows):
        for left, cell in enumerate(row):
            table.cell(top, left).text = cell
    return table


def xlsx_file(fill: Callable[[Any], None]) -> bytes:
    workbook = cast("Any", openpyxl.Workbook())
    fill(workbook)
    return _saved(workbook)


def pdf_file(
    *flow: Flowable | str | list[list[str]], title: str = "Seals", **options: Any
) -> bytes:
    """A PDF: `# ` starts a heading, a list of lists is a ruled table, `\\f` a new page."""
    styles = getSampleStyleSheet()
    grid = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)])
    story: list[Flowable] = []
    for part in flow:
        if isinstance(part, list):
            story.append(Table(part, style=grid, repeatRows=1))
        elif not isinstance(part, str):
            story.append(part)
        elif part == "\f":
            story.append(PageBreak())
        elif part.startswith("# "):
            story.append(Paragraph(part[2:], styles["Heading1"]))
        elif part.startswith("## "):
            story.append(Paragraph(part[3:], styles["Heading2"]))
        else:
            story.append(Paragraph(part, styles["BodyText"]))
    stream = io.BytesIO()
    SimpleDocTemplate(stream, title=title, **options).build(story)
    return stream.getvalue()


def picture(*lines: str, format_name: str = "PNG") -> bytes:
    image = Image.new("L", (1400, 120 + 70 * len(lines)), 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=40)
    for number, line in enumerate(lines):
        draw.text((60, 60 + 70 * number), line, fill=0, font=font)
    stream = io.BytesIO()
    image.save(stream, format_name)
    return stream.getvalue()


def mail(body: str = "Hello", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ada Brook <ada@example.org>"
    message["To"] = "ben@example.org"
    message["Subject"] = "Seals for line 4"
    message["Date"] = "Wed, 25 Feb 2026 23:20:18 -0500"
    message["Message-ID"] = "<1@example.org>"
    for name, value in headers.items():
        del message[name]
        message[name] = value
    message.set_content(body)
    return message


def archive(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries.items():
            packed.writestr(name, content)
    return stream.getvalue()


def repacked(body: bytes, replace: dict[str, Callable[[bytes], bytes]]) -> bytes:
    """An office file with some of its entries changed."""
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        entries = {name: packed.read(name) for name in packed.namelist()}
    return archive({name: replace.get(name, bytes)(content) for name, content in entries.items()})


def _saved(document: Any) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()
