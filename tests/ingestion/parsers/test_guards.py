"""Files that are not what they say, or that would hurt: each is refused with the reason."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownLambdaType=false
# the libraries that make the files are not typed throughout

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msoffcrypto.format.ooxml as office_encryption
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.file_names import MEDIA_TYPES
from ingestion.parsers.formats import FORMATS, extract, format_of
from ingestion.parsers.grids import Cell, spread
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.wire import LENGTH, packed_reply, packed_request, read_reply, read_request
from rag.errors import (
    EmptyText,
    EncryptedFile,
    LimitExceeded,
    ParseError,
    PermanentError,
    UnsupportedMediaType,
)
from rag.types import Code, Prose, Section, Table
from tests.ingestion.parsers.files import (
    SENTENCE,
    archive,
    docx_file,
    pdf_file,
    picture,
    pptx_file,
    read,
    repacked,
    slide,
    xlsx_file,
)


def word() -> bytes:
    return docx_file(lambda document: document.add_paragraph(SENTENCE))


MAKERS: dict[str, Callable[[], bytes]] = {
    ".docx": word,
    ".pptx": lambda: pptx_file(lambda deck: slide(deck, "Title", SENTENCE)),
    ".xlsx": lambda: xlsx_file(
        lambda book: book.active.append(["Part", "Bar"]) or book.active.append(["S", 1])
    ),
    ".pdf": partial(pdf_file, SENTENCE),
    ".png": lambda: picture("One line of words"),
    ".txt": SENTENCE.encode,
}


@pytest.mark.parametrize("extension", [one for one in MAKERS if one != ".txt"])
@pytest.mark.parametrize("made", MAKERS)
def test_a_wrong_extension_is_refused_naming_both(extension: str, made: str) -> None:
    body = MAKERS[made]()
    if extension == made:
        assert read(f"a{extension}", body).sections
        return
    with pytest.raises(
        UnsupportedMediaType, match=f"the name says {FORMATS[extension].name}, the bytes are "
    ):
        read(f"a{extension}", body)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.exe", ""), ("a.svgz", "image/svg+xml"), ("a.gif", "application/pdf"), ("a", ""), ("", "audio/mpeg")],
)  # fmt: skip
def test_what_nobody_reads_is_named(name: str, media_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="no parser reads"):
        format_of(RawFile(name=name, media_type=media_type, body=b"x"))


def test_a_name_without_extension_is_read_by_its_media_type() -> None:
    file = RawFile(
        name="policy v1.2", media_type="text/markdown; charset=utf-8", body=b"# T\n\nText."
    )
    assert extract(file, Limits()).title == "T"


@pytest.mark.parametrize("extension", [".docx", ".pptx", ".xlsx"])
def test_an_encrypted_office_file_says_so(extension: str) -> None:
    plain = io.BytesIO(MAKERS[extension]())
    locked = io.BytesIO()
    office_encryption.OOXMLFile(plain).encrypt("secret", locked)
    with pytest.raises(EncryptedFile, match="password"):
        read(f"a{extension}", locked.getvalue())


def test_an_encrypted_archive_says_so() -> None:
    body = bytearray(word())
    with zipfile.ZipFile(io.BytesIO(bytes(body))) as packed:
        offset = packed.start_dir
    body[6] |= 1
    body[offset + 8] |= 1
    with pytest.raises(EncryptedFile):
        read("a.docx", bytes(body))


@pytest.mark.parametrize("extension", [".docx", ".pptx", ".xlsx"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_office_file_is_refused(extension: str, share: float) -> None:
    body = MAKERS[extension]()
    with pytest.raises(ParseError):
        read(f"a{extension}", body[: int(len(body) * share)])


def test_a_damaged_entry_is_refused() -> None:
    body = bytearray(word())
    middle = body.index(b"word/document.xml") + 60
    body[middle : middle + 40] = b"\0" * 40
    with pytest.raises(ParseError):
        read("a.docx", bytes(body))


def test_a_zip_bomb_is_refused_by_its_ratio() -> None:
    bomb = repacked(word(), {"word/document.xml": lambda xml: xml + b" " * (8 * 1024 * 1024)})
    assert len(bomb) < 100_000
    with pytest.raises(LimitExceeded, match="times its size"):
        read("a.docx", bomb)


def test_an_archive_that_lies_about_its_sizes_is_still_counted() -> None:
    body = bytearray(
        archive({"word/document.xml": b" " * (8 * 1024 * 1024), "[Content_Types].xml": b"x"})
    )
    central = body.index(b"PK\x01\x02")
    body[central + 24 : central + 28] = (100).to_bytes(4, "little")
    with pytest.raises(ParseError):
        read("a.docx", bytes(body))


def test_an_archive_of_too_many_entries_or_bytes_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="entries"):
        read("a.docx", archive({f"word/{number}": b"" for number in range(10_001)}))
    with pytest.raises(LimitExceeded, match="unpacks"):
        read("a.docx", word(), limits=Limits(max_unpacked_bytes=1000))


def test_a_doctype_in_an_office_document_is_refused() -> None:
    entity = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    body = repacked(word(), {"word/document.xml": lambda xml: entity + xml.split(b"?>", 1)[1]})
    with pytest.raises(ParseError, match="DOCTYPE"):
        read("a.docx", body)


def test_text_of_too_many_sections_or_characters_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="sections"):
        read("a.txt", f"{SENTENCE}\n\n" * 11, limits=Limits(max_sections=10))
    with pytest.raises(LimitExceeded, match="characters"):
        read("a.txt", SENTENCE, limits=Limits(max_characters=10))


def test_elements_nested_without_end_are_read_or_refused() -> None:
    for markup in (
        "<div>" * 5000 + SENTENCE,
        "<ul><li>" * 3000 + SENTENCE,
        "<b>" * 20_000 + SENTENCE,
    ):
        with suppress(LimitExceeded, EmptyText):
            read("a.html", markup)


@given(
    st.binary(max_size=400),
    st.sampled_from(sorted(set(FORMATS) - {".rtf", ".rst", ".org", ".odt", ".epub"})),
)
def test_no_bytes_raise_anything_but_our_own_errors(body: bytes, extension: str) -> None:
    try:
        found = read(f"a{extension}", body)
    except PermanentError:
        return
    assert any(section.text.strip() for section in found.sections)


@given(
    st.lists(
        st.lists(
            st.builds(Cell, st.text("ab", max_size=2), st.integers(0, 4), st.integers(0, 4)),
            max_size=4,
        ),
        max_size=5,
    )
)
def test_spans_always_give_a_full_rectangle(rows: list[list[Cell]]) -> None:
    grid = spread(rows, max_cells=1000)
    assert len(grid) == len(rows)
    assert len({len(row) for row in grid}) <= 1
    shown = {cell for row in grid for cell in row}
    assert {cell.text for row in rows for cell in row} <= shown


def test_a_span_across_the_universe_stays_small() -> None:
    grid = spread([[Cell("a", 10**9, 10**9)], [Cell("b")]], max_cells=1000)
    assert sum(map(len, grid)) <= 1000


WORDS = st.text(st.characters(exclude_categories=["Cs"]))
BLOCKS = st.one_of(
    st.builds(Prose, WORDS),
    st.builds(Code, WORDS),
    st.builds(
        lambda caption, rows: Table(caption, rows[0], tuple(rows[1:])),
        WORDS,
        st.lists(st.tuples(WORDS, WORDS), min_size=1),
    ),
)
SECTIONS = st.builds(Section, st.lists(WORDS).map(tuple), BLOCKS, st.none() | st.integers(0, 9999))
FOUND = st.builds(
    Extracted,
    sections=st.lists(SECTIONS).map(tuple),
    title=WORDS,
    metadata=st.dictionaries(WORDS, WORDS | st.integers() | st.booleans()),
    warnings=st.lists(WORDS).map(tuple),
)


@given(FOUND)
def test_what_the_child_found_arrives_unchanged(found: Extracted) -> None:
    packed = packed_reply(found)
    (length,) = LENGTH.unpack(packed[: LENGTH.size])
    assert length == len(packed) - LENGTH.size
    assert read_reply(packed[LENGTH.size :]) == found


@pytest.mark.parametrize(
    "kind", [ParseError, EncryptedFile, EmptyText, LimitExceeded, UnsupportedMediaType]
)
def test_what_the_child_raised_is_raised(kind: type[PermanentError]) -> None:
    with pytest.raises(kind, match="the reason") as caught:
        read_reply(packed_reply(kind("the reason"))[LENGTH.size :])
    assert type(caught.value) is kind


@given(
    st.binary()
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: str(v).encode())
)
def test_a_reply_of_another_shape_is_a_parse_error(reply: bytes) -> None:
    with pytest.raises(ParseError):
        read_reply(reply)


@given(WORDS, st.binary())
def test_a_request_arrives_unchanged(name: str, body: bytes) -> None:
    file = RawFile(name=name, media_type="text/plain", body=body)
    stream = io.BytesIO(b"".join(packed_request(file)))
    assert read_request(stream) == file
    assert read_request(stream) is None


def test_the_extensions_the_connector_knows_are_read_here() -> None:
    for extension, media_type in MEDIA_TYPES.items():
        by_name = format_of(RawFile(name=f"a{extension}", media_type="", body=b""))
        by_type = format_of(RawFile(name="a", media_type=media_type, body=b""))
        assert by_name.container == by_type.container, Path(extension)
