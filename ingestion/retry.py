"""When a failed job runs again, if ever."""

import random
from dataclasses import dataclass
from datetime import timedelta

from rag.errors import (
    ConfigurationError,
    IndexUnavailable,
    ModelUnavailable,
    PermanentError,
    StorageUnavailable,
    TransientError,
)

OUTAGE = (IndexUnavailable, ModelUnavailable, StorageUnavailable)
"""What the platform itself lacks for now: no document is at fault, and every job would fail."""


@dataclass(frozen=True, slots=True)
class Again:
    delay: timedelta


@dataclass(frozen=True, slots=True)
class NeverAgain:
    """Trying again would not help; the error says what would."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It failed as often as it may."""


Verdict = Again | NeverAgain | GiveUp


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Doubling delays with jitter, so that those who failed together do not return together."""

    first_delay: timedelta = timedelta(seconds=2)
    longest_delay: timedelta = timedelta(minutes=10)
    jitter: float = 0.25
    outage_attempts: int = 100
    """How often a job is tried through an outage: most of a day, at the longest delay."""

    def verdict(
        self, error: BaseException, *, attempts: int, max_attempts: int, rng: random.Random
    ) -> Verdict:
        """What to do after the `attempts`-th attempt ended in `error`.

        An error that nobody foresaw is retried like a passing one, and an outage of the platform's
        own parts for longer: what it held up goes on by itself when it is over. Where the other side said how
        long to wait, no attempt comes before that.
        """
        if isinstance(error, PermanentError | ConfigurationError):
            return NeverAgain()
        most = max_attempts
        if isinstance(error, OUTAGE):
            most = max(most, self.outage_attempts)
        if attempts >= most:
            return GiveUp()
        doubled = self.first_delay * 2 ** min(attempts - 1, 30)
        delay = min(doubled, self.longest_delay) * rng.uniform(1 - self.jitter, 1 + self.jitter)
        asked = error.retry_after_s if isinstance(error, TransientError) else None
        return Again(delay if asked is None else max(delay, timedelta(seconds=asked)))
