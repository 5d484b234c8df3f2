"""What an operator decides about the documents of a source: `settings["validation"]`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, cast

from rag.errors import ConfigurationError

KEY = "validation"
"""Where a source's settings hold its policy."""


class Handling(StrEnum):
    """What is done where secrets or personal data are found. They are counted in any case."""

    ALLOW = "allow"
    MASK = "mask"
    """Placeholders stand in what is indexed and shown; the original is not handed out."""
    QUARANTINE = "quarantine"


class Objection(StrEnum):
    WARN = "warn"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The platform's defaults, with what a source says otherwise."""

    secrets: Handling = Handling.ALLOW
    personal_data: Handling = Handling.ALLOW
    instructions: Objection = Objection.WARN
    garbled: Objection = Objection.QUARANTINE
    columns_changed: Objection = Objection.WARN
    values_missing: Objection = Objection.QUARANTINE
    required_columns: tuple[str, ...] = ()
    min_characters: int = 0
    """Less text than this is quarantined."""
    max_bytes: int = 0
    """A larger file is quarantined; 0: the connector's own limit alone counts."""
    near_duplicates: bool = True
    """Whether documents are compared with the tenant's others."""

    @property
    def shaping(self) -> str:
        """Equal for two policies exactly when they leave the same text of the same document."""
        return f"secrets={self._mask(self.secrets)} pii={self._mask(self.personal_data)}"

    @staticmethod
    def _mask(handling: Handling) -> str:
        return "mask" if handling is Handling.MASK else "keep"


def without_policy(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a source that its connector knows of."""
    return {name: value for name, value in settings.items() if name != KEY}


def policy_of(settings: Mapping[str, Any], defaults: Policy) -> Policy:
    """`defaults` with what the settings of a source say under `validation`.

    Raises `ConfigurationError` naming the setting that is unknown or wrong.
    """
    chosen = settings.get(KEY)
    if chosen is None:
        return defaults
    if not isinstance(chosen, Mapping):
        raise ConfigurationError(f"{KEY} must be a mapping")
    given = cast("Mapping[str, object]", chosen)
    known = {each.name for each in fields(Policy)}
    if unknown := sorted(given.keys() - known):
        raise ConfigurationError(
            f"{KEY}: unknown setting {unknown[0]!r} (known: {', '.join(sorted(known))})"
        )
    try:
        return replace(defaults, **{name: _value(name, value) for name, value in given.items()})
    except ValueError as error:
        raise ConfigurationError(f"{KEY}.{error}") from None


def _value(name: str, value: object) -> object:
    match name:
        case "secrets" | "personal_data":
            return _choice(Handling, name, value)
        case "required_columns":
            return _names(name, value)
        case "min_characters" | "max_bytes":
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"{name} must be a whole number of 0 or more")
            return value
        case "near_duplicates":
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false")  # noqa: TRY004 - a setting
            return value
        case _:
            return _choice(Objection, name, value)


def _choice(kind: type[StrEnum], name: str, value: object) -> StrEnum:
    choices = [each.value for each in kind]
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}")
    return kind(str(value))


def _names(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list of names")  # noqa: TRY004 - a setting
    names = cast("Sequence[object]", value)
    if not all(isinstance(each, str) and each for each in names):
        raise ValueError(f"{name} must be a list of names")
    return tuple(str(each) for each in names)
