"""How the texts of options are read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cli.options import asker_of, filters_of, metadata_of, readers_of, user_of, value_of
from rag.errors import InvalidRequest

NAMES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1)


def test_a_bare_number_is_a_user_and_a_bare_name_a_group() -> None:
    asker = asker_of("1042", "finance, group:quality,")
    assert (asker.user, asker.groups) == ("user:1042", ("group:finance", "group:quality"))


@pytest.mark.parametrize("text", ["", "  "])
def test_nobody_is_no_user(text: str) -> None:
    with pytest.raises(InvalidRequest):
        user_of(text)


def test_readers_are_split_at_commas() -> None:
    assert readers_of("group:finance, user:1042,") == ["group:finance", "user:1042"]


def test_filters_hold_values_lists_and_bounds() -> None:
    assert filters_of(["department=sales,finance", "date>=2025-01-01", "date<2026", "page=3"]) == {
        "department": ["sales", "finance"],
        "date": {"gte": "2025-01-01", "lt": 2026},
        "page": 3,
    }


@pytest.mark.parametrize("text", ["department", "=sales", "department=", ">=3", ""])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--filter"):
        filters_of([text])


@pytest.mark.parametrize("texts", [["date=2025", "date>2024"], ["date=a,b", "date>2024"]])
def test_a_value_and_a_bound_for_one_field_are_refused(texts: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="date"):
        filters_of(texts)


def test_what_is_no_metadata_is_refused() -> None:
    assert metadata_of(["department=people", "year=2026", "draft=false"]) == {
        "department": "people",
        "year": 2026,
        "draft": False,
    }
    with pytest.raises(InvalidRequest, match="--metadata"):
        metadata_of(["department"])


@given(st.integers() | st.booleans())
def test_numbers_and_truth_values_are_read_as_json_writes_them(value: int) -> None:
    assert value_of(json.dumps(value)) == value


@given(NAMES, st.text(alphabet="0123456789", min_size=2).map(lambda digits: f"0{digits}"))
def test_a_number_with_leading_zeros_stays_a_text(field: str, digits: str) -> None:
    assert metadata_of([f"{field}={digits}"]) == {field: digits}
