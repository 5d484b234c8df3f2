"""The kinds of connector there are, and how each is built from what an operator sets."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import cast

from connectors.access_files import check_field, check_principal, metadata_value
from connectors.filesystem import DEFAULT_MAX_BYTES, FilesystemConnector
from connectors.protocols import Connector
from rag.access import readable_by
from rag.errors import ConfigurationError
from rag.types import Metadata, SourceId

Settings = Mapping[str, object]


def build_connector(kind: str, settings: Settings, *, source: SourceId) -> Connector:
    """The connector of `kind`, or `ConfigurationError` saying which setting is wrong and how."""
    try:
        build, known = _KINDS[kind]
    except KeyError as error:
        raise ConfigurationError(
            f"unknown connector kind {kind!r} (known: {', '.join(sorted(_KINDS))})"
        ) from error
    if unknown := sorted(settings.keys() - known):
        raise ConfigurationError(
            f"{kind}: unknown setting {unknown[0]!r} (known: {', '.join(sorted(known))})"
        )
    try:
        return build(settings, source)
    except ValueError as error:
        raise ConfigurationError(f"{kind}: {error}") from error


def known_kinds() -> tuple[str, ...]:
    return tuple(sorted(_KINDS))


def _filesystem(settings: Settings, source: SourceId) -> Connector:
    root = settings.get("root")
    if not isinstance(root, str) or not root:
        raise ValueError("root must be the path of a folder")
    if not Path(root).is_absolute():
        raise ValueError("root must be an absolute path")
    max_bytes = settings.get("max_bytes", DEFAULT_MAX_BYTES)
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes < 1:
        raise ValueError("max_bytes must be a positive whole number")
    return FilesystemConnector(
        Path(root),
        source=source,
        default_access=readable_by(
            _principals(settings.get("readers", []), "readers"),
            denied=_principals(settings.get("deny", []), "deny"),
        ),
        default_metadata=_metadata(settings.get("metadata", {})),
        max_bytes=max_bytes,
    )


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


_KINDS: Mapping[str, tuple[Callable[[Settings, SourceId], Connector], frozenset[str]]] = (
    MappingProxyType(
        {
            "filesystem": (
                _filesystem,
                frozenset({"root", "readers", "deny", "metadata", "max_bytes"}),
            )
        }
    )
)
