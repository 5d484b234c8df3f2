"""Files that hold files: zip archives, and how members are named."""

import stat
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from connectors.file_names import is_hidden, media_type_of
from ingestion.parsers.archives import check_archive
from ingestion.parsers.model import Extracted, Limits, Member, RawFile
from ingestion.parsers.outline import Outline
from rag.errors import LimitExceeded, ParseError

_NAMES_SHOWN = 200
_UTF8_FLAG = 0x800
_MAX_PATH = 500


def parse_archive(file: RawFile, limits: Limits) -> Extracted:
    """The names in the archive as text, its files as members.

    Nothing is ever written under a name from the archive. Left out, with a warning, are links,
    names that point outside the archive, and what people do not see (`__MACOSX`, `.DS_Store`).
    """
    if file.room.levels < 1:
        raise LimitExceeded("it lies too deep inside other files to be opened")
    check_archive(file.open(), replace(limits, max_unpacked_bytes=file.room.bytes))
    archive = zipfile.ZipFile(file.open())
    taken, left_out = _sorted(archive, limits)
    if len(taken) > file.room.files:
        raise LimitExceeded(f"{len(taken)} files are more than {file.room.files}")
    paths = unique_paths(path for path, _ in taken)
    warnings = tuple(f"left out of the archive: {count} {what}" for what, count in left_out.items())
    if warnings and not taken:
        raise ParseError("; ".join(warnings))
    outline = Outline()
    for path in paths[:_NAMES_SHOWN]:
        outline.item(path)
    if len(paths) > _NAMES_SHOWN:
        outline.item(f"and {len(paths) - _NAMES_SHOWN} more")
    return Extracted(
        sections=outline.finished(),
        metadata={"document_type": "archive"},
        warnings=warnings,
        members=_members(archive, list(zip(paths, (entry for _, entry in taken), strict=True))),
    )


def _sorted(
    archive: zipfile.ZipFile, limits: Limits
) -> tuple[list[tuple[str, zipfile.ZipInfo]], Counter[str]]:
    """The entries to take, each with its path, and how many were left out for what they are."""
    taken: list[tuple[str, zipfile.ZipInfo]] = []
    left_out = Counter[str]()
    for entry in archive.infolist():
        path = _path_of(entry)
        if entry.is_dir():
            continue
        if _points_outside(path):
            left_out["files whose names point outside it"] += 1
        elif stat.S_ISLNK(entry.external_attr >> 16):
            left_out["links"] += 1
        elif entry.file_size > limits.max_member_bytes:
            left_out[f"files of more than {limits.max_member_bytes} bytes"] += 1
        elif not any(map(is_hidden, path.split("/"))) and not path.startswith("__MACOSX/"):
            taken.append((path, entry))
    return taken, left_out


def unique_paths(paths: Iterable[str]) -> list[str]:
    """`paths`, a number put behind each that came before: `a.txt`, `a (2).txt`."""
    found: list[str] = []
    seen: set[str] = set()
    for path in paths:
        folder, slash, name = path.rpartition("/")
        stem, dot, extension = name.rpartition(".")
        if not stem:
            stem, dot, extension = name, "", ""
        number, unique = 1, path
        while unique in seen:
            number += 1
            unique = f"{folder}{slash}{stem} ({number}){dot}{extension}"
        seen.add(unique)
        found.append(unique)
    return found


def _members(
    archive: zipfile.ZipFile, entries: list[tuple[str, zipfile.ZipInfo]]
) -> Iterator[Member]:
    with archive:
        for path, entry in entries:
            yield Member(path=path, media_type=media_type_of(path), body=archive.read(entry))


def _path_of(entry: zipfile.ZipInfo) -> str:
    """The name, read as UTF-8 where it is: many programs do not say so."""
    name = entry.filename
    if not entry.flag_bits & _UTF8_FLAG:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return "/".join(part for part in name.replace("\\", "/").split("/") if part != ".")[:_MAX_PATH]


def _points_outside(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/") or path[1:2] == ":"
