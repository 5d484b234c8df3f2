"""The lists of readers in an access file: principals, and until when some of them may read."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

_READER_KEYS = frozenset({"id", "until"})
_PRINCIPAL = re.compile(r"everyone|(?:user|group):[^\s\x00-\x1f\x7f]{1,200}")


class MalformedAccessFile(ValueError):  # noqa: N818 - the name is the finding, not an error class
    """An access file that cannot be taken at its word. Its text says what to mend."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read, and of some of them until when."""

    ids: frozenset[str] = frozenset()
    until: Mapping[str, dt.datetime] = field(
        default_factory=lambda: MappingProxyType(dict[str, dt.datetime]())
    )


def check_principal(value: object) -> str:
    """`value`, if it is a principal as access files write them. Raises `ValueError` otherwise."""
    if not isinstance(value, str) or not _PRINCIPAL.fullmatch(value):
        raise ValueError(f"{value!r} is not everyone, user:<id> or group:<id>")
    return value


def readers_of(value: object, where: str) -> Readers:
    if not isinstance(value, list):
        raise MalformedAccessFile(f"{where} is not a list")
    items = cast("Sequence[object]", value)
    lasting = principals_of([item for item in items if not isinstance(item, dict)], where)
    until: dict[str, dt.datetime] = {}
    for item in items:
        if isinstance(item, str):
            continue
        reader = mapping_of(item, where, _READER_KEYS)
        [one] = principals_of([reader.get("id")], where)
        if one in lasting or one in until:
            raise MalformedAccessFile(f"{where}: {one} stands twice")
        if "until" not in reader:
            raise MalformedAccessFile(f"{where}: {one} has no `until`; write the id alone")
        until[one] = _end_of(reader["until"], f"{where}, {one}")
    return Readers(lasting.union(until), MappingProxyType(until))


def _end_of(value: object, where: str) -> dt.datetime:
    """The moment a grant ends: as written, or the end of that day in UTC."""
    if isinstance(value, str):  # YAML makes moments of dates alone that are not in quotes
        try:
            value = (
                dt.datetime.fromisoformat(value) if "T" in value else dt.date.fromisoformat(value)
            )
        except ValueError as error:
            raise MalformedAccessFile(f"{where}: until is no date") from error
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise MalformedAccessFile(f"{where}: until has no time zone; add one, such as Z")
        return value.astimezone(dt.UTC)
    if isinstance(value, dt.date) and value < dt.date.max:
        return dt.datetime.combine(value + dt.timedelta(days=1), dt.time(), dt.UTC)
    raise MalformedAccessFile(f"{where}: until is no date such as 2026-12-31")


def principals_of(value: object, where: str) -> frozenset[str]:
    if not isinstance(value, list):
        raise MalformedAccessFile(f"{where} is not a list")
    try:
        return frozenset(check_principal(item) for item in cast("Sequence[object]", value))
    except ValueError as error:
        raise MalformedAccessFile(f"{where}: {error}") from error


def mapping_of(value: object, where: str, known: frozenset[str] | None) -> dict[str, object]:
    if not isinstance(value, dict):
        raise MalformedAccessFile(f"{where} is not a mapping")
    mapping = cast("dict[object, object]", value)
    checked: dict[str, object] = {}
    for key, item in mapping.items():
        if not isinstance(key, str):
            raise MalformedAccessFile(f"{where}: the key {key!r} is not text")
        if known is not None and key not in known:
            raise MalformedAccessFile(
                f"{where}: unknown key {key!r} (known: {', '.join(sorted(known))})"
            )
        checked[key] = item
    return checked
