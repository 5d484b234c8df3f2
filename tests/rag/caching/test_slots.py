"""Two questions share an answer only if their words say the same; unsure is no."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.gateway.answer_cache.questions import normalised
from rag.gateway.answer_cache.slots import ask_the_same, slots_of

PAIRS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "benchmarks" / "near_miss_pairs.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
NEAR_MISSES = [(pair["one"], pair["other"]) for pair in PAIRS if not pair["same"]]
PARAPHRASES = [(pair["one"], pair["other"]) for pair in PAIRS if pair["same"]]

words = st.lists(
    st.sampled_from(
        "who what pays approves reports to from Berlin 2025 2026 not travel orders invoices before"
        " after over 500 IT it Wer zahlt die Reise nicht an von Polish polish March 10 MB Mb -5 their".split()
    ),
    max_size=8,
).map(" ".join)


def test_no_near_miss_is_taken_for_the_same() -> None:
    assert len(NEAR_MISSES) >= 600
    assert [pair for pair in NEAR_MISSES if ask_the_same(*pair)] == []


def test_a_good_part_of_the_paraphrases_is_known_for_what_it_is() -> None:
    assert len(PARAPHRASES) >= 150
    assert sum(ask_the_same(*pair) for pair in PARAPHRASES) >= 70


@given(words, words)
def test_it_does_not_matter_which_was_asked_first(one: str, other: str) -> None:
    assert ask_the_same(one, other) == ask_the_same(other, one)


@given(st.text(max_size=60))
def test_every_text_asks_the_same_as_itself_however_it_is_spaced(text: str) -> None:
    assert slots_of(text) == slots_of(f"  {text} ")
    assert normalised(normalised(text)) == normalised(text)


@given(words, words)
def test_questions_with_one_normal_form_have_the_same_slots(one: str, other: str) -> None:
    if normalised(one) == normalised(other):
        assert ask_the_same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who runs IT?", "Who runs it?"),
        ("Who leads the US?", "Who leads us?"),
        ("Which rate holds at 1.10?", "Which rate holds at 1.1?"),
        ("Who speaks Polish?", "Who speaks polish?"),
        ("When does the March begin?", "When does the march begin?"),
        ("How fast is a line of 10 MB/s?", "How fast is a line of 10 Mb/s?"),
    ],
)
def test_capitals_and_figures_that_matter_are_no_mere_spelling(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("May employees work from home?", "may employees work from home"),
        ("What changes on 12 March 2026?", "what changes on 12 march 2026"),
        ("WHO SPEAKS POLISH?", "who speaks polish?"),
    ],
)
def test_a_capital_that_tells_nothing_is_mere_spelling(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_the_normal_form_forgets_what_never_matters() -> None:
    assert normalised("  What is\n the VPN   policy ?! ") == normalised("what is the vpn policy")
    assert normalised("WHAT IS THE VPN POLICY") == normalised("What is the VPN policy?")
