"""PDF: text and layout by PDFium, ruled tables by pdfplumber, scanned pages by tesseract."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pypdfium2 is not typed throughout

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import pypdfium2
import pypdfium2.raw as pdfium

from ingestion.parsers.archives import is_junk_title
from ingestion.parsers.dates import iso_date
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.ocr import Recognised, confidence_of, read_image
from ingestion.parsers.outline import Outline, titled
from ingestion.parsers.pdf_layout import Line, PageContent, add_pages
from ingestion.parsers.pdf_tables import PdfTables
from ingestion.parsers.text import add_text
from rag.errors import EncryptedFile, LimitExceeded, ParseError
from rag.types import MetadataValue

_OCR_DPI = 250
_LITTLE_TEXT = 20
"""A page with fewer characters than this, and a large image, is a scan."""
_MARGIN = 0.09
_PAGE_NUMBER = re.compile(r"(?:.*\b(?:page|seite|p\.)\s*)?\d{1,4}(?:\s*(?:/|of|von)\s*\d{1,4})?", re.IGNORECASE)  # fmt: skip
_PLACEHOLDER_DATES = frozenset({"2000-01-01", "1980-01-01", "1970-01-01"})
"""What generators write that were told to leave the time out."""
_LINE = re.compile("[^\n\x02\ufffe]*[\n\x02\ufffe]?")
"""PDFium writes a hyphen at a line's end as U+0002 or U+FFFE, and no line end after it."""
_HYPHENS = str.maketrans({"\x02": "-", "\ufffe": "-", "\u00a0": " ", "\0": None})


def parse_pdf(file: RawFile, limits: Limits) -> Extracted:
    try:
        document = pypdfium2.PdfDocument(file.path or file.body)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise EncryptedFile("the PDF is protected by a password") from error
        raise ParseError("it cannot be read as a PDF: damaged or cut short") from error
    with closing(document):
        if len(document) > limits.max_pages:
            raise LimitExceeded(f"{len(document)} pages are more than {limits.max_pages}")
        if not len(document):
            raise ParseError("the PDF has no pages")
        pages, scans = _read_pages(document)
        outline = Outline()
        with PdfTables(file, limits) as tables:
            add_pages(outline, _without_furniture(pages), tables)
            warnings = list(tables.warnings)
        recognised = _add_scans(outline, document, scans, limits)
        if scans:
            warnings.append(f"read by text recognition: {len(scans)} pages")
        confidence, unsure = confidence_of(recognised)
        warnings += unsure
        metadata, stated = _properties(document)
        metadata |= confidence
    sections = tuple(sorted(outline.finished(), key=lambda section: section.page or 0))
    title = stated
    if pages:  # what stands first on a scan is a letterhead, not a title
        title, sections = titled(sections, stated)
    return Extracted(title=title, sections=sections, metadata=metadata, warnings=tuple(warnings))


def _read_pages(document: Any) -> tuple[list[PageContent], list[int]]:
    """The lines of every page with text, and the numbers (from 1) of those that are scans."""
    pages: list[PageContent] = []
    scans: list[int] = []
    for index in range(len(document)):
        try:
            page = document[index]
        except pypdfium2.PdfiumError as error:
            raise ParseError(f"page {index + 1} cannot be read: damaged or cut short") from error
        with closing(page):
            width, height = page.get_size()
            with closing(page.get_textpage()) as text_page:
                lines = list(_lines_of(text_page, index + 1))
            paths, has_image = _objects_of(page)
            characters = sum(len(line.text.strip()) for line in lines)
            if characters < _LITTLE_TEXT and has_image:
                scans.append(index + 1)
            else:
                rotated = bool(page.get_rotation())
                pages.append(
                    PageContent(index + 1, width, height, tuple(lines), 0 if rotated else paths)
                )
    return pages, scans


