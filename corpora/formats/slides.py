"""A pptx from its source."""

from typing import Any, cast

from pptx import Presentation
from pptx.util import Emu, Inches
from pptx.util import Pt as SlidePt

from .archives import saved, set_core_properties
from .sources import COMPANY, Source, cell_text, table_rows


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
