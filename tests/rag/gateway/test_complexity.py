"""How hard questions look."""

from dataclasses import replace
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from rag.gateway.calls import RetrievalSignals
from rag.gateway.complexity import (
    LearnedComplexity,
    Logistic,
    learned_from,
    load_complexity,
    question_features,
    signals_of,
)
from rag.types import Evidence, Ranks, RetrievedChunk
from tests.values import hit

SIGNALS = RetrievalSignals(top_score=0.6, gap=0.1, passages=8, documents=3, agreement=0.5)
SCORES = st.floats(0, 1)


@given(
    st.text(max_size=500),
    st.none()
    | st.builds(
        RetrievalSignals,
        top_score=SCORES,
        gap=SCORES,
        passages=st.integers(0, 100),
        documents=st.integers(0, 100),
        agreement=SCORES,
    ),
)
def test_every_question_has_a_complexity_between_0_and_1(
    question: str, signals: RetrievalSignals | None
) -> None:
    assert 0 < load_complexity()(question, signals) < 1


def test_an_inference_with_symbols_looks_harder_than_a_plain_question() -> None:
    complexity = load_complexity()
    plain = complexity("What is the travel budget?", None)
    proof = complexity(
        "If all x > 3 and y = 2x - 4, then which of y <= 2 follows for some x?", None
    )
    assert proof > plain


def test_what_was_found_counts_where_it_is_known() -> None:
    learned = LearnedComplexity(
        question=Logistic(0.0, MappingProxyType({})),
        retrieval=Logistic(0.0, MappingProxyType({"top_score": -2.0})),
    )
    assert learned("?", None) == 0.5
    sure = learned("?", SIGNALS)
    assert learned("?", replace(SIGNALS, top_score=0.1)) > sure


def test_features_count_words_numbers_symbols_letters_and_repetition() -> None:
    assert question_features("")["words"] == 0
    features = question_features("If p then q, and p: 3.5 + 4 = 7")
    assert features["numbers"] > 0 and features["symbols"] > 0
    assert features["letters"] > 0 and features["inference"] > 0 and features["repetition"] > 0
    assert question_features("Was gilt, falls alle fehlen?")["inference"] > 0


def test_a_very_long_text_is_read_from_its_beginning_alone() -> None:
    assert question_features("word " * 1_000) == question_features("word " * 100_000)


def scored(document: str, cosine: float, *, sparse: bool) -> RetrievedChunk:
    found = hit("text", document=document)
    ranks = Ranks(dense=1, sparse=1 if sparse else None)
    return replace(found, ranks=ranks, stage_scores=MappingProxyType({"dense": cosine}))


def passage(number: int, *parts: RetrievedChunk) -> Evidence:
    return Evidence(number=number, hit=parts[0], text="text", parts=parts)


def test_signals_are_read_from_the_passages_that_a_model_is_shown() -> None:
    found = signals_of(
        [
            passage(1, scored("a", 0.5, sparse=True), scored("a", 0.75, sparse=True)),
            passage(2, scored("b", 0.25, sparse=False), scored("c", 0.1, sparse=False)),
        ]
    )
    assert found == RetrievalSignals(
        top_score=0.75, gap=0.25, passages=2, documents=3, agreement=0.5
    )
    nothing = signals_of([])
    assert (nothing.top_score, nothing.passages, nothing.agreement) == (0, 0, 0)


def test_the_weights_say_what_they_were_learned_from() -> None:
    assert learned_from()
    assert all(len(sha256) == 64 for sha256 in learned_from())
