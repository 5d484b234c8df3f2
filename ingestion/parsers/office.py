"""Word documents and PowerPoint presentations, through unstructured."""

import io
from collections.abc import Iterator
from typing import Any, cast

from ingestion.parsers.archives import core_properties
from ingestion.parsers.elements import add_elements, add_table, prepare_unstructured
from ingestion.parsers.grids import Cell
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.outline import Outline, titled
from rag.errors import LimitExceeded, ParseError
from rag.types import MetadataValue

_FRONT_PARAGRAPHS = 40
"""A title stands among these; asking a paragraph for its style is slow."""
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def parse_docx(file: RawFile, limits: Limits) -> Extracted:
    """Headings by style, lists, tables with their spans. Hidden runs, headers and footers are left out."""
    del limits
    prepare_unstructured()
    import docx  # noqa: PLC0415 - slow to import, and only here
    from unstructured.partition.docx import partition_docx  # noqa: PLC0415 - after the preparation

    try:
        document = cast("Any", docx.Document(io.BytesIO(file.body)))
        title, subtitles = _titles(document)
        hidden = _remove_hidden_runs(document)
        body = file.body
        if hidden:
            stream = io.BytesIO()
            document.save(stream)
            body = stream.getvalue()
        elements = partition_docx(file=io.BytesIO(body), languages=[""], include_page_breaks=False)
    except RecursionError as error:
        raise LimitExceeded("the document is nested too deep") from error
    except Exception as error:  # the libraries raise whatever the damage happens to hit
        raise ParseError(
            f"it cannot be read as a Word document ({type(error).__name__})"
        ) from error
    outline = Outline()
    for element in elements:
        text = " ".join((element.text or "").split())
        if title and text == title and type(element).__name__ == "Title":
            continue
        if text in subtitles and type(element).__name__ == "Title":
            outline.prose(text)
        else:
            add_elements(outline, [element])
    properties = core_properties(file.open())
    stated = str(properties.pop("title", ""))
    found, sections = titled(outline.finished(), title)
    metadata = _typed(properties, "document")
    warnings = (f"hidden text stripped: {hidden} characters",) if hidden else ()
    return Extracted(title=found or stated, sections=sections, metadata=metadata, warnings=warnings)


def parse_pptx(file: RawFile, limits: Limits) -> Extracted:
    """One section a slide under the slide's title, its number as the page, speaker notes last."""
    prepare_unstructured()
    import pptx  # noqa: PLC0415 - slow to import, and only here
    from unstructured.partition.pptx import partition_pptx  # noqa: PLC0415 - after the preparation

    try:
        deck = cast("Any", pptx.Presentation(io.BytesIO(file.body)))
        _check_slides(len(deck.slides), limits)
        notes = {number: _notes_of(slide) for number, slide in enumerate(deck.slides, 1)}
        body = file.body
        if _fill_merged_cells(deck):
            stream = io.BytesIO()
            deck.save(stream)
            body = stream.getvalue()
        elements = partition_pptx(file=io.BytesIO(body), languages=[""], include_page_breaks=False)
    except LimitExceeded:
        raise
    except RecursionError as error:
        raise LimitExceeded("the shapes are nested too deep") from error
    except Exception as error:  # the libraries raise whatever the damage happens to hit
        raise ParseError(f"it cannot be read as a presentation ({type(error).__name__})") from error
    outline = Outline()
    for number in range(1, len(notes) + 1):
        on_slide = [one for one in elements if one.metadata.page_number == number]
        _add_slide(outline, on_slide, number, notes[number])
    properties = core_properties(file.open())
    title = str(properties.pop("title", ""))
    sections = outline.finished()
    if not title and sections:
        first = next((one for one in elements if _is_slide_title(one)), None)
        title = " ".join((first.text or "").split()) if first is not None else ""
    metadata = _typed(properties, "presentation")
    return Extracted(title=title, sections=sections, metadata=metadata)


def _add_slide(outline: Outline, elements: list[Any], number: int, notes: str) -> None:
    heads = [one for one in elements if _is_slide_title(one)]
    title = " ".join(" ".join(one.text.split()) for one in heads) or f"Slide {number}"
    outline.heading(title, 1, page=number)
    lines: list[str] = []

    def end_lines() -> None:
        outline.prose("\n".join(lines), page=number)
        lines.clear()

    for element in elements:
        if any(element is head for head in heads):
            continue
        if type(element).__name__ == "Table":
            end_lines()
            add_table(outline, element, page=number)
        elif text := " ".join((element.text or "").replace("\v", "\n").split()):
            lines.append(text)
    end_lines()
    if notes:
        outline.heading("Speaker notes", 2, page=number)
        outline.prose(notes, page=number)


def _check_slides(count: int, limits: Limits) -> None:
    if count > limits.max_pages:
        raise LimitExceeded(f"{count} slides are more than {limits.max_pages}")


def _is_slide_title(element: Any) -> bool:
    """Whether this is the slide's own title; unstructured also guesses titles among its text."""
    return type(element).__name__ == "Title" and not element.metadata.category_depth


def _typed(properties: dict[str, MetadataValue], document_type: str) -> dict[str, MetadataValue]:
    return {**properties, "document_type": document_type}


def _titles(document: Any) -> tuple[str, frozenset[str]]:
    """The text in the Title style at the top, and the subtitles, which are no headings."""
    title, subtitles = "", set[str]()
    for paragraph in document.paragraphs[:_FRONT_PARAGRAPHS]:
        text = " ".join(paragraph.text.split())
        style = str(paragraph.style.name) if paragraph.style is not None else ""
        if not title and text and style == "Title":
            title = text
        elif text and style == "Subtitle":
            subtitles.add(text)
    return title, frozenset(subtitles)


def _remove_hidden_runs(document: Any) -> int:
    """Take the text out that Word does not show (`vanish`); how many characters it had."""
    removed = 0
    for mark in list(document.element.body.iter(f"{_WORD}vanish")):
        if mark.get(f"{_WORD}val", "true") in {"0", "false", "off"}:
            continue
        run = mark.getparent().getparent()
        if run is None or run.tag != f"{_WORD}r":
            continue
        removed += sum(len(node.text or "") for node in run.iter(f"{_WORD}t"))
        run.getparent().remove(run)
    return removed


def _notes_of(slide: Any) -> str:
    if not slide.has_notes_slide or slide.notes_slide.notes_text_frame is None:
        return ""
    return str(slide.notes_slide.notes_text_frame.text).replace("\v", "\n").strip()


def _fill_merged_cells(deck: Any) -> bool:
    """Put a merged cell's text in each place it covers; whether there was any."""
    filled = False
    for table in _tables_of(deck):
        for top, row in enumerate(table.rows):
            for left, cell in enumerate(row.cells):
                if not cell.is_merge_origin:
                    continue
                span = Cell(cell.text, cell.span_height, cell.span_width)
                for line in range(top, min(top + span.rows, len(table.rows))):
                    for place in range(left, min(left + span.columns, len(table.columns))):
                        table.cell(line, place).text = span.text
                filled = True
    return filled


def _tables_of(deck: Any) -> Iterator[Any]:
    for slide in deck.slides:
        yield from (shape.table for shape in slide.shapes if shape.has_table)
