"""What is personal, masked, ungrounded, cut short or of an experiment is never given again."""

from dataclasses import replace

import pytest

from rag.asking import NO_EVIDENCE
from rag.gateway.answer_cache.keeping import NotKept, why_not_asked, why_not_kept
from rag.gateway.answer_cache.questions import CachePartition, CacheQuestion
from rag.gateway.money import Micro
from rag.trail import Attempt, AttemptOutcome, GuardVerdict, Standing, Trail
from rag.types import Answer, Usage
from tests.rag.caching.company import ACME, answer_from, principal, trail_of
from tests.values import hit

ANNA = principal("user:anna")
ANSWER = answer_from([hit("The limit is 140 euros.")])
PARTITION = CachePartition(
    tenant=ACME, generation=1, prompt="answer/v1", model_class="fast", guard_policy="p/1"
)


def asked(text: str = "What is the hotel limit?", *, stands_alone: bool = True) -> CacheQuestion:
    return CacheQuestion(text=text, partition=PARTITION, asker=ANNA.id, stands_alone=stands_alone)


def reason(answer: Answer = ANSWER, trail: Trail | None = None, finish: str = "stop") -> str | None:
    return why_not_kept(asked(), answer, trail or trail_of(ANNA), finish_reason=finish)


def verdict(standing: Standing, *, dry_run: bool = False, output: bool = True) -> GuardVerdict:
    direction = "output" if output else "input"
    return GuardVerdict(
        check="c", direction=direction, standing=standing, score=1.0, dry_run=dry_run
    )


def attempt(outcome: AttemptOutcome) -> Attempt:
    trail = trail_of(ANNA)
    return Attempt(
        model="m",
        deployment="d",
        step="answer",
        outcome=outcome,
        usage=Usage(),
        estimated=False,
        cost=Micro(1),
        started_at=trail.started_at,
        first_token_ms=None,
        total_ms=1.0,
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("How many days of leave do I have?", NotKept.PERSONAL),
        ("What is my manager's name?", NotKept.PERSONAL),
        ("Who can help me?", NotKept.PERSONAL),
        ("Wie viel Urlaub habe ich?", NotKept.PERSONAL),
        ("Wer ist meine Vorgesetzte?", NotKept.PERSONAL),
        ("Who is on call today?", NotKept.MOMENT),
        ("What were the sales last month?", NotKept.MOMENT),
        ("Was gab es gestern zu essen?", NotKept.MOMENT),
        ("What did anna@example.org sign?", NotKept.PERSONAL_DATA),
        ("Whose account is DE89 3704 0044 0532 0130 00?", NotKept.PERSONAL_DATA),
        ("Who has the number +49 170 1234567?", NotKept.PERSONAL_DATA),
        ("x" * 501, NotKept.CONVERSATION),
        ("Tell me what the hotel limit is.", None),
        ("I would like to know what the hotel limit is.", None),
        ("Can you tell me when our office opens?", None),
        ("What is the status of order PO-2025-0117?", None),
    ],
)
def test_some_questions_are_nobody_elses(text: str, why: NotKept | None) -> None:
    assert why_not_asked(asked(text)) is why


def test_what_needs_the_turns_before_it_is_not_cached() -> None:
    assert why_not_asked(asked(stands_alone=False)) is NotKept.CONVERSATION


def test_a_whole_grounded_answer_without_doubt_is_kept() -> None:
    trail = trail_of(ANNA)
    trail.attempts += [attempt("server_error"), attempt("ok")]
    trail.verdicts += [verdict("passed"), verdict("not_run", output=False)]
    assert reason(trail=trail) is None


def test_refusals_and_ungrounded_answers_are_not() -> None:
    refused = why_not_kept(asked(), NO_EVIDENCE, trail_of(ANNA), finish_reason="stop")
    assert refused is NotKept.REFUSAL
    assert reason(replace(ANSWER, citations=())) is NotKept.UNGROUNDED
    doubtful = replace(ANSWER.citations[0], verified=False)
    assert reason(replace(ANSWER, citations=(doubtful,))) is NotKept.UNGROUNDED


@pytest.mark.parametrize("finish", ["length", "content_filter", ""])
def test_what_was_cut_short_is_not(finish: str) -> None:
    assert reason(finish=finish) is NotKept.TRUNCATED


@pytest.mark.parametrize("outcome", ["broken_off", "endless", "cancelled", "out_of_time"])
def test_what_broke_off_is_not(outcome: AttemptOutcome) -> None:
    trail = trail_of(ANNA)
    trail.attempts.append(attempt(outcome))
    assert reason(trail=trail) is NotKept.TRUNCATED


def test_how_judging_went_says_nothing_of_the_answer() -> None:
    trail = trail_of(ANNA)
    trail.attempts += [attempt("ok"), replace(attempt("cancelled"), step="judge")]
    assert reason(trail=trail) is None


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (verdict("masked"), NotKept.MASKED),
        (verdict("masked", output=False), NotKept.MASKED),
        (verdict("flagged"), NotKept.DOUBTED),
        (verdict("flagged", dry_run=True), NotKept.DOUBTED),
        (verdict("blocked", dry_run=True, output=False), NotKept.DOUBTED),
        (verdict("not_run"), NotKept.DOUBTED),
    ],
)
def test_what_a_check_doubted_or_could_not_see_is_not(found: GuardVerdict, why: NotKept) -> None:
    trail = trail_of(ANNA)
    trail.verdicts.append(found)
    assert reason(trail=trail) is why


def test_experiments_and_cached_answers_are_not() -> None:
    trail = trail_of(ANNA)
    trail.rollout = "canary-7/new"
    assert reason(trail=trail) is NotKept.EXPERIMENT
    trail = trail_of(ANNA)
    trail.cache = "semantic"
    assert reason(trail=trail) is NotKept.CACHED


def test_what_was_quoted_because_a_budget_was_spent_is_not_kept_for_when_it_is_not() -> None:
    trail = trail_of(ANNA)
    trail.budget_spent = True
    assert reason(trail=trail) == NotKept.QUOTED
