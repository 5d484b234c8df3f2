"""Jupyter notebooks: their Markdown with its headings, their code, and what the code printed."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from ingestion.parsers.decoding import decoded
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.web import parse_markdown
from rag.errors import LimitExceeded, ParseError

_TEXT_OUTPUTS = ("text/plain", "text/markdown")
_TICKS = re.compile("`+")


def parse_notebook(file: RawFile, limits: Limits) -> Extracted:
    """Read as the Markdown document that the notebook is, code and output in fences. A cell that
    is none is a warning."""
    try:
        notebook: Any = json.loads(decoded(file.body)[0])
    except RecursionError as error:
        raise LimitExceeded("it is nested too deep") from error
    except ValueError as error:
        raise ParseError("it is not valid JSON") from error
    cells = _cells_of(notebook)
    if cells is None:
        raise ParseError("it is JSON, but not a notebook: it has no cells")
    pieces: list[str] = []
    broken = 0
    for cell in cells:
        try:
            pieces += _pieces_of(cell)
        except (TypeError, KeyError, AttributeError):
            broken += 1
    markdown = "\n\n".join(piece for piece in pieces if piece.strip())
    found = parse_markdown(replace(file, body=markdown.encode("utf-8", "replace")), limits)
    warnings = (
        (*found.warnings, f"cells that make no sense: {broken}") if broken else found.warnings
    )
    return replace(
        found, metadata={**found.metadata, "document_type": "notebook"}, warnings=warnings
    )


def _cells_of(notebook: Any) -> list[Any] | None:
    """The cells, in the present form or in that of version 3."""
    if not isinstance(notebook, dict):
        return None
    held = cast("dict[str, Any]", notebook)
    if isinstance(held.get("cells"), list):
        return held["cells"]
    sheets = held.get("worksheets")
    if not isinstance(sheets, list):
        return None
    return [
        cell
        for sheet in cast("list[Any]", sheets)
        if isinstance(sheet, dict)
        for cell in cast("dict[str, Any]", sheet).get("cells", [])
    ]


def _pieces_of(cell: dict[str, Any]) -> Iterator[str]:
    source = _joined(cell["source"] if "source" in cell else cell["input"])
    match cell["cell_type"]:
        case "markdown":
            yield source
        case "heading":
            yield f"{'#' * int(cell.get('level', 1))} {source}"
        case "code":
            yield _fenced(source)
            for output in cell.get("outputs") or ():
                yield _fenced(_printed(output))
        case _:
            yield _fenced(source)


def _printed(output: dict[str, Any]) -> str:
    if "ename" in output:
        return f"{output['ename']}: {output.get('evalue', '')}"
    if "text" in output:
        return _joined(output["text"])
    data: dict[str, Any] = output.get("data") or {}
    return next((_joined(data[kind]) for kind in _TEXT_OUTPUTS if kind in data), "")


def _joined(text: Any) -> str:
    """A text, or the list of lines that a notebook may hold instead."""
    whole = "".join(cast("list[str]", text)) if isinstance(text, list) else text
    if not isinstance(whole, str):
        raise TypeError("text")
    return whole


def _fenced(code: str) -> str:
    if not code.strip():
        return ""
    longest = max(map(len, _TICKS.findall(code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{code.rstrip()}\n{fence}"
