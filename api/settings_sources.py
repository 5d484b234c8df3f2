"""Where settings are read from, and the refusal of names that mean nothing."""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource

from rag.errors import ConfigurationError

PREFIX = "RAG_"
NOT_SETTINGS = ("RAG_TEST_", "RAG_CONFIG", "RAG_API_KEY", "RAG_API_URL")
"""`RAG_…` variables that others read: tests, this module, and clients of the API."""


def settings_of(
    model: type[BaseModel], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Every setting of `model`: where it stands, and what it is."""
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from settings_of(section, (*path, name))
        else:
            yield (*path, name), field


def variable_of(path: tuple[str, ...]) -> str:
    return PREFIX + "__".join(path).upper()


class StrictEnvironment(EnvSettingsSource):
    """The environment. An unknown `RAG_…` variable is a `ConfigurationError`."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        paths = [path for path, _ in settings_of(settings_cls)]
        known = {variable_of(path) for path in paths} | {
            variable_of(path[:1]) for path in paths if len(path) > 1
        }
        for name in sorted(os.environ):
            if name.upper().startswith(PREFIX) and not name.upper().startswith(NOT_SETTINGS):
                _refuse_unknown(name, name.upper(), known, "environment variable")


class StrictToml(InitSettingsSource):
    """rag.toml. An unknown key, or a file that is not TOML, is a `ConfigurationError`."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        named = os.environ.get("RAG_CONFIG")
        path = Path(named or "rag.toml")
        content: dict[str, Any] = {}
        if named or path.is_file():
            content = _read(path)
        known = {".".join(path) for path, _ in settings_of(settings_cls)}
        sections = {key.split(".")[0] for key in known if "." in key}
        for key in _keys(content, sections):
            _refuse_unknown(key, key, known, f"key in {path}:")
        super().__init__(settings_cls, content)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error


def _keys(content: Mapping[str, Any], sections: set[str]) -> Iterator[str]:
    for name, value in content.items():
        if name in sections and isinstance(value, dict):
            yield from (f"{name}.{key}" for key in cast("dict[str, Any]", value))
        elif name not in sections:
            yield name


def _refuse_unknown(shown: str, name: str, known: Iterable[str], what: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    raise ConfigurationError(f"unknown {what} {shown}; the nearest setting is {near[0]}")
