"""How sure the platform is of an answer, as one number, 0 to 1."""

import math
from dataclasses import dataclass

_LEAST = 0.02
"""Below this no part is taken, so that one part alone cannot say never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What is known of an answer when it is finished."""

    groundedness: float
    """Support of its least supported sentence, 0 to 1."""
    agreement: float
    """Share of the passages that both searches found, 0 to 1."""
    model: float | None = None
    """The model's own: the mean probability of its tokens, or what an extractive one estimates."""


def confidence_of(signs: Signs) -> float:
    """The weighted geometric mean of the signs: a weak one is not made up for by the others.

    Where the model says how sure it is, that counts most. It orders answers; it is no probability
    until it is calibrated on questions of one's own.
    """
    parts = [(0.4, signs.groundedness), (0.1, signs.agreement)]
    if signs.model is not None:
        parts.append((0.5, signs.model))
    total = sum(weight for weight, _ in parts)
    logs = sum(weight * math.log(max(_LEAST, min(1.0, value))) for weight, value in parts)
    return math.exp(logs / total)
