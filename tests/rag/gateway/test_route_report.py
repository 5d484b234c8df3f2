"""What the log of routes tells."""

from datetime import UTC, datetime

import pytest

from rag.gateway.money import Micro
from rag.gateway.route_log import Outcome, RouteOutcome
from rag.gateway.route_report import Standing, report_of
from rag.trail import RequestId, UseCase
from rag.types import Usage
from tests.routes import router
from tests.values import ACME

CATALOGUE = router().catalogue


def outcome(
    request: str,
    model: str,
    ended: Outcome = "answered",
    *,
    ordinal: int = 0,
    complexity: float | None = 0.1,
    cost: int = 100,
    step: str = "answer",
    answered_by: str | None = None,
) -> RouteOutcome:
    return RouteOutcome(
        tenant=ACME,
        request=RequestId(request),
        ordinal=ordinal,
        at=datetime(2026, 11, 21, tzinfo=UTC),
        use_case=UseCase.ASK,
        step=step,
        quality="balanced",
        first=model,
        answered_by=model if answered_by is None else answered_by,
        tier="cheap",
        reasons=(),
        complexity=complexity,
        outcome=ended,
        confidence=None,
        usage=Usage(900, 100),
        cost=Micro(cost),
        total_ms=10.0,
    )


def standing(outcomes: list[RouteOutcome], strategy: str) -> Standing:
    [found] = [e for e in report_of(outcomes, CATALOGUE).strategies if e.strategy == strategy]
    return found


CASCADE = [
    outcome("easy", "small"),
    outcome("hard", "small", "escalated"),
    outcome("hard", "large", ordinal=1, cost=10_000),
]


def test_a_question_costs_what_all_its_models_cost() -> None:
    report = report_of(CASCADE, CATALOGUE)
    assert (report.questions, report.escalated, report.first) == (2, 1, {"small": 2})
    routed = report.strategies[0]
    assert routed.micro_per_question == (100 + 100 + 10_000) / 2
    assert (routed.answered, routed.known) == (1.0, 1.0)


def test_a_dearer_model_that_was_asked_more_strictly_is_paid_for_and_counts() -> None:
    log = [
        CASCADE[0],
        CASCADE[1],
        outcome("hard", "large", ordinal=1, cost=10_000, step="answer-strict"),
    ]
    report = report_of(log, CATALOGUE)
    assert (report.questions, report.escalated) == (2, 1)
    assert report.strategies[0].micro_per_question == (100 + 100 + 10_000) / 2
    assert standing(log, "always_cheap").answered == 0.5


def test_a_model_that_is_asked_again_more_strictly_is_not_a_dearer_one() -> None:
    log = [
        outcome("q", "small", "escalated"),
        outcome("q", "small", ordinal=1, step="answer-strict"),
    ]
    assert report_of(log, CATALOGUE).escalated == 0
    assert standing(log, "always_cheap").answered == 1.0


def test_always_one_model_costs_its_price_for_the_same_tokens() -> None:
    assert standing(CASCADE, "always_cheap").micro_per_question == 100
    assert standing(CASCADE, "always_best").micro_per_question == 10_000
    assert standing(CASCADE, "random").micro_per_question == 5_050


def test_what_a_model_would_have_answered_is_told_by_like_questions_that_it_got_first() -> None:
    assert standing(CASCADE, "always_cheap").answered == 0.5
    unseen = standing(CASCADE, "always_best")
    assert unseen.answered is None and unseen.known == 0.0
    assert standing(CASCADE, "random").answered is None


def test_where_only_some_questions_have_their_like_the_report_says_how_many() -> None:
    log = [*CASCADE, outcome("asked for the best", "large", complexity=0.9)]
    best = standing(log, "always_best")
    assert best.answered == 1.0 and best.known == pytest.approx(1 / 3)


def test_a_model_that_another_stood_in_for_is_not_judged_by_it() -> None:
    log = [outcome("q", "small", answered_by="large"), outcome("r", "small", "ungrounded")]
    assert standing(log, "always_cheap").answered == 0.0


def test_other_steps_and_requests_that_tell_nothing_are_left_out() -> None:
    log = [
        outcome("a", "small", "done", step="rewrite"),
        outcome("b", "small", "blocked"),
        outcome("c", "small", "broken_off"),
    ]
    report = report_of(log, CATALOGUE)
    assert (report.questions, report.strategies) == (0, ())
