"""When a winner is named, and when a version must go."""

import random
from itertools import product
from math import comb, exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.prompts.experiments import (
    Block,
    Undecided,
    Winner,
    compare,
    log_e_value,
    p_value_of,
)
from rag.prompts.tallies import Limits, Tally, at_least, faults_of, total

outcomes = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda two: (min(two), max(two)))
blocks = st.tuples(outcomes, outcomes).map(lambda arms: Block(*arms[0], *arms[1]))


def stream(
    seed: int, *, control: float, candidate: float, share: float = 0.5, minutes: int = 300
) -> list[Block]:
    """Some minutes of questions, a few in each, whose outcomes are drawn."""
    rolls = random.Random(seed)
    drawn: list[Block] = []
    for _ in range(minutes):
        block = Block()
        for _ in range(rolls.randint(0, 8)):
            if rolls.random() < share:
                block += Block(candidate_good=rolls.random() < candidate, candidate=1)
            else:
                block += Block(control_good=rolls.random() < control, control=1)
        drawn.append(block)
    return drawn


@given(
    seen=blocks,
    control=st.integers(1, 4),
    candidate=st.integers(1, 4),
    truth=st.floats(0.01, 0.99),
)
def test_what_one_block_says_against_equal_arms_is_at_most_1_on_average(
    seen: Block, control: int, candidate: int, truth: float
) -> None:
    """That is all the guarantee rests on: it holds for any past and any common share."""
    mean = 0.0
    for good, other in product(range(control + 1), range(candidate + 1)):
        chance = comb(control, good) * comb(candidate, other)
        chance *= truth ** (good + other) * (1 - truth) ** (control + candidate - good - other)
        mean += chance * exp(log_e_value(Block(good, control, other, candidate), seen))
    assert mean <= 1 + 1e-9


def test_equal_arms_seldom_have_a_winner_however_often_one_looks() -> None:
    named = sum(
        isinstance(compare(stream(seed, control=0.9, candidate=0.9)), Winner) for seed in range(100)
    )
    assert named <= 5


@pytest.mark.parametrize(
    ("control", "candidate", "arm"), [(0.75, 0.95, "candidate"), (0.95, 0.75, "control")]
)
def test_a_clear_difference_is_found_and_named_the_right_way_round(
    control: float, candidate: float, arm: str
) -> None:
    for seed in range(10):
        result = compare(stream(seed, control=control, candidate=candidate))
        assert isinstance(result, Winner)
        assert (result.arm, result.p_value <= 0.05) == (arm, True)


@given(st.lists(blocks, max_size=12))
def test_evidence_that_was_there_once_never_goes_away(seen: list[Block]) -> None:
    values = [p_value_of(compare(seen[:end])) for end in range(len(seen) + 1)]
    assert values == sorted(values, reverse=True)
    assert all(0 <= value <= 1 for value in values)


@given(st.lists(outcomes, max_size=20), st.booleans())
def test_one_arm_alone_says_nothing(seen: list[tuple[int, int]], candidate: bool) -> None:  # noqa: FBT001
    alone = [Block(0, 0, *each) if candidate else Block(*each) for each in seen]
    assert compare(alone) == Undecided(1.0)


def test_outcomes_that_are_alike_decide_nothing() -> None:
    assert isinstance(compare([Block(5, 5, 5, 5)] * 500), Undecided)


# --- going back --------------------------------------------------------------------------------

GOOD = Tally(asked=1_000, failed=10, judged=900, grounded=880, slow=50, latency_ms=10)
LIMITS = Limits()


@pytest.mark.parametrize(
    ("new", "figure"),
    [
        (Tally(asked=200, failed=30, judged=170, grounded=167), "errors"),
        (Tally(asked=200, failed=2, judged=190, grounded=150), "unsupported answers"),
        (Tally(asked=200, failed=2, judged=190, grounded=186, slow=80), "slow answers"),
    ],
)
def test_each_figure_that_is_clearly_worse_is_named(new: Tally, figure: str) -> None:
    [fault] = faults_of(new, GOOD, LIMITS)
    assert figure in fault
    assert faults_of(GOOD, GOOD, LIMITS) == ()


def test_a_few_unlucky_questions_take_nothing_back() -> None:
    assert faults_of(Tally(asked=29, failed=29), GOOD, LIMITS) == ()
    assert faults_of(Tally(asked=40, failed=2), GOOD, LIMITS) == ()


def test_without_anything_to_compare_with_the_ceilings_hold() -> None:
    bad = Tally(asked=100, failed=30)
    assert "nothing to compare with" in faults_of(bad, Tally(), LIMITS)[0]
    assert faults_of(Tally(asked=100, failed=6), Tally(), LIMITS) == ()


@given(st.integers(1, 10_000), st.data())
def test_the_lower_end_of_a_share_lies_below_the_share(of: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, of))
    assert 0 <= at_least(bad, of) <= bad / of + 1e-12
    assert at_least(bad * 10, of * 10) >= at_least(bad, of) - 1e-12


def test_tallies_add_up() -> None:
    both = total([GOOD, GOOD])
    assert (both.asked, both.ungrounded, both.good) == (2_000, 40, 1_940)
    assert Tally().mean_latency_ms == 0.0
