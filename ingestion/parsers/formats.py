"""Which parser reads what, and the checks that every file passes before and after."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType

from ingestion.parsers.archives import check_archive
from ingestion.parsers.containers import parse_archive
from ingestion.parsers.hidden import visible
from ingestion.parsers.language import language_of
from ingestion.parsers.legacy_office import parse_doc, parse_ppt
from ingestion.parsers.long_sheets import parse_long_workbook
from ingestion.parsers.long_tables import parse_long_csv, parse_long_records
from ingestion.parsers.mail import parse_mail
from ingestion.parsers.model import Extracted, Limits, RawFile, check_size
from ingestion.parsers.notebook import parse_notebook
from ingestion.parsers.ocr import parse_image
from ingestion.parsers.office import parse_docx, parse_pptx
from ingestion.parsers.outlook import parse_outlook
from ingestion.parsers.pdf import parse_pdf
from ingestion.parsers.readers import extension_of
from ingestion.parsers.sheets import parse_csv, parse_workbook
from ingestion.parsers.structured import parse_json, parse_records, parse_xml
from ingestion.parsers.text import parse_text
from ingestion.parsers.web import parse_html, parse_markdown, parse_with_pandoc
from rag.errors import EmptyText, EncryptedFile, UnsupportedMediaType
from rag.storage.records import storable
from rag.types import Block, Code, Prose, Section, Table

Parse = Callable[[RawFile, Limits], Extracted]


@dataclass(frozen=True, slots=True)
class Format:
    """A format that is read here: what it is called, what its bytes begin like, what reads it."""

    name: str
    container: str
    """`text`, `zip`, `ole`, `pdf`, `png`, `jpeg`, `tiff` or `rtf`: what `container_of` must say."""
    parse: Parse
    part: str = ""
    """For archives: an entry, or the beginning of one, that only this format has. For OLE files: a
    stream."""
    in_parts: Parse | None = None
    """What reads a file that is too long for one document."""
    opens: bool = False
    """Whether `parse` reads from where the file lies, and not all of it at once."""


_OOXML = "application/vnd.openxmlformats-officedocument."


def _pandoc(format_name: str) -> Parse:
    return partial(parse_with_pandoc, format_name=format_name)


_TEXT = Format("plain text", "text", parse_text)
_MARKDOWN = Format("Markdown", "text", parse_markdown)
_HTML = Format("HTML", "text", parse_html)
_CSV = Format("CSV", "text", parse_csv, in_parts=parse_long_csv)
_JSON = Format("JSON", "text", parse_json)
_RECORDS = Format("JSON lines", "text", parse_records, in_parts=parse_long_records)
_MAIL = Format("e-mail", "text", parse_mail)
_DOCX = Format("Word document", "zip", parse_docx, "word/")
_PPTX = Format("PowerPoint presentation", "zip", parse_pptx, "ppt/")
_XLSX = Format("Excel workbook", "zip", parse_workbook, "xl/", parse_long_workbook, opens=True)
_ODS = Format("OpenDocument spreadsheet", "zip", parse_workbook, "content.xml")
_XLS = Format("Excel 97 workbook", "ole", parse_workbook)
_DOC = Format("Word 97 document", "ole", parse_doc, "WordDocument")
_PPT = Format("PowerPoint 97 presentation", "ole", parse_ppt, "PowerPoint Document")
_MSG = Format("Outlook message", "ole", parse_outlook, "__properties_version1.0")
_PDF = Format("PDF", "pdf", parse_pdf, opens=True)

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".txt": _TEXT, ".text": _TEXT, ".log": _TEXT,
        ".md": _MARKDOWN, ".markdown": _MARKDOWN,
        ".html": _HTML, ".htm": _HTML, ".xhtml": _HTML,
        ".csv": _CSV, ".tsv": _CSV,
        ".json": _JSON, ".jsonl": _RECORDS, ".ndjson": _RECORDS,
        ".xml": Format("XML", "text", parse_xml),
        ".ipynb": Format("Jupyter notebook", "text", parse_notebook),
        ".eml": _MAIL, ".msg": _MSG,
        ".docx": _DOCX, ".docm": _DOCX, ".doc": _DOC,
        ".pptx": _PPTX, ".pptm": _PPTX, ".ppt": _PPT,
        ".xlsx": _XLSX, ".xlsm": _XLSX,
        ".ods": _ODS,
        ".xls": _XLS,
        ".pdf": _PDF,
        ".odt": Format("OpenDocument text", "zip", _pandoc("odt"), "content.xml"),
        ".epub": Format("EPUB", "zip", _pandoc("epub"), "META-INF/container.xml"),
        ".rtf": Format("RTF", "rtf", _pandoc("rtf")),
        ".rst": Format("reStructuredText", "text", _pandoc("rst")),
        ".org": Format("org", "text", _pandoc("org")),
        ".png": Format("PNG picture", "png", parse_image),
        ".jpg": Format("JPEG picture", "jpeg", parse_image),
        ".jpeg": Format("JPEG picture", "jpeg", parse_image),
        ".tif": Format("TIFF picture", "tiff", parse_image),
        ".tiff": Format("TIFF picture", "tiff", parse_image),
        ".zip": Format("zip archive", "zip", parse_archive, opens=True),
    }
)  # fmt: skip
"""By extension."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"{\\rtf", "rtf"),
    (b"GIF8", "gif"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf'\x1c", "7z"),
    (b"Rar!", "rar"),
    (b"\x7fELF", "executable"),
    (b"MZ\x90\x00", "executable"),
    (b"RIFF", "riff"),
    (b"ID3", "mp3"),
    (b"OggS", "ogg"),
)
_ENCRYPTED_OLE = "EncryptedPackage".encode("utf-16-le")


def extract(file: RawFile, limits: Limits) -> Extracted:
    """What `file` says. The rules that hold for every format stand here.

    Raises `UnsupportedMediaType`, or `ParseError` with its subclasses; a file that gives no text
    is one of them (`EmptyText`), never an empty document.
    """
    form = format_of(file)
    if not file.size:
        raise EmptyText("the file is empty")
    cells = _check_container(file, form, limits)
    if form.in_parts is not None and _is_long(file, form, limits, cells):
        found = form.in_parts(file, limits)
    else:
        found = form.parse(file if form.opens else file.in_memory(), limits)
    extracted = _seen(found)
    check_size(extracted.sections, limits)
    if not any(map(_has_text, extracted.sections)):
        raise EmptyText(f"no text was found in the {form.name}")
    metadata = dict(extracted.metadata)
    language = language_of(extracted.sections)
    if language is not None:
        metadata["language"] = language
    return replace(extracted, metadata=MappingProxyType(metadata))


def format_of(file: RawFile) -> Format:
    """By extension, then by media type. Raises `UnsupportedMediaType` naming both."""
    extension = extension_of(file.name, file.media_type)
    if extension is None:
        own = PurePosixPath(file.name).suffix.lower()
        media_type = file.media_type.partition(";")[0].strip().lower()
        shown = " ".join(filter(None, (own, f"({media_type})" if media_type else "")))
        raise UnsupportedMediaType(f"no parser reads {shown or 'a file without extension or type'}")
    return FORMATS[extension]


def _is_long(file: RawFile, form: Format, limits: Limits, cells: int) -> bool:
    """A table of text is long in bytes, and only where it lies on disk; a workbook in cells, unless
    it is short enough to stay in one piece where it cannot be taken apart."""
    if form.container == "text":
        return file.path is not None and file.size > limits.max_part_bytes
    whole = cells <= limits.max_cells and file.room.levels < 1
    return cells > limits.max_part_cells and not whole


def container_of(body: bytes) -> str:
    """What the bytes are, by how they begin; `text` where nothing says otherwise."""
    if b"%PDF-" in body[:1024]:
        return "pdf"
    for magic, name in _MAGIC:
        if body.startswith(magic):
            return name
    return "text"


def _check_container(file: RawFile, form: Format, limits: Limits) -> int:
    """How many cells there are in it, as far as an archive says that before it is opened."""
    with file.open() as stream:
        container = container_of(stream.read(1024))
    if container == "ole" and form.container == "zip":
        if _ENCRYPTED_OLE in file.in_memory().body:
            raise EncryptedFile(f"the {form.name} is protected by a password")
        raise UnsupportedMediaType(
            f"the name says {form.name}, the bytes are an Office 97 (OLE) file"
        )
    if container != form.container and not (form is _XLS and container == "zip"):
        raise UnsupportedMediaType(f"the name says {form.name}, the bytes are {container}")
    if container == "ole" and form.part.encode("utf-16-le") not in file.in_memory().body:
        raise UnsupportedMediaType(f"the name says {form.name}, the bytes are another OLE file")
    if container == "zip" and form.parse is not parse_archive:
        with file.open() as stream:
            archive = check_archive(stream, limits)
        part = _XLSX.part if form is _XLS else form.part
        if not any(name.startswith(part) for name in archive.names):
            raise UnsupportedMediaType(f"the name says {form.name}, the bytes are another archive")
        return archive.cells
    return 0


def _seen(extracted: Extracted) -> Extracted:
    """`extracted` without invisible characters, and with a warning where there were some."""
    stripped, smuggled = 0, False

    def seen(text: str) -> str:
        nonlocal stripped, smuggled
        result = visible(storable(text))
        stripped += result.stripped
        smuggled |= result.smuggled
        return result.text

    def seen_block(block: Block) -> Block:
        match block:
            case Prose():
                return Prose(seen(block.text))
            case Code():
                return Code(seen(block.text))
            case Table():
                rows = tuple(tuple(map(seen, row)) for row in block.rows)
                return Table(seen(block.caption), tuple(map(seen, block.header)), rows)

    sections = tuple(
        Section(tuple(map(seen, one.heading_path)), seen_block(one.block), one.page)
        for one in extracted.sections
    )
    title = seen(extracted.title)
    warnings = extracted.warnings
    if stripped:
        kind = "hidden characters, some made to deceive" if smuggled else "invisible characters"
        warnings = (*warnings, f"{kind} stripped: {stripped}")
    kept = tuple(section for section in sections if _has_text(section))
    return replace(extracted, title=title, sections=kept, warnings=warnings)


def _has_text(section: Section) -> bool:
    block = section.block
    if isinstance(block, Table):
        return any(cell for row in (block.header, *block.rows) for cell in row)
    return bool(block.text.strip())
