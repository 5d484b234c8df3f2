"""The kinds of connector there are, and how each is built from what an operator sets."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import cast
from urllib.parse import urlsplit

from connectors.access_files import check_field, metadata_value
from connectors.access_readers import check_principal
from connectors.file_names import is_hidden
from connectors.filesystem import DEFAULT_MAX_BYTES, FilesystemConnector
from connectors.git import GitConnector
from connectors.protocols import Connector
from rag.access import AccessList, readable_by
from rag.bodies import Spool, temporary_spool
from rag.errors import ConfigurationError
from rag.types import Metadata, SourceId

Settings = Mapping[str, object]


def build_connector(
    kind: str,
    settings: Settings,
    *,
    source: SourceId,
    scratch: Path | None = None,
    spool: Spool | None = None,
) -> Connector:
    """The connector of `kind`, or `ConfigurationError` saying which setting is wrong and how.

    `scratch` is a folder of this machine where connectors keep what they would else fetch again,
    `spool` the place of large files until they are taken in: by default among temporary files.
    """
    try:
        build, known = _KINDS[kind]
    except KeyError as error:
        raise ConfigurationError(
            f"unknown connector kind {kind!r} (known: {', '.join(known_kinds())})"
        ) from error
    if unknown := sorted(settings.keys() - known):
        raise ConfigurationError(
            f"{kind}: unknown setting {unknown[0]!r} (known: {', '.join(sorted(known))})"
        )
    try:
        return build(settings, source, _Places(scratch, spool or temporary_spool()))
    except ValueError as error:
        raise ConfigurationError(f"{kind}: {error}") from error


def known_kinds() -> tuple[str, ...]:
    return tuple(sorted(_KINDS))


@dataclass(frozen=True, slots=True)
class _Places:
    scratch: Path | None
    spool: Spool


def _filesystem(settings: Settings, source: SourceId, places: _Places) -> Connector:
    return FilesystemConnector(
        _root(settings),
        source=source,
        default_access=_access(settings),
        default_metadata=_metadata(settings.get("metadata", {})),
        max_bytes=_max_bytes(settings),
        spool=places.spool,
    )


def _git(settings: Settings, source: SourceId, places: _Places) -> Connector:
    if ("root" in settings) == ("url" in settings):
        raise ValueError("either root, a path of this machine, or url must be given")
    url = _url(settings["url"]) if "url" in settings else None
    if url is None:
        repository = Path(os.path.realpath(_root(settings)))
    elif places.scratch is None:
        raise ValueError("there is no folder here to keep a copy of the repository in")
    else:
        repository = places.scratch / "git" / sha256(source.encode()).hexdigest()[:32]
    return GitConnector(
        source=source,
        repository=repository,
        url=url,
        branch=_branch(settings.get("branch")),
        folder=_folder(settings.get("folder", "")),
        default_access=_access(settings),
        default_metadata=_metadata(settings.get("metadata", {})),
        max_bytes=_max_bytes(settings),
        spool=places.spool,
    )


def _root(settings: Settings) -> Path:
    root = settings.get("root")
    if not isinstance(root, str) or not root:
        raise ValueError("root must be the path of a folder")
    if not Path(root).is_absolute():
        raise ValueError("root must be an absolute path")
    return Path(root)


def _max_bytes(settings: Settings) -> int:
    max_bytes = settings.get("max_bytes", DEFAULT_MAX_BYTES)
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes < 1:
        raise ValueError("max_bytes must be a positive whole number")
    return max_bytes


def _access(settings: Settings) -> AccessList:
    return readable_by(
        _principals(settings.get("readers", []), "readers"),
        denied=_principals(settings.get("deny", []), "deny"),
    )


def _url(value: object) -> str:
    """Only what git fetches over the network, and with no secret in it."""
    if not isinstance(value, str) or not value.isprintable() or any(map(str.isspace, value)):
        raise ValueError("url must be the address of a repository")
    split = urlsplit(value)
    if split.scheme not in {"https", "ssh"} or not split.hostname or not split.path.strip("/"):
        raise ValueError("url must be https://host/path or ssh://user@host/path")
    if split.password or (split.scheme == "https" and split.username):
        raise ValueError("url must hold no name and no password")
    if split.query or split.fragment or split.hostname.startswith("-"):
        raise ValueError("url must be the address of a repository")
    return value


def _branch(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _BRANCH.fullmatch(value) or ".." in value:
        raise ValueError("branch must be the name of a branch")
    return value


def _folder(value: object) -> str:
    """`docs/handbook`, with no way out of the repository."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("folder must be a path inside the repository")
    parts = PurePosixPath(value).parts
    if value.startswith("/") or ".." in parts or any(map(is_hidden, parts)):
        raise ValueError("folder must be a path inside the repository, and not hidden")
    return "/".join(parts)


def _principals(value: object, name: str) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list")  # noqa: TRY004 - a setting, not a type error
    try:
        return [check_principal(item) for item in cast("Sequence[object]", value)]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _metadata(value: object) -> Metadata:
    if not isinstance(value, Mapping):
        raise ValueError("metadata must be a mapping")  # noqa: TRY004 - a setting, not a type error
    mapping = cast("Mapping[object, object]", value)
    try:
        return MappingProxyType(
            {check_field(key): metadata_value(item) for key, item in mapping.items()}
        )
    except ValueError as error:
        raise ValueError(f"metadata: {error}") from error


_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")
_Build = Callable[[Settings, SourceId, _Places], Connector]
_GOVERNED = frozenset({"readers", "deny", "metadata", "max_bytes"})

_KINDS: Mapping[str, tuple[_Build, frozenset[str]]] = MappingProxyType(
    {
        "filesystem": (
            _filesystem,
            frozenset({"root", *_GOVERNED}),
        ),
        "git": (_git, frozenset({"root", "url", "branch", "folder", *_GOVERNED})),
    }
)
