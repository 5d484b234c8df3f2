"""Data that names its own parts: JSON, lines of JSON, and XML.

Fields become lines of `name: value` under the headings that lead to them, and lists of like
records become tables. Numbers stay as they are written.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import cast
from xml.etree.ElementTree import Element
from xml.etree.ElementTree import ParseError as XmlError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from ingestion.parsers.decoding import decoded
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.outline import Outline
from rag.errors import LimitExceeded, ParseError
from rag.types import MetadataValue, Table

Tree = str | Sequence["Tree"] | Mapping[str, "Tree"]
"""A value, a list, or named parts."""

_METADATA: Mapping[str, MetadataValue] = MappingProxyType({"document_type": "data"})
_TITLES = ("title", "name", "headline", "subject")
_MAX_COLUMNS = 50
_HEADINGS = 5
"""Levels of names that become headings; what is deeper is one line a value, its path before it."""


def parse_json(file: RawFile, limits: Limits) -> Extracted:
    text, encoding = decoded(file.body)
    return _extracted(_tree_of_json(text), encoding, limits)


def parse_records(file: RawFile, limits: Limits) -> Extracted:
    """One JSON value a line. A line that is none is a warning, unless there is no other."""
    text, encoding = decoded(file.body)
    records, broken = records_of(text)
    found = _extracted(records, encoding, limits)
    if not broken:
        return found
    warnings = (*found.warnings, f"lines that are not JSON: {broken}")
    return Extracted(sections=found.sections, metadata=found.metadata, warnings=warnings)


def records_of(text: str) -> tuple[list[Tree], int]:
    """The values of the lines, and how many lines are none. Raises `ParseError` where all are."""
    records: list[Tree] = []
    broken = 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            records.append(_tree_of_json(line))
        except LimitExceeded:
            raise
        except ParseError:
            broken += 1
    if broken and not records:
        raise ParseError("no line of it is JSON")
    return records, broken


def parse_xml(file: RawFile, limits: Limits) -> Extracted:
    """Elements as named parts. A document type, entities and what lies elsewhere are refused."""
    try:
        root: Element = ElementTree.fromstring(file.body, forbid_dtd=True)
    except DefusedXmlException as error:
        raise ParseError("it declares a document type or entities, which are not read") from error
    except (XmlError, ValueError, LookupError) as error:
        raise ParseError("it is not well-formed XML") from error
    return _extracted(_tree_of_element(root, limits.max_depth), "utf-8", limits)


def _extracted(tree: Tree, encoding: str, limits: Limits) -> Extracted:
    outline = Outline()
    _add(outline, tree, limits.max_depth, level=1)
    title = ""
    if isinstance(tree, Mapping):
        named = (tree[key] for key in _TITLES if key in tree)
        title = next((" ".join(one.split()) for one in named if isinstance(one, str)), "")
    warnings = () if encoding.startswith("utf-8") else (f"read as {encoding}",)
    return Extracted(
        sections=outline.finished(), title=title[:200], metadata=_METADATA, warnings=warnings
    )


# --- JSON ---------------------------------------------------------------------------------------


def _tree_of_json(text: str) -> Tree:
    """Raises `ParseError`, and `LimitExceeded` where it is nested too deep for us."""
    try:
        value: object = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        return _tree_of_value(value)
    except RecursionError as error:
        raise LimitExceeded("it is nested too deep") from error
    except ValueError as error:
        raise ParseError("it is not valid JSON") from error


def _tree_of_value(value: object) -> Tree:
    match value:
        case dict():
            parts = cast("dict[str, object]", value)
            return {key: _tree_of_value(part) for key, part in parts.items() if part is not None}
        case list():
            return [
                _tree_of_value(part) for part in cast("list[object]", value) if part is not None
            ]
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case _:
            return str(value)


# --- XML ----------------------------------------------------------------------------------------


def _tree_of_element(element: Element, levels: int) -> Tree:
    if levels < 1:
        raise LimitExceeded("the elements are nested too deep")
    text = (element.text or "").strip()
    if any((part.tail or "").strip() for part in element) or (text and len(element)):
        return " ".join("".join(element.itertext()).split())  # words with marks among them
    parts: dict[str, Tree] = {_local(name): value for name, value in element.attrib.items()}
    for part in element:
        name, tree = _local(part.tag), _tree_of_element(part, levels - 1)
        before = parts.get(name)
        if before is None:
            parts[name] = tree
        elif isinstance(before, _Repeated):
            before.append(tree)
        else:
            parts[name] = _Repeated([before, tree])
    if not parts:
        return text
    return parts | {"text": text} if text else parts


class _Repeated(list[Tree]):
    """Elements of one name: not to be taken for a value that is a list itself."""


def _local(name: object) -> str:
    return str(name).rpartition("}")[2]


# --- a tree as sections -------------------------------------------------------------------------


def _add(outline: Outline, tree: Tree, levels: int, *, level: int) -> None:
    if levels < 1:
        raise LimitExceeded("it is nested too deep")
    if isinstance(tree, str):
        outline.prose(tree)
    elif isinstance(tree, Mapping):
        _add_parts(outline, tree, levels, level=level)
    elif (table := _table_of(tree)) is not None:
        outline.table(table)
    elif all(isinstance(part, str) for part in tree):
        outline.prose("\n".join(cast("Sequence[str]", tree)))
    else:
        for part in tree:
            _add(outline, part, levels - 1, level=level)


def _add_parts(outline: Outline, parts: Mapping[str, Tree], levels: int, *, level: int) -> None:
    lines = [f"{name}: {part}" for name, part in parts.items() if isinstance(part, str) and part]
    outline.prose("\n".join(lines))
    for name, part in parts.items():
        if isinstance(part, str) or not part:
            continue
        if level <= _HEADINGS:
            outline.heading(name, level)
            _add(outline, part, levels - 1, level=level + 1)
        else:
            lines = [": ".join(line) for line in _flat(part, name, levels - 1)]
            outline.prose("\n".join(lines))


def _flat(tree: Tree, path: str, levels: int) -> list[tuple[str, str]]:
    """Each value with its path: `address.lines[0]`."""
    if levels < 1:
        raise LimitExceeded("it is nested too deep")
    if isinstance(tree, str):
        return [(path, tree)] if tree else []
    named = (
        ((f"{path}.{name}" if path else name, part) for name, part in tree.items())
        if isinstance(tree, Mapping)
        else ((f"{path}[{number}]", part) for number, part in enumerate(tree))
    )
    return [line for name, part in named for line in _flat(part, name, levels - 1)]


def _table_of(records: Sequence[Tree]) -> Table | None:
    """The records as a table, where they are alike: few columns, most of them filled."""
    if len(records) < 2 or not all(isinstance(record, Mapping) for record in records):
        return None
    rows: list[dict[str, str]] = []
    columns: dict[str, None] = {}
    for record in records:
        parts = cast("Mapping[str, Tree]", record)
        if any(isinstance(part, Mapping) and any(not isinstance(p, str) for p in part.values())
               for part in parts.values()):  # fmt: skip
            return None
        row = dict(_flat(record, "", 4)) if _is_shallow(record, 4) else None
        if row is None:
            return None
        rows.append(row)
        columns.update(dict.fromkeys(row))
        if len(columns) > _MAX_COLUMNS:
            return None
    filled = sum(map(len, rows))
    if len(columns) < 2 or 2 * filled < len(columns) * len(rows):
        return None
    return Table("", tuple(columns), tuple(tuple(row.get(c, "") for c in columns) for row in rows))


def _is_shallow(tree: Tree, levels: int) -> bool:
    if isinstance(tree, str):
        return levels > 0
    parts = tree.values() if isinstance(tree, Mapping) else tree
    return levels > 0 and all(_is_shallow(part, levels - 1) for part in parts)
