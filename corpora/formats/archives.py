"""What docx, pptx and xlsx share: archives and properties in which nothing is today's."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

from .sources import COMPANY, Source, timestamp


def normalised_archive(
    data: bytes, change: Callable[[str, bytes], bytes] = lambda _, data: data
) -> bytes:
    """The same archive with every member dated 1980, so that equal content is equal bytes."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            new.writestr(info, change(name, old.read(name)))
    return buffer.getvalue()


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return normalised_archive(buffer.getvalue())


def set_core_properties(properties: Any, source: Source) -> None:
    """Title, author and dates of a docx or pptx, none of them today's."""
    properties.title = source["title"]
    properties.author = source.get("author", COMPANY)
    properties.last_modified_by = properties.author
    properties.comments = ""
    properties.revision = 1
    properties.created = properties.modified = timestamp(source)
