"""JSON that models write: read and mended without guessing, asked for once more, or failed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.json_schema import schema_errors
from rag.errors import InvalidRequest
from rag.lenient_json import NotJson, read_json
from rag.structured import Invalid, Valid, checked, structured

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
    found = checked(text.replace("26", "26 ") + " ", SCHEMA, errors_of=schema_errors)
    assert isinstance(found, Valid), found
    assert isinstance(found.value, dict)
    assert found.value["days"] == 26


def test_half_a_number_is_no_number() -> None:
    found = checked('{"who": "Ada", "days": 2', SCHEMA, errors_of=schema_errors)
    assert isinstance(found, Invalid)
    assert "required" in found.errors[0]


@pytest.mark.parametrize(
    "text", ["", "No.", "{", "[" * 500, "{" + '"a": {' * 300, "__import__('os')", "{1+1: 2}"]
)
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    assert isinstance(checked(text, SCHEMA, errors_of=schema_errors), Invalid)


def test_errors_name_the_place_and_never_the_value() -> None:
    found = checked('{"days": "my secret"}', SCHEMA, errors_of=schema_errors)
    assert isinstance(found, Invalid)
    assert "$.days" in found.errors[0]
    assert "secret" not in " ".join(found.errors)


async def test_the_model_is_told_what_was_wrong_and_asked_once_more() -> None:
    replies = ['{"days": "many"}', '{"days": 26}']
    told: list[str] = []

    async def ask(what: str) -> str:
        told.append(what)
        return replies[len(told) - 1]

    found = await structured(ask, SCHEMA, errors_of=schema_errors)
    assert found == Valid({"days": 26}, mended=False, attempts=2)
    assert told[0] == ""
    assert "$.days" in told[1]


async def test_after_the_last_attempt_the_failure_is_a_value() -> None:
    async def ask(_told: str) -> str:
        return "I would rather not."

    found = await structured(ask, SCHEMA, errors_of=schema_errors)
    assert isinstance(found, Invalid)
    assert found.attempts == 2


def test_a_schema_that_is_none_is_the_callers_fault() -> None:
    with pytest.raises(InvalidRequest):
        schema_errors({}, {"type": "no such type"})
