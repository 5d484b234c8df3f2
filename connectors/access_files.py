"""`.access.yaml`: who may read the files of a folder, read strictly so that no mistake opens one."""

import datetime as dt
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from connectors.access_readers import (
    MalformedAccessFile,
    Readers,
    mapping_of,
    principals_of,
    readers_of,
)
from rag.access import NOBODY, AccessList, readable_by
from rag.adapters.strict_yaml import parse_yaml
from rag.errors import ParseError
from rag.types import Metadata, MetadataValue, no_metadata

ACCESS_FILE = ".access.yaml"
MISNAMED_ACCESS_FILES = frozenset({".access.yml", ".access.YAML", ".Access.yaml"})
"""Names that someone meant as an access file; they close their folder rather than be overlooked."""

MAX_ACCESS_FILE_BYTES = 256 * 1024

_FOLDER_KEYS = frozenset({"readers", "deny", "metadata", "files"})
_FILE_KEYS = frozenset({"readers", "deny", "metadata"})
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may read one file, and what its source says about it."""

    access: AccessList
    metadata: Metadata = field(default_factory=no_metadata)

    @property
    def fingerprint(self) -> str:
        """Equal exactly when readers, denied and metadata are equal."""
        said: dict[str, object] = {
            "clauses": sorted(sorted(clause) for clause in self.access.clauses),
            "denied": sorted(self.access.denied),
            "metadata": sorted((key, repr(value)) for key, value in self.metadata.items()),
        }
        if self.access.expiries:
            said["until"] = sorted(
                (expiry.principal, expiry.at.isoformat()) for expiry in self.access.expiries
            )
        return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What an access file says of the files that one name or glob matches."""

    pattern: re.Pattern[str]
    is_exact: bool
    readers: Readers | None
    denied: frozenset[str]
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class AccessFile:
    """What one `.access.yaml` says. It holds for its folder and below, to the next one."""

    readers: Readers
    denied: frozenset[str]
    metadata: Metadata
    entries: tuple[FileEntry, ...]
    """Globs first, then exact names, each in the order of the file: the last to speak wins."""

    def grant_for(self, relative: str) -> Grant:
        """The grant of the file at `relative`, a `/`-separated path from the access file's folder.

        An entry's readers replace the folder's, its metadata is merged over the folder's, and
        what it denies is denied besides what the folder denies.
        """
        readers, denied, metadata = self.readers, self.denied, dict(self.metadata)
        for entry in self.entries:
            if entry.pattern.fullmatch(relative):
                readers = readers if entry.readers is None else entry.readers
                denied |= entry.denied
                metadata |= entry.metadata
        access = NOBODY
        if readers.ids:
            access = readable_by(readers.ids, denied=denied, until=readers.until)
        return Grant(access, MappingProxyType(metadata))


def read_access_file(content: bytes, *, folder: Path, root: Path) -> AccessFile:
    """The access file of `folder`. Raises `MalformedAccessFile` on anything it does not know."""
    if len(content) > MAX_ACCESS_FILE_BYTES:
        raise MalformedAccessFile(f"it is larger than {MAX_ACCESS_FILE_BYTES} bytes")
    try:
        parsed = parse_yaml(content)
    except ParseError as error:
        raise MalformedAccessFile(str(error)) from error
    if parsed is None:
        raise MalformedAccessFile("it is empty")

    def metadata_of(value: object, where: str) -> Metadata:
        return _metadata_of(value, where, folder=folder, root=root)

    body = mapping_of(parsed, "the file", _FOLDER_KEYS)
    files = mapping_of(body.get("files", {}), "files", None)
    entries = [_entry_of(pattern, value, metadata_of) for pattern, value in files.items()]
    return AccessFile(
        readers=readers_of(body.get("readers", []), "readers"),
        denied=principals_of(body.get("deny", []), "deny"),
        metadata=metadata_of(body.get("metadata", {}), "metadata"),
        entries=tuple(sorted(entries, key=lambda entry: entry.is_exact)),
    )


def metadata_value(value: object) -> MetadataValue:
    """`value` as metadata; dates become ISO strings. Raises `ValueError` for anything else."""
    if isinstance(value, dt.date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not a finite number")
    if isinstance(value, str | int | float | bool):
        return value
    raise ValueError("not text, a number, true, false or a date")


def check_field(value: object) -> str:
    """`value`, if it can name a metadata field. Raises `ValueError` otherwise."""
    if not isinstance(value, str) or not _FIELD.fullmatch(value):
        raise ValueError(f"{value!r} is not a name of letters, digits, '_', '-' or '.'")
    return value


def _entry_of(
    pattern: str, value: object, metadata_of: Callable[[object, str], Metadata]
) -> FileEntry:
    where = f"files, {pattern!r}"
    if not pattern or pattern.startswith("/") or ".." in pattern.split("/"):
        raise MalformedAccessFile(f"{where}: it must be a path or glob below the folder")
    entry = mapping_of(value, where, _FILE_KEYS)
    readers = entry.get("readers", _ABSENT)
    try:
        compiled = _glob(pattern)
    except re.error as error:
        raise MalformedAccessFile(f"{where}: it is not a glob") from error
    return FileEntry(
        pattern=compiled,
        is_exact=not any(sign in pattern for sign in "*?["),
        readers=None if readers is _ABSENT else readers_of(readers, f"{where}, readers"),
        denied=principals_of(entry.get("deny", []), f"{where}, deny"),
        metadata=metadata_of(entry.get("metadata", {}), f"{where}, metadata"),
    )


def _metadata_of(value: object, where: str, *, folder: Path, root: Path) -> Metadata:
    metadata: dict[str, MetadataValue] = {}
    for key, item in mapping_of(value, where, None).items():
        try:
            metadata[check_field(key)] = metadata_value(item)
        except ValueError as error:
            raise MalformedAccessFile(f"{where}, {key}: {error}") from error
    if "supersedes" in metadata:
        metadata["supersedes"] = _superseded_uri(metadata["supersedes"], folder=folder, root=root)
    return MappingProxyType(metadata)


def _superseded_uri(value: MetadataValue, *, folder: Path, root: Path) -> str:
    if not isinstance(value, str) or not value:
        raise MalformedAccessFile("supersedes must be a path relative to the folder")
    parts: list[str] = list(folder.relative_to(root).parts)
    for part in value.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part == ".." or (part == "" and value.startswith("/")):
            raise MalformedAccessFile("supersedes leaves the root")
        elif part not in {"", "."}:
            parts.append(part)
    return root.joinpath(*parts).as_uri()


def _glob(pattern: str) -> re.Pattern[str]:
    """`*` and `?` stay within one folder, `**/` crosses folders: no glob reaches further than it looks."""
    out: list[str] = []
    rest = pattern
    while rest:
        if rest.startswith("**/"):
            out, rest = [*out, "(?:[^/]+/)*"], rest[3:]
        elif rest.startswith("**"):
            out, rest = [*out, ".*"], rest[2:]
        elif rest[0] == "*":
            out, rest = [*out, "[^/]*"], rest[1:]
        elif rest[0] == "?":
            out, rest = [*out, "[^/]"], rest[1:]
        elif (bracket := re.match(r"\[(!?)([^\]/\[\\^]+)\]", rest)) is not None:
            negation = "^/" if bracket[1] else ""
            out, rest = [*out, f"[{negation}{bracket[2]}]"], rest[bracket.end() :]
        else:
            out, rest = [*out, re.escape(rest[0])], rest[1:]
    return re.compile("".join(out), re.DOTALL)


_ABSENT: object = object()
