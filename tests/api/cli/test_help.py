"""Every command explains itself."""

from collections.abc import Iterator

import pytest
import typer.main
from click import Command, Group
from typer.testing import CliRunner

from api.cli import app


def _commands(command: Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(command, Group):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*words, name))
    else:
        yield words


@pytest.mark.parametrize("words", list(_commands(typer.main.get_command(app))), ids=" ".join)
def test_help_shows_an_example_and_json(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"}).output
    assert f"rag {' '.join(words)}" in shown.partition("Example: ")[2]
    assert "--json" in shown
