"""Whether one arm of an A/B rollout is better, by a test that may be looked at as often as one likes.

The test is the E-process for two proportions of Turner, Ly and Grünwald, "Generic E-variables for
exact sequential k-sample tests that allow for optional stopping", J. Stat. Plan. Inference 230
(2024), arXiv:2106.02693. It is exact, not asymptotic: if the arms are alike, the chance that it
ever names a winner, looked at after every question for ever, is at most `alpha`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import exp, log
from typing import assert_never

from rag.prompts.rollouts import Arm

PRIOR = 0.18
"""Good and bad outcomes that each arm is credited with at the start: the paper's choice."""


@dataclass(frozen=True, slots=True)
class Block:
    """Outcomes of both arms that are looked at together."""

    control_good: int = 0
    control: int = 0
    candidate_good: int = 0
    candidate: int = 0

    def __add__(self, other: "Block") -> "Block":
        return Block(
            self.control_good + other.control_good,
            self.control + other.control,
            self.candidate_good + other.candidate_good,
            self.candidate + other.candidate,
        )


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nobody knows yet which is better; it may be that neither is."""

    p_value: float
    """Always valid: it may be read at any time."""


@dataclass(frozen=True, slots=True)
class Winner:
    arm: Arm
    p_value: float


Result = Undecided | Winner


def compare(blocks: Iterable[Block], *, alpha: float = 0.05) -> Result:
    """What `blocks`, in the order in which they happened, say of the shares of good outcomes.

    How outcomes are cut into blocks must not depend on how they went: by time is right.
    """
    evidence, most, seen = 0.0, 0.0, Block()
    for block in _of_both_arms(blocks):
        evidence += log_e_value(block, seen)
        seen += block
        most = max(most, evidence)
        if most >= -log(alpha):
            # What was decided once stays decided, whatever comes later.
            return Winner(_better(seen), min(1.0, exp(-most)))
    return Undecided(min(1.0, exp(-most)))


def p_value_of(result: Result) -> float:
    match result:
        case Undecided(p_value) | Winner(p_value=p_value):
            return p_value
        case _:
            assert_never(result)


def _of_both_arms(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks run together until each holds outcomes of both arms: one of a single arm says nothing
    of a difference. Who was asked when decides that, and not how it went."""
    held = Block()
    for block in blocks:
        held += block
        if held.control and held.candidate:
            yield held
            held = Block()


def log_e_value(block: Block, seen: Block) -> float:
    """The logarithm of the block's E-variable: its likelihood if each arm goes on as it did so far,
    over that if both were one. The one is their mean by size, which makes its expectation at most
    1 whatever their true common share."""
    control = _share(seen.control_good, seen.control)
    candidate = _share(seen.candidate_good, seen.candidate)
    size = block.control + block.candidate
    common = (block.control * control + block.candidate * candidate) / size
    return (
        _log_likelihood(block.control_good, block.control, control)
        + _log_likelihood(block.candidate_good, block.candidate, candidate)
        - _log_likelihood(block.control_good + block.candidate_good, size, common)
    )


def _share(good: int, of: int) -> float:
    return (good + PRIOR) / (of + 2 * PRIOR)


def _log_likelihood(good: int, of: int, share: float) -> float:
    return good * log(share) + (of - good) * log(1 - share)


def _better(seen: Block) -> Arm:
    control, candidate = seen.control_good / seen.control, seen.candidate_good / seen.candidate
    return "candidate" if candidate > control else "control"
