"""Reading the text source of a binary document."""

import datetime as dt
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

import yaml

COMPANY = "Aldermoor Pumps"
DEFAULT_DATE = dt.date(2026, 1, 5)


Source = dict[str, Any]


class SourceError(Exception):
    """A source file that cannot be built; the message names it."""


def load_source(path: Path, *, kinds: Collection[str]) -> Source:
    """The parsed source, with the keys every kind needs checked."""
    parsed: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(parsed, dict):
        raise SourceError(f"{path}: not a mapping")
    source = cast("Source", parsed)
    for key in ("target", "kind", "title"):
        if not isinstance(source.get(key), str):
            raise SourceError(f"{path}: '{key}' is missing or not text")
    if source["kind"] not in kinds:
        raise SourceError(f"{path}: unknown kind {source['kind']!r}")
    source["_folder"] = path.parent
    return source


def timestamp(source: Source) -> dt.datetime:
    """The document's own date at nine in the morning."""
    date = cast("object", source.get("date", DEFAULT_DATE))
    if not isinstance(date, dt.date):
        raise SourceError(f"{source['target']}: 'date' must be written YYYY-MM-DD")
    return dt.datetime(date.year, date.month, date.day, 9, tzinfo=dt.UTC).replace(tzinfo=None)


def cell_text(value: object) -> str:
    """A table cell as it is printed."""
    return "" if value is None else str(value)


def single(block: dict[str, Any], path: str) -> tuple[str, Any]:
    """The kind of a block and its content: the first key that names a block."""
    for key in ("heading", "paragraph", "bullets", "numbered", "table", "page_break"):
        if key in block:
            return key, block[key]
    raise SourceError(f"{path}: unknown block {sorted(block)}")


def table_rows(table: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    header = [cell_text(value) for value in cast("list[object]", table["header"])]
    rows = [[cell_text(v) for v in row] for row in cast("list[list[object]]", table["rows"])]
    for row in rows:
        if len(row) != len(header):
            raise SourceError(f"row of {len(row)} cells under {len(header)} headings: {row}")
    return header, rows
