"""The vectors of a partition's questions in memory, to find those that are near another."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from rag.gateway.answer_cache.entries import KeptAnswerId, KeptQuestion
from rag.types import Vector


@dataclass(slots=True)
class QuestionVectors:
    """One partition's. Grows by doubling; a place that was left is taken by the last."""

    rows: list[KeptQuestion] = field(default_factory=list[KeptQuestion])
    latest: datetime | None = None
    """When the newest of those that were ever added was kept."""
    looked_at: float | None = None
    """When the store was last asked for new ones, on the monotonic clock."""
    _matrix: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    _place: dict[KeptAnswerId, int] = field(default_factory=dict[KeptAnswerId, int])

    def add(self, questions: Iterable[KeptQuestion]) -> None:
        for question in questions:
            if self.latest is None or question.kept_at > self.latest:
                self.latest = question.kept_at
            if question.id in self._place:
                continue
            self._place[question.id] = len(self.rows)
            self._row(len(self.rows), question.vector)
            self.rows.append(question)

    def forget_before(self, moment: datetime) -> None:
        """Those that were kept earlier. They stand in about the order in which they were kept."""
        old: list[KeptAnswerId] = []
        for answer, place in self._place.items():
            if self.rows[place].kept_at >= moment:
                break
            old.append(answer)
        self.remove(old)

    def remove(self, answers: Collection[KeptAnswerId]) -> None:
        for answer in answers:
            place = self._place.pop(answer, None)
            if place is None:
                continue
            last = self.rows.pop()
            if last.id != answer:
                self.rows[place] = last
                self._place[last.id] = place
                self._matrix[place] = last.vector

    def near(self, vector: Vector, *, threshold: float) -> list[KeptQuestion]:
        """Those of at least that cosine, the nearest first."""
        if not self.rows or self._matrix.shape[1] != vector.shape[0]:
            return []
        cosines = self._matrix[: len(self.rows)] @ vector
        [found] = np.nonzero(cosines >= threshold)
        return [self.rows[place] for place in found[np.argsort(-cosines[found], kind="stable")]]

    def _row(self, place: int, vector: Vector) -> None:
        if place >= len(self._matrix):
            grown = np.zeros((max(64, 2 * place), vector.shape[0]), np.float32)
            if place:
                grown[:place] = self._matrix[:place]
            self._matrix = grown
        self._matrix[place] = vector


@dataclass(slots=True)
class PartitionsInMemory:
    """Those used last."""

    most: int = 64
    _held: OrderedDict[str, QuestionVectors] = field(
        default_factory=OrderedDict[str, QuestionVectors]
    )

    def of(self, partition: str) -> QuestionVectors:
        vectors = self._held.setdefault(partition, QuestionVectors())
        self._held.move_to_end(partition)
        while len(self._held) > self.most:
            self._held.popitem(last=False)
        return vectors

    def clear(self) -> None:
        self._held.clear()
