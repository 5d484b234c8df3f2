"""Which reader a file is for, told by its name alone, and that reader's version.

It imports no parser, so that the process that only sends files to be parsed stays small.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import PurePosixPath
from types import MappingProxyType

COMMON_VERSION = 2
"""Raised when something that every reader shares changes what is read: all files are read anew."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads a family of formats."""

    name: str
    version: int
    """Raised whenever the same bytes would be read differently: files of this family, and no
    others, are read anew."""
    libraries: tuple[str, ...] = ()
    """Distributions whose versions count as well."""


_HTML = ("unstructured", "lxml")
_TEXT = Reader("text", 1)
_MARKDOWN = Reader("markdown", 1, (*_HTML, "markdown-it-py"))
_WEB = Reader("html", 1, _HTML)
_TABLE = Reader("table", 2)
_WORKBOOK = Reader("workbook", 2, ("python-calamine",))
_MAIL = Reader("mail", 2, _HTML)
_OUTLOOK = Reader("outlook", 1, (*_HTML, "python-oxmsg"))
_WORD = Reader("word", 1, (*_HTML, "python-docx"))
_SLIDES = Reader("slides", 1, (*_HTML, "python-pptx"))
_PDF = Reader("pdf", 2, ("pypdfium2", "pdfplumber"))
_PANDOC = Reader("pandoc", 1, (*_HTML, "pypandoc_binary"))
_PICTURE = Reader("picture", 2, ("pillow",))
_JSON = Reader("json", 1)
_XML = Reader("xml", 1)
_NOTEBOOK = Reader("notebook", 1, _MARKDOWN.libraries)
_ARCHIVE = Reader("archive", 1)

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        ".txt": _TEXT, ".text": _TEXT, ".log": _TEXT,
        ".md": _MARKDOWN, ".markdown": _MARKDOWN,
        ".html": _WEB, ".htm": _WEB, ".xhtml": _WEB,
        ".csv": _TABLE, ".tsv": _TABLE,
        ".json": _JSON, ".jsonl": _JSON, ".ndjson": _JSON, ".xml": _XML, ".ipynb": _NOTEBOOK,
        ".eml": _MAIL, ".msg": _OUTLOOK,
        ".docx": _WORD, ".docm": _WORD, ".doc": _WORD,
        ".pptx": _SLIDES, ".pptm": _SLIDES, ".ppt": _SLIDES,
        ".xlsx": _WORKBOOK, ".xlsm": _WORKBOOK, ".xls": _WORKBOOK, ".ods": _WORKBOOK,
        ".pdf": _PDF,
        ".odt": _PANDOC, ".epub": _PANDOC, ".rtf": _PANDOC, ".rst": _PANDOC, ".org": _PANDOC,
        ".png": _PICTURE, ".jpg": _PICTURE, ".jpeg": _PICTURE, ".tif": _PICTURE, ".tiff": _PICTURE,
        ".zip": _ARCHIVE,
    }
)  # fmt: skip
"""By extension."""

_OOXML = "application/vnd.openxmlformats-officedocument."
_BY_MEDIA_TYPE: Mapping[str, str] = MappingProxyType(
    {
        "text/plain": ".txt",
        "text/markdown": ".md",
        "text/x-markdown": ".md",
        "text/html": ".html",
        "application/xhtml+xml": ".html",
        "text/csv": ".csv",
        "application/csv": ".csv",
        "text/tab-separated-values": ".tsv",
        "application/json": ".json",
        "application/jsonl": ".jsonl",
        "application/x-ndjson": ".jsonl",
        "application/xml": ".xml",
        "text/xml": ".xml",
        "application/x-ipynb+json": ".ipynb",
        "message/rfc822": ".eml",
        "application/vnd.ms-outlook": ".msg",
        f"{_OOXML}wordprocessingml.document": ".docx",
        f"{_OOXML}presentationml.presentation": ".pptx",
        f"{_OOXML}spreadsheetml.sheet": ".xlsx",
        "application/msword": ".doc",
        "application/vnd.ms-powerpoint": ".ppt",
        "application/vnd.ms-excel": ".xls",
        "application/vnd.oasis.opendocument.text": ".odt",
        "application/vnd.oasis.opendocument.spreadsheet": ".ods",
        "application/epub+zip": ".epub",
        "application/rtf": ".rtf",
        "text/rtf": ".rtf",
        "text/x-rst": ".rst",
        "text/org": ".org",
        "application/pdf": ".pdf",
        "image/png": ".png",
        "image/jpeg": ".jpg",
        "image/tiff": ".tiff",
        "application/zip": ".zip",
        "application/x-zip-compressed": ".zip",
    }
)
_FOREIGN = re.compile(r"\.(?:docb|dot|exe|dll|gif|bmp|svgz?|mp[34]|wav|gz|tar|7z|rar)")


def extension_of(name: str, media_type: str) -> str | None:
    """The extension whose reader a file is for: its own, or that of its media type where its own
    is none of a format's (`v1.2`); None where nobody reads it."""
    own = PurePosixPath(name).suffix.lower()
    if own in READERS:
        return own
    kind = media_type.partition(";")[0].strip().lower()
    return None if _FOREIGN.fullmatch(own) else _BY_MEDIA_TYPE.get(kind)


def parser_name(name: str, media_type: str) -> str:
    """Name and version of what reads such a file."""
    extension = extension_of(name, media_type)
    return f"nobody-{COMMON_VERSION}" if extension is None else parser_name_of(READERS[extension])


@cache
def parser_name_of(reader: Reader) -> str:
    libraries = (f"{library}-{version(library)}" for library in reader.libraries)
    return " ".join((f"{reader.name}-{COMMON_VERSION}.{reader.version}", *libraries))
