"""Tables from spreadsheets, CSV and JSON lines: what their columns are, whether they are still so."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from ingestion.protocols import ParsedDocument
from ingestion.validation.checking import Check, Finding
from ingestion.validation.policy import Objection
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import TextSubject
from rag.storage.verdicts.records import Result
from rag.types import Section, Table

_TABULAR = frozenset({"spreadsheet", "data"})
"""Values of `document_type` whose tables are the document, rather than an illustration of it."""
_TYPED_ROWS = 200
_MAX_COLUMNS = 500
_NUMBER = re.compile(r"[+-]?[\d.,'\u00a0 ]*\d(?:[eE][+-]?\d{1,3})?\s?[%€$£]?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_TRUTH = frozenset({"true", "false", "yes", "no", "ja", "nein", "wahr", "falsch"})
_NOTHING = frozenset({"", "null", "none", "nan", "n/a", "#n/a", "-", "nil"})
_SHOWN = 10


def columns_of(parsed: ParsedDocument) -> Mapping[str, str]:
    """Each column's name, its sheet's before it, and what stands in it: `number`, `date`, `truth`,
    `text`, or `empty`. Of documents that are no tables: nothing."""
    types: dict[str, str] = {}
    rows_seen: dict[tuple[str, ...], int] = {}
    for section, table in _tables(parsed):
        seen = rows_seen.get(section.heading_path, 0)
        rows = table.rows[: max(0, _TYPED_ROWS - seen)]
        rows_seen[section.heading_path] = seen + len(rows)
        for place, name in enumerate(table.header[:_MAX_COLUMNS]):
            key = " > ".join((*section.heading_path, name.strip() or f"column {place + 1}"))
            found = _type_of({_type(row[place]) for row in rows})
            types[key] = _type_of({types.get(key, "empty"), found})
    return MappingProxyType(types)


def _tables(parsed: ParsedDocument) -> Iterator[tuple[Section, Table]]:
    if parsed.metadata.get("document_type") not in _TABULAR:
        return
    for section in parsed.sections:
        if isinstance(section.block, Table):
            yield section, section.block


def _type(cell: str) -> str:
    value = cell.strip()
    if value.lower() in _NOTHING:
        return "empty"
    if _DATE.fullmatch(value):
        return "date"
    if _NUMBER.fullmatch(value):
        return "number"
    return "truth" if value.lower() in _TRUTH else "text"


def _type_of(types: set[str]) -> str:
    told = types - {"empty"}
    if not told:
        return "empty"
    return told.pop() if len(told) == 1 else "text"


def schema_drift(text: TextSubject) -> Finding | None:
    """Against the last version that was accepted. A column that was empty, or is, has no type to
    change."""
    before, now = text.columns_before, text.columns
    if not before or not now or before == now:
        return None
    changes = [f"appeared: {name}" for name in now if name not in before]
    changes += [f"vanished: {name}" for name in before if name not in now]
    changes += [
        f"{name}: {before[name]} → {now[name]}"
        for name in now
        if name in before and before[name] != now[name] and "empty" not in {before[name], now[name]}
    ]
    if not changes:
        return None
    quarantines = text.policy.columns_changed is Objection.QUARANTINE
    return Finding(
        reason=Reason.COLUMNS_CHANGED,
        detail=_some(changes),
        result=Result.QUARANTINED if quarantines else Result.WARNED,
        counts={"columns_changed": len(changes)},
    )


def required_values(text: TextSubject) -> Finding | None:
    """Of `required_columns`, by name whatever the sheet and the case of its letters."""
    required = {name.casefold(): name for name in text.policy.required_columns}
    if not required or text.parsed.metadata.get("document_type") not in _TABULAR:
        return None
    found: set[str] = set()
    missing: dict[str, int] = {}
    for _, table in _tables(text.parsed):
        for place, header in enumerate(table.header):
            name = required.get(header.strip().casefold())
            if name is None:
                continue
            found.add(name)
            empty = sum(row[place].strip().lower() in _NOTHING for row in table.rows)
            if empty:
                missing[name] = missing.get(name, 0) + empty
    quarantines = text.policy.values_missing is Objection.QUARANTINE
    result = Result.QUARANTINED if quarantines else Result.WARNED
    if absent := [name for name in text.policy.required_columns if name not in found]:
        return Finding(reason=Reason.COLUMN_MISSING, detail=_some(absent), result=result)
    if not missing:
        return None
    return Finding(
        reason=Reason.VALUES_MISSING,
        detail=_some([f"{name}: {count} empty" for name, count in missing.items()]),
        result=result,
        counts={"values_missing": sum(missing.values())},
    )


def _some(told: list[str]) -> str:
    more = len(told) - _SHOWN
    return "; ".join(told[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


CHECKS = (
    Check(name="schema_drift", version=1, run=schema_drift),
    Check(name="required_values", version=1, run=required_values),
)
