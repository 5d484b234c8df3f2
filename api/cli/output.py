"""What a command shows: tables for people, JSON for programs, one line for what went wrong."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 160
"""Columns of a table that no terminal shows."""


def show_json(value: Any) -> None:
    """Control characters are escaped, also those that JSON itself would let through."""
    written = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("".join(map(_harmless, written)) + "\n")
    sys.stdout.flush()


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Cells are shown as they are: what a document says is no markup for the terminal."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    _console().print(table)


def show(text: str = "", *, style: str = "") -> None:
    _console().print(plain(text, style=style), soft_wrap=True)


def show_part(text: str) -> None:
    """Show a piece of a text that goes on, at once."""
    sys.stdout.write(plain(text).plain)
    sys.stdout.flush()


def note(text: str) -> None:
    """For people, beside the result: on standard error."""
    Console(stderr=True).print(plain(text, style="dim"), soft_wrap=True)


def fail(text: str) -> None:
    Console(stderr=True).print(plain(f"rag: {text}", style="red"), soft_wrap=True)


def plain(value: object, *, style: str = "") -> Text:
    """`value` as text without control characters, so that a document cannot drive the terminal."""
    shown = "" if value is None else str(value)
    return Text("".join(c for c in shown if c.isprintable() or c in "\n\t"), style=style)


def progress_bar(*, shown: bool) -> Progress:
    """On standard error, and gone when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
        transient=True,
    )


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPED_WIDTH)


def _harmless(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return json.dumps(character)[1:-1] if ord(character) != 0x7F else "\\u007f"
