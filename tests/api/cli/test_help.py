"""Every command explains itself."""

from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from api.cli.commands import app


def _commands(group: typer.Typer, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield (*words, command.name or command.callback.__name__)
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        assert inner.name is not None
        yield from _commands(inner.typer_instance, (*words, inner.name))


@pytest.mark.parametrize("words", list(_commands(app)), ids=" ".join)
def test_help_shows_an_example_and_json(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"}).output
    assert f"rag {' '.join(words)}" in shown.partition("Example: ")[2]
    assert "--json" in shown
