"""Zip containers (OOXML, OpenDocument, EPUB): looked through before any library opens them."""

import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO
from xml.etree.ElementTree import Element
from xml.etree.ElementTree import ParseError as XmlError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from ingestion.parsers.dates import iso_date
from ingestion.parsers.model import MEBIBYTE, Limits
from rag.errors import EncryptedFile, LimitExceeded, ParseError
from rag.types import MetadataValue

MAX_ENTRIES = 10_000
MAX_RATIO = 100
"""How many times larger an entry may become; text rarely passes 20."""
_RATIO_FREE_BYTES = 4 * MEBIBYTE
"""Below this, an entry may be as regular as it likes."""
_ENCRYPTED_FLAG = 0x1
_CELL = re.compile(rb'<c\s[^>]*?\br="([A-Z]{1,3})(\d{1,7})"')
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_JUNK_TITLE = re.compile(r"(?:PowerPoint Presentation|PowerPoint-Präsentation|Microsoft \w+ - .*|Document\d*|Untitled.*|\(?anonymous\)?|\(unspecified\)|Presentation\d*|Slide 1|.*\.(?:docx?|pptx?|xlsx?))", re.IGNORECASE)  # fmt: skip


_SPARSE = 20
"""A sheet that says less than one of so many of the cells it reaches over was made to hurt."""


@dataclass(frozen=True, slots=True)
class Archive:
    """What was seen on the way through an archive."""

    names: frozenset[str]
    cells: int
    """About how many cells the sheets of an Excel workbook say, together."""


def check_archive(file: BinaryIO, limits: Limits) -> Archive:
    """The archive, after every entry was inflated once, piece by piece, and counted.

    Raises `LimitExceeded` for what would burst, `EncryptedFile`, and `ParseError` for damage or a
    DOCTYPE in the XML of an office document, which only an attack has.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise LimitExceeded(f"{len(entries)} entries are more than {MAX_ENTRIES}")
            if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
                raise EncryptedFile("the archive is protected by a password")
            names = frozenset(entry.filename for entry in entries)
            is_office = "[Content_Types].xml" in names
            left, cells = limits.max_unpacked_bytes, 0
            for entry in entries:
                size, found = _check_entry(archive, entry, left, limits, is_office=is_office)
                left -= size
                cells += found
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
    ) as error:
        raise ParseError("the archive is damaged or cut short") from error
    return Archive(names, cells)


def _check_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int, limits: Limits, *, is_office: bool
) -> tuple[int, int]:
    """Its bytes, and the cells it says where it is a sheet."""
    size, rows, columns, cells, tail = 0, 0, 0, 0, b""
    is_sheet = entry.filename.startswith("xl/worksheets/")
    is_xml = entry.filename.endswith((".xml", ".rels"))
    with archive.open(entry) as stream:
        while piece := stream.read(MEBIBYTE):
            size += len(piece)
            if size > left:
                raise LimitExceeded(f"it unpacks to more than {limits.max_unpacked_bytes} bytes")
            if size > _RATIO_FREE_BYTES and size > MAX_RATIO * max(1, entry.compress_size):
                raise LimitExceeded(f"{entry.filename} unpacks to over {MAX_RATIO} times its size")
            window = tail + piece
            if is_office and is_xml and _DOCTYPE.search(window):
                raise ParseError(f"{entry.filename} declares a DOCTYPE")
            if is_sheet:
                for letters, number in _CELL.findall(window):
                    rows = max(rows, int(number))
                    columns = max(columns, _column(letters))
                    cells += 1
                if rows * columns > max(limits.max_cells, _SPARSE * cells):
                    raise LimitExceeded(
                        f"a sheet reaches over {rows} rows and {columns} columns,"
                        f" more than {limits.max_cells} cells"
                    )
            tail = window[-256:]
    return size, cells


def core_properties(file: BinaryIO) -> dict[str, MetadataValue]:
    """`title`, `author` and `date` (last modified) as an office document states them."""
    try:
        with zipfile.ZipFile(file) as archive:
            root: Element = ElementTree.fromstring(archive.read("docProps/core.xml"))
    except (KeyError, zipfile.BadZipFile, XmlError, DefusedXmlException, ValueError):
        return {}  # optional in every format that has it
    found = {node.tag.rpartition("}")[2]: (node.text or "").strip() for node in root}
    properties: dict[str, MetadataValue] = {}
    title = " ".join(found.get("title", "").split())
    if title and not is_junk_title(title):
        properties["title"] = title
    if author := found.get("creator", ""):
        properties["author"] = author
    if date := iso_date(found.get("modified", "")) or iso_date(found.get("created", "")):
        properties["date"] = date
    return properties


def is_junk_title(title: str) -> bool:
    """Whether `title` is what a program filled in rather than what a person called the document."""
    return _JUNK_TITLE.fullmatch(title) is not None


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
