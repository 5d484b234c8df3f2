"""When a failed job runs again."""

import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingestion.retry import OUTAGE, Again, GiveUp, NeverAgain, RetryPolicy
from rag.errors import ConfigurationError, ParseError, RateLimited, TransientError

ERRORS = st.sampled_from([TransientError("x"), ZeroDivisionError(), TimeoutError()])


@given(error=ERRORS, attempts=st.integers(1, 100), seed=st.integers())
def test_delays_grow_stay_in_bounds_and_end(error: Exception, attempts: int, seed: int) -> None:
    policy = RetryPolicy()
    verdict = policy.verdict(error, attempts=attempts, max_attempts=50, rng=random.Random(seed))
    if attempts >= 50:
        assert verdict == GiveUp()
        return
    assert isinstance(verdict, Again)
    middle = min(policy.first_delay * 2 ** min(attempts - 1, 20), policy.longest_delay)
    assert middle * 0.75 <= verdict.delay <= middle * 1.25


@given(seconds=st.floats(0, 10_000), attempts=st.integers(1, 4))
def test_nobody_returns_sooner_than_he_was_asked_to(seconds: float, attempts: int) -> None:
    error = RateLimited("slow down", retry_after_s=seconds)
    verdict = RetryPolicy().verdict(error, attempts=attempts, max_attempts=5, rng=random.Random(1))
    assert isinstance(verdict, Again)
    assert verdict.delay >= timedelta(seconds=seconds)


@given(attempts=st.integers(1, 10))
def test_what_cannot_succeed_is_not_tried_again(attempts: int) -> None:
    for error in (ParseError("x"), ConfigurationError("x")):
        verdict = RetryPolicy().verdict(
            error, attempts=attempts, max_attempts=20, rng=random.Random(1)
        )
        assert verdict == NeverAgain()


@given(attempts=st.integers(1, 200), error=st.sampled_from(OUTAGE))
def test_an_outage_of_our_own_parts_uses_up_no_documents_attempts(
    attempts: int, error: type[TransientError]
) -> None:
    policy = RetryPolicy()
    verdict = policy.verdict(error("away"), attempts=attempts, max_attempts=5, rng=random.Random(1))
    assert (verdict == GiveUp()) is (attempts >= policy.outage_attempts)
