"""What is put before a person: each check once in each direction, and nothing that only watched."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rag.access import PrincipalId, TenantId
from rag.audit import event_of
from rag.errors import NotFound
from rag.reviews import ReviewId, flags_of, review_id_of
from rag.trail import Account, Direction, GuardVerdict, RequestId, Standing, Trail, UseCase


def verdict(
    check: str,
    standing: Standing = "flagged",
    *,
    direction: Direction = "input",
    score: float = 0.6,
    kinds: tuple[str, ...] = (),
    dry_run: bool = False,
) -> GuardVerdict:
    return GuardVerdict(
        check=check,
        direction=direction,
        standing=standing,
        score=score,
        kinds=kinds,
        dry_run=dry_run,
        policy="p1",
    )


def trail_with(*verdicts: GuardVerdict) -> Trail:
    return Trail(
        request=RequestId("t1"),
        account=Account(tenant=TenantId("acme"), user=PrincipalId("user:anna")),
        use_case=UseCase.CHAT,
        endpoint="/v1/chat/completions",
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        verdicts=list(verdicts),
    )


def test_only_what_was_flagged_is_looked_at() -> None:
    trail = trail_with(
        verdict("pii", "masked"),
        verdict("length", "passed"),
        verdict("topics", "blocked"),
        verdict("language", "not_run"),
        verdict("toxicity", dry_run=True),
        replace(verdict("secrets"), repeated=True),
    )
    assert flags_of(trail) == ()
    assert event_of(trail, action="chat", decision="done").flags == ()


def test_one_check_of_many_passages_is_one_flag_with_the_worst_score() -> None:
    trail = trail_with(
        verdict("injection", direction="evidence", score=0.5, kinds=("override",)),
        verdict("injection", direction="evidence", score=0.8, kinds=("role_play",)),
        verdict("injection", score=0.4),
    )
    of_evidence, of_input = event_of(trail, action="chat", decision="done").flags
    assert (of_evidence.direction, of_evidence.score) == ("evidence", 0.8)
    assert of_evidence.kinds == ("override", "role_play")
    assert (of_input.direction, of_input.use_case) == ("input", UseCase.CHAT)


def test_an_id_is_read_as_it_is_written() -> None:
    assert review_id_of(str(ReviewId(42, 1))) == ReviewId(42, 1)


@pytest.mark.parametrize("text", ["", "42", "42.0", "0.1", "x.1", "1.1.1", "9" * 20 + ".1"])
def test_what_is_no_id_names_nothing(text: str) -> None:
    with pytest.raises(NotFound):
        review_id_of(text)
