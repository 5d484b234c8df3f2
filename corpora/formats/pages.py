"""A PDF from its source."""

import io
from collections.abc import Iterator
from typing import Any, cast
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
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

from .sources import COMPANY, Source, SourceError, cell_text, single, table_rows, timestamp

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
