"""What a file's name tells: its media type, a title to show, and whether it is a document at all."""

import mimetypes
import os
import re
from pathlib import PurePosixPath
from types import MappingProxyType

MEDIA_TYPES = MappingProxyType(
    {
        ".txt": "text/plain",
        ".text": "text/plain",
        ".log": "text/plain",
        ".md": "text/markdown",
        ".markdown": "text/markdown",
        ".html": "text/html",
        ".htm": "text/html",
        ".xhtml": "application/xhtml+xml",
        ".rst": "text/x-rst",
        ".org": "text/org",
        ".csv": "text/csv",
        ".tsv": "text/tab-separated-values",
        ".json": "application/json",
        ".jsonl": "application/x-ndjson",
        ".ndjson": "application/x-ndjson",
        ".xml": "application/xml",
        ".ipynb": "application/x-ipynb+json",
        ".eml": "message/rfc822",
        ".msg": "application/vnd.ms-outlook",
        ".zip": "application/zip",
        ".doc": "application/msword",
        ".ppt": "application/vnd.ms-powerpoint",
        ".rtf": "application/rtf",
        ".pdf": "application/pdf",
        ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".xls": "application/vnd.ms-excel",
        ".odt": "application/vnd.oasis.opendocument.text",
        ".epub": "application/epub+zip",
        ".png": "image/png",
        ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg",
        ".tif": "image/tiff",
        ".tiff": "image/tiff",
    }
)
"""What an extension means, the same on every machine; the rest is asked of `mimetypes`."""

_DROPPINGS = re.compile(
    r"~\$.*|.*~|#.*#|Thumbs\.db|desktop\.ini|.*\.(?:swp|swo|tmp|crdownload|part)"
)
"""What editors and operating systems leave behind. Names that start with a dot are hidden anyway."""


def media_type_of(name: str) -> str:
    """The media type that the file name claims; `application/octet-stream` where it claims none."""
    extension = PurePosixPath(name).suffix.lower()
    known = MEDIA_TYPES.get(extension) or mimetypes.guess_type(f"x{extension}")[0]
    return known or "application/octet-stream"


def readable_title(name: str) -> str:
    """`leave-policy-2026.md` as `Leave policy 2026`; the hyphen of a code (`QM-12`) stays."""
    stem = PurePosixPath(os.fsencode(name).decode("utf-8", "replace")).stem
    spaced = re.sub(r"(?<![A-Z0-9])-+|-+(?!\d)", " ", stem.replace("_", " ")).strip()
    return (spaced[:1].upper() + spaced[1:]) or stem


def is_hidden(name: str) -> bool:
    """Whether the file or folder is one that people do not see or did not make."""
    return name.startswith(".") or _DROPPINGS.fullmatch(name) is not None
