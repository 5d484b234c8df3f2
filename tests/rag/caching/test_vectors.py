"""What is held in memory of the kept answers: what was kept, found by its vector, and not for ever."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag.gateway.answer_cache.entries import KeptAnswerId, KeptQuestion
from rag.gateway.answer_cache.vectors import QuestionVectors
from rag.types import Vector

BEGAN = datetime(2026, 11, 21, tzinfo=UTC)


def vector_of(number: int) -> Vector:
    vector = np.zeros(200, np.float32)
    vector[number] = 1.0
    return vector


def question(number: int) -> KeptQuestion:
    return KeptQuestion(
        KeptAnswerId(str(number)),
        f"question {number}",
        vector_of(number),
        BEGAN + timedelta(seconds=number),
    )


@given(
    removed=st.sets(st.integers(0, 149), max_size=60),
    forgotten=st.integers(0, 150),
)
def test_exactly_what_was_neither_removed_nor_too_old_is_found(
    removed: set[int], forgotten: int
) -> None:
    held = QuestionVectors()
    held.add(map(question, range(150)))
    held.remove([KeptAnswerId(str(number)) for number in removed])
    held.forget_before(BEGAN + timedelta(seconds=forgotten))
    for number in range(150):
        found = [near.id for near in held.near(vector_of(number), threshold=0.9)]
        is_there = number >= forgotten and number not in removed
        assert found == ([str(number)] if is_there else [])
    assert len(held.rows) == len({*range(forgotten, 150)} - removed)