def _lines_of(text_page: Any, number: int) -> Iterator[Line]:
    count = text_page.count_chars()
    text = cast("str", text_page.get_text_range())
    if len(text) != count:  # beyond the basic plane, positions and characters differ
        text = "".join(chr(pdfium.FPDFText_GetUnicode(text_page, i) or 32) for i in range(count))
    for piece in _LINE.finditer(text):
        start, raw = piece.start(), piece[0]
        shown = raw.rstrip("\r\n").translate(_HYPHENS)
        stripped = shown.strip()
        if stripped:
            first = start + len(shown) - len(shown.lstrip())
            last = start + len(shown.rstrip()) - 1
            left, bottom, _, top = text_page.get_charbox(first, loose=True)
            _, low, right, high = text_page.get_charbox(last, loose=True)
            yield Line(
                text=" ".join(stripped.split()),
                left=left,
                right=max(left, right),
                bottom=min(bottom, low),
                top=max(top, high),
                size=round(2 * _size_of(text_page, first, top - bottom)) / 2,
                is_bold=_is_bold(text_page, first) and _is_bold(text_page, last),
                page=number,
            )


def _size_of(text_page: Any, index: int, box_height: float) -> float:
    """The size in points as shown: the nominal one, unless a matrix scales it."""
    nominal = float(pdfium.FPDFText_GetFontSize(text_page, index))
    plausible = box_height > 0 and 0.4 < nominal / box_height < 2
    return nominal if plausible else box_height / 1.17


def _is_bold(text_page: Any, index: int) -> bool:
    name = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(text_page, index, name, 128, flags)
    return b"bold" in name.value.lower() or pdfium.FPDFText_GetFontWeight(text_page, index) >= 600


def _objects_of(page: Any) -> tuple[int, bool]:
    """How many lines are drawn on the page, and whether an image covers a good part of it."""
    paths, has_image = 0, False
    width, height = page.get_size()
    for count, one in enumerate(page.get_objects(max_depth=3)):
        if one.type == pdfium.FPDF_PAGEOBJ_PATH:
            paths += max(1, pdfium.FPDFPath_CountSegments(one) // 4)
        elif one.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = one.get_bounds()
            has_image |= (right - left) * (top - bottom) > 0.05 * width * height
        if count > 20_000:
            break
    return paths, has_image


def _without_furniture(pages: Sequence[PageContent]) -> list[PageContent]:
    """The pages without running headers, footers and page numbers."""

    def key(line: Line) -> str:
        return re.sub(r"\d+", "#", line.text)

    def is_marginal(line: Line, page: PageContent) -> bool:
        return line.top > page.height * (1 - _MARGIN) or line.bottom < page.height * _MARGIN

    seen = Counter(
        text
        for page in pages
        for text in {key(line) for line in page.lines if is_marginal(line, page)}
    )
    often = max(2, (len(pages) + 1) // 2)

    def is_furniture(line: Line, page: PageContent) -> bool:
        return is_marginal(line, page) and (
            seen[key(line)] >= often or _PAGE_NUMBER.fullmatch(line.text) is not None
        )

    return [
        replace(page, lines=tuple(line for line in page.lines if not is_furniture(line, page)))
        for page in pages
    ]


def _add_scans(
    outline: Outline, document: Any, scans: Sequence[int], limits: Limits
) -> list[Recognised]:
    """Read the scanned pages and add their text."""
    pages: list[Recognised] = []
    if len(scans) > limits.max_ocr_pages:
        raise LimitExceeded(f"{len(scans)} scanned pages are more than {limits.max_ocr_pages}")
    for number in scans:
        with closing(document[number - 1]) as page:
            width, height = page.get_size()
            scale = _OCR_DPI / 72
            scale = min(scale, (limits.max_pixels / max(1.0, width * height)) ** 0.5)
            image = page.render(scale=scale, grayscale=True).to_pil()
        pages.append(read_image(image))
        add_text(outline, pages[-1].text, page=number)
    return pages


def _properties(document: Any) -> tuple[dict[str, MetadataValue], str]:
    found = cast("dict[str, str]", document.get_metadata_dict(skip_empty=True))
    metadata: dict[str, MetadataValue] = {"document_type": "document"}
    for key in ("ModDate", "CreationDate"):
        date = iso_date(found.get(key, ""))
        if date and date not in _PLACEHOLDER_DATES:
            metadata["date"] = date
            break
    if (author := found.get("Author", "").strip()) and author.lower() not in {
        "anonymous",
        "unknown",
    }:
        metadata["author"] = author
    title = " ".join(found.get("Title", "").split())
    return metadata, "" if is_junk_title(title) else title
