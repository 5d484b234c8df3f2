"""What a command shows: tables for people, JSON for programs, one line for what went wrong."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Cells are shown as they are: what a document says is no markup for the terminal."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    console().print(table)


def show(text: str = "", *, style: str = "") -> None:
    console().print(plain(text, style=style))


def note(text: str) -> None:
    """For people, beside the result: on standard error."""
    Console(stderr=True).print(plain(text, style="dim"))


def fail(text: str) -> None:
    Console(stderr=True).print(plain(f"rag: {text}", style="red"), soft_wrap=True)


def plain(value: object, *, style: str = "") -> Text:
    """`value` as text without control characters, so that a document cannot drive the terminal."""
    shown = "" if value is None else str(value)
    return Text("".join(c for c in shown if c.isprintable() or c in "\n\t"), style=style)


def console() -> Console:
    return Console(highlight=False)
