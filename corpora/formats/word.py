"""A docx from its source."""

from typing import Any, cast

from docx import Document
from docx.shared import Pt

from .archives import saved, set_core_properties
from .sources import COMPANY, Source, cell_text, single, table_rows


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
