"""What is logged of routes, and how."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rag.errors import StorageUnavailable
from rag.gateway.money import Micro
from rag.gateway.route_log import RouteOutcome, RouteRecorder, open_recorder, outcomes_of
from rag.trail import Attempt, AttemptOutcome, RequestId, RouteDecision, Trail, UseCase
from rag.types import Answer, Refusal, RefusalReason, Usage
from tests.routes import ACCOUNT

ANSWER = Answer(text="40 euros [1]", citations=(), confidence=0.9, model="m", prompt="answer/v1")


def attempt(model: str, outcome: AttemptOutcome = "ok", *, step: str = "answer") -> Attempt:
    return Attempt(
        model=model,
        deployment=f"{model}-1",
        step=step,
        outcome=outcome,
        usage=Usage(100, 10),
        estimated=False,
        cost=Micro(5),
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        first_token_ms=1.0,
        total_ms=20.0,
    )


def decision(*models: str, step: str = "answer") -> RouteDecision:
    return RouteDecision(
        step=step, models=models, tier="cheap", reasons=("complexity: 0.20",), complexity=0.2
    )


def trail(
    *routes: RouteDecision, attempts: Sequence[Attempt] = (), use_case: UseCase = UseCase.ASK
) -> Trail:
    return Trail(
        request=RequestId("r1"),
        account=ACCOUNT,
        use_case=use_case,
        endpoint="/v1/ask",
        routes=list(routes),
        attempts=list(attempts),
    )


def test_a_cascade_is_logged_decision_by_decision() -> None:
    went = trail(
        decision("small", "large"),
        decision("small", step="rewrite"),
        decision("large"),
        attempts=[
            attempt("small", step="rewrite"),
            attempt("small", "server_error"),
            attempt("small"),
            attempt("large"),
        ],
    )
    first, rewrite, second = outcomes_of(went, ANSWER, quality="balanced")
    assert (first.outcome, first.answered_by, first.cost) == ("escalated", "small", 10)
    assert (rewrite.outcome, rewrite.cost, rewrite.confidence) == ("done", 5, None)
    assert (second.outcome, second.answered_by, second.cost) == ("answered", "large", 5)
    assert (first.confidence, second.confidence) == (None, 0.9)
    assert [each.ordinal for each in (first, rewrite, second)] == [0, 1, 2]
    assert first.usage == Usage(200, 20) and first.total_ms == 40.0
    assert first.complexity == 0.2 and first.reasons == ("complexity: 0.20",)


def test_an_answer_that_was_asked_for_more_strictly_is_the_one_that_counts() -> None:
    went = trail(
        decision("small", "large"),
        decision("large", step="answer-strict"),
        attempts=[attempt("small"), attempt("large", step="answer-strict")],
    )
    first, second = outcomes_of(went, ANSWER, quality="balanced")
    assert (first.outcome, first.answered_by, first.confidence) == ("escalated", "small", None)
    assert (second.outcome, second.answered_by, second.confidence) == ("answered", "large", 0.9)


def test_how_a_request_ended_is_how_its_last_answer_ended() -> None:
    went = trail(decision("small"), attempts=[attempt("small")])
    for reason in RefusalReason:
        [outcome] = outcomes_of(went, Refusal(reason, "no"), quality="fast")
        assert outcome.outcome == reason.value
    [outcome] = outcomes_of(went, None, quality="fast")
    assert outcome.outcome == "broken_off"


def test_a_route_that_no_model_answered_failed_or_was_left() -> None:
    down = trail(decision("small", "large"), attempts=[attempt("small", "unreachable")])
    assert outcomes_of(down, None, quality="best")[0].outcome == "failed"
    left = trail(decision("small"), attempts=[attempt("small", "cancelled")])
    assert outcomes_of(left, None, quality="best")[0].outcome == "broken_off"
    assert outcomes_of(trail(decision("small")), None, quality="best")[0].answered_by == ""


def test_an_apps_own_call_is_done_when_its_model_is() -> None:
    went = trail(decision("small"), attempts=[attempt("small")], use_case=UseCase.CHAT)
    assert outcomes_of(went, None, quality="balanced")[0].outcome == "done"


class Kept:
    """Keeps what it is given, but for the first `refuses` times."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.never_takes = ""
        self.outcomes: list[RouteOutcome] = []
        self.forgotten_before: datetime | None = None

    async def add(self, outcomes: Sequence[RouteOutcome]) -> None:
        if self.refuses:
            self.refuses -= 1
            raise StorageUnavailable("the disk is full")
        if any(each.quality == self.never_takes for each in outcomes):
            raise ValueError("no column takes this")
        self.outcomes.extend(outcomes)

    async def forget_before(self, moment: datetime) -> int:
        self.forgotten_before = moment
        return 0


WENT = trail(decision("small"), attempts=[attempt("small")])


async def test_what_waits_is_stored_when_the_process_ends() -> None:
    store = Kept()
    async with open_recorder(store, every_s=3600) as recorder:
        recorder.record(WENT, ANSWER, quality="fast")
        assert store.outcomes == []
    assert [each.outcome for each in store.outcomes] == ["answered"]


async def test_what_a_store_refuses_waits_and_is_stored_later_once() -> None:
    store = Kept(refuses=1)
    recorder = RouteRecorder(store=store)
    recorder.record(WENT, ANSWER, quality="fast")
    await recorder.flush()
    assert store.outcomes == [] and len(recorder.waiting) == 1
    await recorder.flush()
    await recorder.flush()
    assert len(store.outcomes) == 1 and not recorder.waiting


async def test_what_a_store_never_takes_is_lost_and_holds_up_nothing_behind_it() -> None:
    store = Kept()
    store.never_takes = "best"
    async with open_recorder(store, every_s=3600) as recorder:
        recorder.record(WENT, ANSWER, quality="best")
        await recorder.flush()
        assert (recorder.lost, len(recorder.waiting)) == (1, 0)
        recorder.record(replace(WENT, request=RequestId("r2")), ANSWER, quality="fast")
    assert [each.request for each in store.outcomes] == ["r2"]


async def test_what_is_older_than_it_is_to_be_kept_is_forgotten() -> None:
    store = Kept()
    await RouteRecorder(store=store, keep=timedelta(days=30)).forget()
    assert store.forgotten_before is not None
    assert timedelta(days=29) < datetime.now(UTC) - store.forgotten_before < timedelta(days=31)


async def test_more_than_may_wait_is_dropped_oldest_first_and_counted() -> None:
    recorder = RouteRecorder(store=Kept(), most=2)
    for quality in ("fast", "balanced", "best"):
        recorder.record(WENT, ANSWER, quality=quality)
    assert [each.quality for each in recorder.waiting] == ["balanced", "best"]
    assert recorder.lost == 1
