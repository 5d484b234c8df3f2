import math

import pytest

from rag.evaluation.metrics import percentiles, score_run, share


def test_a_run_that_ranks_as_judged_scores_one_throughout() -> None:
    scores = score_run({"q": {"a": 2.0, "b": 1.0}}, {"q": {"a": 1}})
    assert set(scores.values()) == {1.0}


def test_the_second_place_is_discounted_as_the_definition_says() -> None:
    scores = score_run({"q": {"x": 2.0, "a": 1.0}}, {"q": {"a": 1}})
    assert scores["ndcg@10"] == pytest.approx(1 / math.log2(3), abs=1e-4)
    assert scores["mrr@10"] == 0.5


def test_a_query_without_hits_counts_as_nothing_found() -> None:
    assert score_run({"q": {"a": 1.0}}, {"q": {"a": 1}, "unanswered": {"b": 1}})["ndcg@10"] == 0.5


def test_percentiles_of_nothing_are_zero_and_a_share_of_nothing_is_all() -> None:
    assert percentiles([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    assert percentiles([1.0, 2.0, 3.0])["p50"] == 2.0
    assert (share(0, 0), share(1, 4)) == (1.0, 0.25)
