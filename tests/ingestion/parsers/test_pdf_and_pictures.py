"""PDF and pictures: pages, headings, ruled tables once, text recognised where there is none."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pypdfium2 is not typed throughout

import io
import shutil

import pypdfium2
import pytest
from PIL import Image, ImageFilter
from reportlab.lib.units import inch
from reportlab.pdfgen.canvas import Canvas

from ingestion.parsers.model import Limits
from ingestion.parsers.ocr import LEAST_CONFIDENCE
from rag.errors import EmptyText, EncryptedFile, LimitExceeded, ParseError
from rag.types import Prose, Table
from tests.ingestion.parsers.files import (
    SENTENCE,
    SHARED,
    pdf_file,
    picture,
    read,
    tables,
    texts,
    under,
)

needs_tesseract = pytest.mark.skipif(not shutil.which("tesseract"), reason="tesseract is not here")
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared files are not here")
GRID = [["Part", "Bar", "Speed"], ["SEAL-4471-A", "16", "2900"], ["SEAL-4402-B", "25", ""]]


def test_headings_paragraphs_pages_and_tables_are_told_apart() -> None:
    found = read(
        "a.pdf",
        pdf_file(
            "# Limits",
            SENTENCE * 3,
            "Table 1. Seals",
            GRID,
            "\f",
            "## Dry running",
            SENTENCE,
            title="Guide",
        ),
    )
    assert found.title == "Guide"
    assert found.metadata["document_type"] == "document"
    assert [(one.page, one.heading_path, one.block) for one in found.sections] == [
        (1, ("Limits",), Prose(SENTENCE * 3)),
        (
            1,
            ("Limits",),
            Table(
                "Table 1. Seals",
                ("Part", "Bar", "Speed"),
                (("SEAL-4471-A", "16", "2900"), ("SEAL-4402-B", "25", "")),
            ),
        ),
        (2, ("Limits", "Dry running"), Prose(SENTENCE)),
    ]


def test_the_text_of_a_table_is_not_repeated_as_prose() -> None:
    found = read("a.pdf", pdf_file(SENTENCE, GRID))
    assert sum("SEAL-4471-A" in text for text in texts(found)) == 1


def test_a_frame_around_text_is_no_table() -> None:
    found = read(
        "a.pdf", pdf_file(SENTENCE, [["One cell that is only framed"]], [["a", ""], ["", ""]])
    )
    assert tables(found) == []
    assert "One cell that is only framed" in " ".join(texts(found))


def numbered_pages(count: int) -> bytes:
    stream = io.BytesIO()
    canvas = Canvas(stream)
    for number in range(1, count + 1):
        canvas.drawString(inch, 11.2 * inch, "Aldermoor Pumps, confidential")
        canvas.drawString(inch, 9 * inch, f"What page number {number} alone says.")
        canvas.drawString(inch, 0.5 * inch, f"Page {number} of {count}")
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def test_running_headers_and_page_numbers_are_left_out() -> None:
    found = read("a.pdf", numbered_pages(4))
    assert [(one.page, one.text) for one in found.sections] == [
        (number, f"What page number {number} alone says.") for number in range(1, 5)
    ]


def test_a_document_of_too_many_pages_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="4 pages are more than 3"):
        read("a.pdf", numbered_pages(4), limits=Limits(max_pages=3))


def test_an_encrypted_pdf_says_so() -> None:
    body = pdf_file(SENTENCE, encrypt="secret")
    with pytest.raises(EncryptedFile, match="password"):
        read("a.pdf", body)


def test_a_truncated_pdf_is_refused() -> None:
    with pytest.raises(ParseError):
        read("a.pdf", b"%PDF-1.4\n1 0 obj << /Type /Cat")


def test_a_pdf_with_empty_pages_gives_no_text() -> None:
    document = pypdfium2.PdfDocument.new()
    document.new_page(200, 200).close()
    stream = io.BytesIO()
    document.save(stream)
    document.close()
    with pytest.raises(EmptyText):
        read("a.pdf", stream.getvalue())


def scanned_pdf(*lines: str) -> bytes:
    stream = io.BytesIO()
    Image.open(io.BytesIO(picture(*lines))).convert("L").save(stream, "PDF", resolution=150)
    return stream.getvalue()


LINES = (
    "DELIVERY NOTE 50917",
    "",
    "Twelve castings arrived on Thursday",
    "and three were sent back to Kassel.",
)


@needs_tesseract
def test_a_scanned_page_is_read_by_text_recognition() -> None:
    found = read("a.pdf", scanned_pdf(*LINES))
    assert "Twelve castings arrived" in " ".join(texts(found))
    assert found.sections[0].page == 1
    assert found.warnings == ("read by text recognition: 1 pages",)
    assert 0.6 < float(found.metadata["ocr_confidence"]) <= 1


@needs_tesseract
def test_a_picture_that_is_hard_to_read_says_how_sure_its_words_are() -> None:
    clear = read("a.png", picture(*LINES))
    image = Image.open(io.BytesIO(picture(*LINES)))
    noise = Image.effect_noise(image.size, 160)
    stream = io.BytesIO()
    Image.blend(image.filter(ImageFilter.GaussianBlur(3)), noise, 0.45).save(stream, "PNG")
    try:
        hard = read("a.png", stream.getvalue())
    except EmptyText:
        return
    assert float(hard.metadata["ocr_confidence"]) < float(clear.metadata["ocr_confidence"])
    unsure = float(hard.metadata["ocr_confidence"]) < LEAST_CONFIDENCE
    assert unsure == any("unsure" in warning for warning in hard.warnings)


@needs_tesseract
@pytest.mark.parametrize(
    ("name", "format_name"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.tiff", "TIFF")]
)
def test_a_picture_of_text_is_read(name: str, format_name: str) -> None:
    found = read(name, picture(*LINES, format_name=format_name))
    assert found.title == ""
    assert {one.heading_path for one in found.sections} == {("DELIVERY NOTE 50917",)}
    assert found.metadata["document_type"] == "image"
    assert "three were sent back" in " ".join(texts(found))


@needs_tesseract
def test_a_picture_without_text_is_an_error() -> None:
    with pytest.raises(EmptyText):
        read("a.png", picture())


def test_a_picture_that_is_cut_short_or_too_large_is_refused() -> None:
    with pytest.raises(ParseError):
        read("a.png", picture(*LINES)[:60])
    with pytest.raises(LimitExceeded):
        read("a.png", picture(*LINES), limits=Limits(max_pixels=1000))


@needs_shared
def test_a_paper_in_two_columns_reads_column_by_column() -> None:
    found = read("a.pdf", (SHARED / "pdf" / "multi-column-2p.pdf").read_bytes())
    assert found.title == "Dense Passage Retrieval for Open-Domain Question Answering"
    abstract = under(found, "Abstract")[0].text
    assert abstract.startswith(
        "Open-domain question answering relies on efficient passage retrieval to select candidate contexts, where traditional"
    )
    assert any(one.heading_path[-1:] == ("3.1 Overview",) for one in found.sections)


@needs_shared
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pdf/all-number-table.pdf", "1600.01"),
        ("pdf/copy-protected.pdf", "LayoutParser"),
        ("pdf/korean-text-with-tables.pdf", "무이자할부"),
        ("pdf/invalid-pdf-structure-pdfminer-one-page.pdf", "GAO"),
        ("pdf/pdf-bad-color-space.pdf", "the"),
        ("rotated-page-90.pdf", "e"),
    ],
)
def test_real_pdfs_are_read(name: str, words: str) -> None:
    found = read("a.pdf", (SHARED / name).read_bytes())
    assert words in " ".join([found.title, *texts(found)])
