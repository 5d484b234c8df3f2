"""What reaches a terminal."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cli.output import fail, plain, show, show_json, show_part, show_table

HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\r\u202egnp.exe\x7f[bold]not markup[/bold]"
TEXTS = st.text(alphabet=st.characters(exclude_categories=()))


@given(TEXTS)
def test_no_control_character_is_shown(text: str) -> None:
    shown = plain(text).plain
    assert all(c.isprintable() or c in "\n\t" for c in shown)


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"])))
def test_what_is_printable_is_shown_as_it_is(text: str) -> None:
    assert plain(text).plain == text


@pytest.mark.parametrize(
    "value",
    [HOSTILE, {"text": [HOSTILE, 1, None]}, "\ud800", "Größe 180 m³/h"],
    ids=["text", "nested", "lone surrogate", "umlauts"],
)
def test_json_is_harmless_and_says_the_same(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    show_json(value)
    written = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in written)
    assert json.loads(written) == value


def test_json_keeps_letters_readable(capsys: pytest.CaptureFixture[str]) -> None:
    show_json("Größe 180 m³/h")
    assert capsys.readouterr().out == '"Größe 180 m³/h"\n'


def test_documents_neither_drive_the_terminal_nor_mark_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(HOSTILE)
    show_part(HOSTILE)
    show_table("Title", ("column",), [(HOSTILE,)])
    fail(HOSTILE)
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert shown.count("[bold]not markup[/bold]") == 4


def test_a_long_line_stays_one_line_for_the_program_that_reads_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show("word " * 200)
    assert capsys.readouterr().out.count("\n") == 1
