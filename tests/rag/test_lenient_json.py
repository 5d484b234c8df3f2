"""JSON that models write: read and mended without guessing, or said to be none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.json_schema import checked_json
from rag.lenient_json import NotJson, read_json

SCHEMA = {
    "type": "object",
    "properties": {"days": {"type": "integer"}, "who": {"type": "string"}},
    "required": ["days"],
    "additionalProperties": False,
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=5,
)
containers = st.lists(values, max_size=2) | st.dictionaries(st.text(), values, max_size=2)


@given(containers)
def test_what_is_json_is_read_as_it_stands(value: object) -> None:
    read = read_json(json.dumps(value))
    assert (read.value, read.mended) == (value, False)


@given(containers, st.integers(0, 400))
def test_wherever_json_is_cut_off_the_rest_is_still_read(value: object, at: int) -> None:
    text = json.dumps(value)[:at]
    if text:
        read_json(text)
        return
    with pytest.raises(NotJson):
        read_json(text)


@given(st.dictionaries(st.text(min_size=1), st.integers(), min_size=1), st.integers(1, 200))
def test_what_a_cut_leaves_was_there_whole(value: dict[str, int], at: int) -> None:
    text = json.dumps(value)[:at]
    read = read_json(text).value
    assert isinstance(read, dict)
    assert read.items() <= value.items()


@pytest.mark.parametrize(
    "text",
    [
        '{"days": 26}',
        'Here you are:\n```json\n{"days": 26}\n```\nAnything else?',
        'The answer is {"days": 26}. I hope this helps.',
        "{'days': 26,}",
        '{"days": 26, "who": "it\'s me", }',
        "{days: 26}",
        '{"days": 26 // of leave\n}',
        '{"days": 26 "who": "all"}',
        '{"days": 26, "who": "al',
        '```json\n{"days": 26',
        "{“days”: 26}",
        '{"days": 26, "who": "two\nlines"}',
    ],
)
def test_the_commonest_mistakes_are_mended(text: str) -> None:
    found = checked_json(text.replace("26", "26 ") + " ", SCHEMA)
    assert found is not None
    assert json.loads(found)["days"] == 26


def test_half_a_number_is_no_number() -> None:
    assert checked_json('{"who": "Ada", "days": 2', SCHEMA) is None


@pytest.mark.parametrize(
    "text", ["", "No.", "{", "[" * 500, "{" + '"a": {' * 300, "__import__('os')", "{1+1: 2}"]
)
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    assert checked_json(text, SCHEMA) is None


def test_an_answer_in_a_form_is_mended_and_held_to_its_schema() -> None:
    assert checked_json('{"days": 26}', SCHEMA) == '{"days": 26}'
    assert checked_json('```json\n{"days": 26}\n```', SCHEMA) == '{"days": 26}'
    assert checked_json("Sure: {'days': 26,} as you asked.", SCHEMA) == '{"days": 26}'
    assert checked_json('{"days": "26"}', SCHEMA) is None
    assert checked_json('{"who": "Anna"', SCHEMA) is None
    assert checked_json("twenty-six", SCHEMA) is None
    assert checked_json('"open"', {"enum": ["open", "closed"]}) == '"open"'
