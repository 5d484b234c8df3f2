"""When readers may be sent to a new index: never where they would be worse off, or shown too much."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.evaluation.gate import Figures, Passed, Refused, Thresholds, judge

GOOD = Figures(
    cases=50,
    ndcg=0.9,
    recall=0.95,
    citation_precision=0.9,
    citation_recall=0.8,
    answer_accuracy=0.75,
    refusal_precision=0.7,
    refusal_recall=0.8,
    forbidden_leaks=0,
    search_p95_ms=100.0,
    ask_p95_ms=200.0,
)
SHARES = {
    "ndcg": "nDCG@10",
    "recall": "recall@10",
    "citation_precision": "citation precision",
    "citation_recall": "citation recall",
    "answer_accuracy": "answer accuracy",
    "refusal_precision": "refusal precision",
    "refusal_recall": "refusal recall",
}
ALLOWED = Thresholds(latency_slack_ms=10)


def test_one_that_is_as_good_passes() -> None:
    assert judge(GOOD, GOOD, ALLOWED) == Passed()


@pytest.mark.parametrize(("field", "figure"), SHARES.items())
def test_a_fall_within_the_threshold_passes_and_one_beyond_is_told_with_both_figures(
    field: str, figure: str
) -> None:
    before: float = getattr(GOOD, field)
    fallen = replace(GOOD, **{field: round(before - 0.02, 4)})
    assert judge(GOOD, fallen, ALLOWED) == Passed()
    after = round(before - 0.03, 4)
    verdict = judge(GOOD, replace(GOOD, **{field: after}), ALLOWED)
    assert isinstance(verdict, Refused)
    [reason] = verdict.reasons
    assert (reason.figure, reason.serving, reason.new) == (figure, before, after)
    assert f"{before:.4f}" in reason.words and f"{after:.4f}" in reason.words


@pytest.mark.parametrize("field", ["search_p95_ms", "ask_p95_ms"])
def test_a_slower_one_is_refused_beyond_the_ratio_and_never_for_a_little(field: str) -> None:
    before: float = getattr(GOOD, field)
    assert judge(GOOD, replace(GOOD, **{field: before * 1.5}), ALLOWED) == Passed()
    assert isinstance(judge(GOOD, replace(GOOD, **{field: before * 1.6}), ALLOWED), Refused)
    fast = replace(GOOD, **{field: 2.0})
    assert judge(fast, replace(GOOD, **{field: 12.0}), ALLOWED) == Passed()


def test_whatever_is_allowed_a_forbidden_document_is_not() -> None:
    anything = Thresholds(
        ndcg_fall=1,
        recall_fall=1,
        citation_precision_fall=1,
        citation_recall_fall=1,
        answer_accuracy_fall=1,
        refusal_fall=1,
        latency_ratio=100,
    )
    leaks = replace(GOOD, forbidden_leaks=1)
    for serving in (GOOD, leaks):
        verdict = judge(serving, leaks, anything)
        assert isinstance(verdict, Refused)
        assert [reason.figure for reason in verdict.reasons] == ["forbidden leaks"]


def test_cases_of_which_nothing_is_found_prove_nothing() -> None:
    lost = replace(GOOD, recall=0.0, ndcg=0.0)
    verdict = judge(lost, lost, ALLOWED)
    assert isinstance(verdict, Refused)
    assert "not those of what was ingested" in verdict.reasons[0].words


shares = st.floats(0, 1).map(lambda share: round(share, 4))
figures = st.builds(
    Figures,
    cases=st.integers(1, 500),
    ndcg=shares,
    recall=st.floats(0.01, 1),
    citation_precision=shares,
    citation_recall=shares,
    answer_accuracy=shares,
    refusal_precision=shares,
    refusal_recall=shares,
    forbidden_leaks=st.just(0),
    search_p95_ms=st.floats(0, 10_000),
    ask_p95_ms=st.floats(0, 10_000),
)


@given(serving=figures, new=figures, field=st.sampled_from(sorted(SHARES)), more=shares)
def test_a_better_figure_never_shuts_the_gate(
    serving: Figures, new: Figures, field: str, more: float
) -> None:
    better = replace(new, **{field: max(getattr(new, field), more)})
    if judge(serving, new, ALLOWED) == Passed():
        assert judge(serving, better, ALLOWED) == Passed()
