"""What a question is answered with: labels, variants, and arms that stay with people."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import InvalidRequest, NotFound
from rag.gateway.money import Micro
from rag.prompts.choosing import Chosen, Outcome, PromptBook, ShippedPrompts, shipped_book
from rag.prompts.counting import NO_ROLLOUT, Counts, counted_for
from rag.prompts.registry import SHIPPED, VARIABLES
from rag.prompts.rollouts import (
    SHARES,
    Candidate,
    ModelCandidate,
    Plan,
    ProfileCandidate,
    PromptCandidate,
    Rollout,
    RolloutId,
    candidate_of,
    check_rollout,
    place_of,
    told_of,
)
from rag.prompts.versions import EVERY_TENANT, PromptVersion
from tests.rag.prompts.values import ACME, OTHER, account, content, variant

MOMENT = datetime(2026, 11, 21, 12, 30, 59, tzinfo=UTC)
NEW = PromptVersion(name="answer", version="own-1", tenant=ACME, content=content("New."))
SHIPPED_KEY = shipped_book().choose("answer", account(), locale="", audience="").prompt.key


def rollout(
    candidate: Candidate | None = None,
    *,
    number: int = 1,
    plan: Plan = Plan.AB,
    share: float = 0.5,
    tenant: str = ACME,
) -> Rollout:
    return Rollout(
        id=RolloutId(number),
        tenant=ACME if tenant == ACME else EVERY_TENANT,
        name="answer",
        plan=plan,
        candidate=PromptCandidate(NEW.key) if candidate is None else candidate,
        share=share,
        salt=f"{number:032x}",
        budget=Micro(1_000) if plan is Plan.SHADOW else None,
        started_at=MOMENT,
        started_by="user:admin",
    )


def book(*running: Rollout) -> PromptBook:
    shipped = shipped_book()
    return replace(
        shipped,
        versions={**shipped.versions, (ACME, NEW.key): NEW},
        rollouts={
            (owner, "answer"): tuple(each for each in running if each.tenant == owner)
            for owner in (ACME, EVERY_TENANT)
        },
    )


def choose(chosen_from: PromptBook, user: str = "anna", tenant: str = ACME) -> Chosen:
    who = account(user, ACME if tenant == ACME else OTHER)
    return chosen_from.choose("answer", who, locale="", audience="")


def test_every_prompt_that_is_asked_for_is_there_without_a_ledger() -> None:
    prompts = ShippedPrompts()
    for name in VARIABLES:
        assert prompts.choose(name, account()).prompt.version == SHIPPED[name]
    with pytest.raises(NotFound):
        prompts.choose("nothing", account())
    assert ShippedPrompts().canary != prompts.canary
    chosen = {prompts.choose(name, account()).prompt for name in VARIABLES}
    assert chosen <= set(prompts.book.prompts())


@pytest.mark.parametrize(
    ("locale", "audience", "words"),
    [
        ("", "", "Any."),
        ("fr", "customer", "Any."),
        ("de", "", "German."),
        ("de-AT", "", "German."),
        ("DE_at", "customer", "German."),
        ("en", "staff", "Staff."),
        ("de", "staff", "German staff."),
    ],
)
def test_the_variant_that_fits_best_is_taken(locale: str, audience: str, words: str) -> None:
    version = PromptVersion(
        name="answer",
        version="own-1",
        content=content(
            "Any.",
            variant("German.", locale="de"),
            variant("Staff.", audience="staff"),
            variant("German staff.", locale="de", audience="staff"),
        ),
    )
    prompt = version.prompt(locale=locale, audience=audience)
    assert prompt.system.endswith(f" {words}")
    assert prompt.key == version.key
    assert prompt.id in version.ids
    assert len(set(version.ids)) == 4


@given(st.lists(st.text(max_size=20), unique=True, min_size=1, max_size=20))
def test_a_person_always_gets_the_same_arm(users: list[str]) -> None:
    running = book(rollout())
    assert [choose(running, user) for user in users] == [choose(running, user) for user in users]


@given(st.text(max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_those_who_had_the_candidate(
    user: str, one: float, two: float
) -> None:
    small, large = sorted((one, two))
    before = rollout(share=small).arm_of(account(user))
    after = rollout(share=large).arm_of(account(user))
    assert (before, after) != ("candidate", "control")


def test_a_share_of_the_people_gets_the_candidate() -> None:
    running = book(rollout(plan=Plan.CANARY, share=0.1))
    keys = Counter(choose(running, f"user{number}").prompt.key for number in range(5_000))
    assert 0.08 < keys[NEW.key] / 5_000 < 0.12
    assert keys[SHIPPED_KEY] == 5_000 - keys[NEW.key]


def test_another_rollout_picks_other_people() -> None:
    people = [account(f"user{number}") for number in range(2_000)]
    first = {each.user for each in people if rollout(number=1).arm_of(each) == "candidate"}
    second = {each.user for each in people if rollout(number=2).arm_of(each) == "candidate"}
    assert 0.4 < len(first & second) / len(first) < 0.6


def test_people_of_the_same_name_in_two_tenants_are_two() -> None:
    assert place_of("00" * 16, account()) != place_of("00" * 16, account(tenant=OTHER))


def test_what_is_tried_for_every_tenant_is_not_tried_where_a_tenant_has_its_own() -> None:
    everyones = rollout(ModelCandidate("large"), number=7, tenant=EVERY_TENANT)
    assert choose(book(everyones)).rollout.startswith("7/")
    assert choose(book(everyones), tenant=OTHER).rollout.startswith("7/")
    own_model = rollout(ModelCandidate("small"), number=8)
    assert choose(book(everyones, own_model)).rollout.startswith("8/")
    own_label = replace(
        book(everyones), production={**book().production, (ACME, "answer"): NEW.key}
    )
    assert choose(own_label).rollout == ""
    assert choose(own_label).prompt.key == NEW.key


def test_a_prompt_a_model_and_a_profile_may_be_tried_at_once() -> None:
    running = book(
        rollout(number=1, share=0.9),
        rollout(ModelCandidate("large"), number=2, share=0.9),
        rollout(ProfileCandidate({"passages": 12}), number=3, share=0.9),
    )
    chosen = next(
        each
        for each in (choose(running, f"user{number}") for number in range(100))
        if each.rollout == "1/candidate,2/candidate,3/candidate"
    )
    assert (chosen.prompt.key, chosen.model, dict(chosen.profile)) == (
        NEW.key,
        "large",
        {"passages": 12},
    )
    assert chosen.is_trial


def test_a_shadow_runs_beside_the_ordinary_answer() -> None:
    chosen = choose(book(rollout(plan=Plan.SHADOW, share=1.0)))
    assert chosen.prompt.key == SHIPPED_KEY
    assert chosen.shadow is not None
    assert chosen.shadow.prompt.key == NEW.key
    assert (chosen.rollout, chosen.is_trial) == ("", False)


def test_a_shadow_is_drawn_by_question_and_not_by_person() -> None:
    running = book(rollout(plan=Plan.SHADOW, share=0.5))
    drawn = Counter(choose(running).shadow is not None for _ in range(400))
    assert set(drawn) == {True, False}


@pytest.mark.parametrize(
    "candidate",
    [PromptCandidate(NEW.key), ModelCandidate("m"), ProfileCandidate({"rerank": True})],
)
def test_a_candidate_is_read_as_it_was_written(candidate: Candidate) -> None:
    assert candidate_of(told_of(candidate)) == candidate


@pytest.mark.parametrize("plan", list(Plan))
def test_shares_have_bounds(plan: Plan) -> None:
    least, most = SHARES[plan]
    budget = Micro(1) if plan is Plan.SHADOW else None
    candidate = PromptCandidate(NEW.key)
    for share in (least, most):
        check_rollout(plan, candidate, share=share, budget=budget)
    for share in (least / 2, most * 1.01):
        with pytest.raises(InvalidRequest):
            check_rollout(plan, candidate, share=share, budget=budget)
    with pytest.raises(InvalidRequest):
        check_rollout(plan, candidate, share=most, budget=None if plan is Plan.SHADOW else Micro(1))


# --- counting ----------------------------------------------------------------------------------


def outcome(chosen: Chosen, *, shadow: bool = False, grounded: bool | None = True) -> Outcome:
    return Outcome(
        chosen=chosen, ok=True, grounded=grounded, latency_ms=20, cost=Micro(3), shadow=shadow
    )


def test_an_ordinary_outcome_counts_for_the_version_and_a_trial_only_for_its_arm() -> None:
    ordinary = counted_for(outcome(choose(book())), MOMENT)
    assert [(each.version, each.rollout, each.arm) for each in ordinary] == [
        (SHIPPED_KEY, NO_ROLLOUT, "")
    ]
    assert ordinary[0].minute == MOMENT.replace(second=0)
    running = book(rollout(share=0.5))
    arms = {
        choose(running, f"user{number}").rollout: choose(running, f"user{number}")
        for number in range(50)
    }
    control = counted_for(outcome(arms["1/control"]), MOMENT)
    candidate = counted_for(outcome(arms["1/candidate"]), MOMENT)
    assert [(each.rollout, each.arm) for each in control] == [(0, ""), (1, "control")]
    assert [(each.version, each.arm) for each in candidate] == [(NEW.key, "candidate")]


def test_a_shadow_and_the_answer_beside_it_are_the_two_arms() -> None:
    chosen = choose(book(rollout(plan=Plan.SHADOW, share=1.0)))
    answer, shadow = outcome(chosen), outcome(chosen, shadow=True)
    told = [(each.rollout, each.arm, each.version) for each in counted_for(answer, MOMENT)]
    assert told == [(0, "", SHIPPED_KEY), (1, "control", SHIPPED_KEY)]
    [only] = counted_for(shadow, MOMENT)
    assert (only.rollout, only.arm, only.version) == (1, "candidate", NEW.key)


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 30))
def test_what_the_ledger_did_not_take_is_counted_once_in_the_end(
    oks: list[bool], taken_after: int
) -> None:
    counts, chosen = Counts(), choose(book())
    for number, ok in enumerate(oks):
        counts.add(replace(outcome(chosen), ok=ok), moment=MOMENT, slow_ms=10)
        if number == taken_after:
            counts.give_back(counts.take())
    taken = counts.take()
    assert sum(tally.asked for tally in taken.values()) == len(oks)
    assert sum(tally.failed for tally in taken.values()) == oks.count(False)
    assert sum(tally.slow for tally in taken.values()) == len(oks)
    assert counts.held == {}


def test_counts_that_do_not_fit_are_dropped_and_told() -> None:
    counts = Counts(most=1)
    for minute in (0, 1, 1, 0):
        counts.add(outcome(choose(book())), moment=MOMENT.replace(minute=minute), slow_ms=1_000)
    assert len(counts.held) == 1
    assert counts.dropped == 2
