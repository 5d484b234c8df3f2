"""What to try when an answer is not carried by the evidence: a stricter prompt, then less, then no."""

from dataclasses import dataclass
from enum import StrEnum


class Rung(StrEnum):
    """What was tried last, in the order in which it is tried."""

    ANSWER = "answer"
    STRICT = "answer-strict"
    """Asked again with the prompt of this name, which lets a model copy and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What became of one try."""

    sentences: int
    """Sentences that the model wrote."""
    supported: int
    abstained: bool = False
    """Whether the model itself said that there is no answer."""


class Step(StrEnum):
    RELEASE = "release"
    """All of it, or what of it is supported: a smaller claim."""
    RETRY = "retry"
    """With the prompt `Rung.STRICT`, on the same evidence."""
    REFUSE = "refuse"


def next_step(rung: Rung, draft: Draft, *, released: bool) -> Step:
    """What follows. Nothing is tried again once a part was released: it is not taken back."""
    if draft.supported:
        return Step.RELEASE
    if draft.abstained or released or rung is Rung.STRICT:
        return Step.REFUSE
    return Step.RETRY
