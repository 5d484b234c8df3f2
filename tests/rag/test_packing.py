from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from rag.packing import pack_evidence
from rag.types import Evidence, RetrievedChunk
from tests.values import hit


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def pack(*hits: RetrievedChunk, budget: int = 1_000, passages: int = 8) -> tuple[Evidence, ...]:
    return pack_evidence(hits, count_tokens=words, budget_tokens=budget, passages=passages)


def test_evidence_is_numbered_from_one_best_first() -> None:
    packed = pack(hit("the first thing", document="a"), hit("a second matter", document="b"))
    assert [(e.number, e.text) for e in packed] == [(1, "the first thing"), (2, "a second matter")]


def test_neighbours_become_one_passage_in_document_order_with_the_overlap_once() -> None:
    first = hit("One two. Three four.", ordinal=0, start=0)
    second = hit("Three four. Five six.", ordinal=1, start=9)
    (passage,) = pack(second, first)
    assert passage.text == "One two. Three four. Five six."
    assert passage.hit == second
    assert passage.parts == (first, second)


def test_neighbours_under_other_headings_stay_apart() -> None:
    assert len(pack(hit("Rules.", heading=("A",)), hit("Fees.", ordinal=1, heading=("B",)))) == 2


def test_a_table_is_never_glued_to_what_stands_beside_it() -> None:
    assert len(pack(hit("Prose here."), hit("| a |", ordinal=1, table=True))) == 2


def test_a_copy_is_shown_once_and_the_better_ranked_one_stays() -> None:
    notice = "The canteen is closed on Friday while the floor is being sealed by the contractor"
    packed = pack(hit(notice, document="a"), hit(notice + ".", document="b"))
    assert [e.hit.chunk.document.id for e in packed] == ["a"]


def test_texts_that_differ_in_a_number_are_no_copies() -> None:
    rule = "Every employee may carry over at most {} days of annual leave into the next year"
    assert len(pack(hit(rule.format(5), document="a"), hit(rule.format(8), document="b"))) == 2


def test_what_a_found_document_replaced_is_left_out() -> None:
    old = hit("Meals up to 30 pounds.", document="old", superseded_by="new")
    new = hit("Meals up to 45 pounds.", document="new")
    assert [e.hit for e in pack(old, new)] == [new]


def test_what_was_replaced_by_something_not_found_stays() -> None:
    old = hit("Meals up to 30 pounds.", document="old", superseded_by="elsewhere")
    assert [e.hit for e in pack(old)] == [old]


def test_the_budget_holds_and_a_shorter_passage_may_still_fit() -> None:
    packed = pack(
        hit("alpha " * 6, document="a"),
        hit("beta " * 6, document="b"),
        hit("gamma delta", document="c"),
        budget=8,
    )
    assert [e.hit.chunk.document.id for e in packed] == ["a", "c"]


def test_the_first_passage_stands_even_over_budget() -> None:
    assert len(pack(hit("alpha " * 50), budget=10)) == 1


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6)), unique=True, max_size=12),
    st.integers(1, 30),
    st.integers(1, 5),
)
def test_packing_shows_each_chunk_at_most_once_within_its_limits(
    places: list[tuple[str, int]], budget: int, passages: int
) -> None:
    hits = [hit(f"{d} number {n} of all", document=d, ordinal=n, start=n * 50) for d, n in places]
    packed = pack(*hits, budget=budget, passages=passages)
    shown = [part.chunk.id for e in packed for part in e.parts]
    assert len(shown) == len(set(shown))
    assert len(packed) <= passages
    assert [e.number for e in packed] == list(range(1, len(packed) + 1))
    assert sum(words([e.text])[0] for e in packed[1:]) <= budget
    assert bool(packed) == bool(hits)
