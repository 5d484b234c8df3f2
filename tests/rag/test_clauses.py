"""Where sentences are taken apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.clauses import borders_of, parts_of

texts = st.lists(
    st.sampled_from(["The pump", "and", ",", "während", "; ", " ", "Ada", "(", "which", "–", "x"])
).map("".join) | st.text(max_size=60)


@given(texts)
def test_nothing_of_a_text_is_left_out_or_said_twice(text: str) -> None:
    assert "".join(parts_of(text)) == text


@given(texts)
def test_a_place_lies_in_the_part_that_holds_it(text: str) -> None:
    borders = borders_of(text)
    starts = [0, *borders.places]
    for place in range(len(text)):
        assert starts[borders.part_at(place)] <= place


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It rains, and it pours.", ["It rains", ", ", "and it pours."]),
        ("Es regnet, während die Sonne scheint", ["Es regnet", ", ", "während die Sonne scheint"]),
        ("Sandy beaches", ["Sandy beaches"]),
    ],
)
def test_it_is_cut_at_commas_and_at_words_that_join(text: str, parts: list[str]) -> None:
    assert parts_of(text) == parts
