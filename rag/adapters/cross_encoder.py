"""Reranking by a sentence-transformers cross-encoder, by hub id or local path.

Importing this module imports torch: it is imported only where such a model is chosen.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import monotonic
from types import MappingProxyType
from typing import Any

import numpy as np
from sentence_transformers import CrossEncoder

from rag.errors import ConfigurationError
from rag.protocols import EmbeddedQuery, Reranked
from rag.types import RetrievedChunk

_FIRST_WINDOW = 2
"""Candidates of the first call, which tells how many the next may take."""


class CrossEncoderReranker:
    """Question and chunk read together: the best order there is, at a model call a candidate.

    Candidates are scored in their fused order, a few at a time, as long as the next few can be
    expected to fit the budget. Those that were scored come first, by score.
    Raises `ConfigurationError` where the model cannot be loaded.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        batch_size: int = 8,
        max_tokens: int | None = None,
        device: str = "cpu",
    ) -> None:
        try:
            self._model: Any = CrossEncoder(str(model), max_length=max_tokens, device=device)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise ConfigurationError(f"the cross-encoder {model} cannot be loaded") from error
        if self._model.num_labels != 1:
            raise ConfigurationError(f"{model} classifies pairs; a reranker gives them one score")
        self._batch_size = batch_size
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="cross-encoder")

    async def rerank(
        self, query: EmbeddedQuery, candidates: Sequence[RetrievedChunk], *, budget_s: float
    ) -> Reranked:
        deadline = monotonic() + budget_s
        abandoned = Event()
        scores: list[float] = []

        def score() -> None:
            pairs = [(query.query.text, hit.chunk.embedded_text) for hit in candidates]
            for window in self._windows(pairs, deadline, abandoned):
                scores.extend(window)

        try:
            async with asyncio.timeout(budget_s):
                await asyncio.get_running_loop().run_in_executor(self._executor, score)
        except TimeoutError:
            pass  # what was scored by now is used
        finally:
            abandoned.set()
        return _ordered(candidates, tuple(scores))

    async def aclose(self) -> None:
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

    def _windows(
        self, pairs: Sequence[tuple[str, str]], deadline: float, abandoned: Event
    ) -> Iterator[list[float]]:
        """Scores of `pairs` in order, a window at a time, while there is time for the next."""
        done, size = 0, _FIRST_WINDOW
        while done < len(pairs) and size > 0 and not abandoned.is_set():
            start = monotonic()
            if start >= deadline:
                return
            window = pairs[done : done + size]
            yield self._scores(window)
            done += len(window)
            seconds_a_pair = (monotonic() - start) / len(window)
            affordable = int((deadline - monotonic()) / max(seconds_a_pair, 1e-9))
            size = min(self._batch_size, affordable)

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        # One batch, padded to its longest pair: half the window at a time when lengths differ much.
        order = sorted(range(len(pairs)), key=lambda place: len(pairs[place][1]))
        scores: Any = self._model.predict(
            [pairs[place] for place in order],
            batch_size=max(1, self._batch_size // 2),
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        by_place = dict(zip(order, np.asarray(scores, dtype=float).tolist(), strict=True))
        return [by_place[place] for place in range(len(pairs))]


def _ordered(candidates: Sequence[RetrievedChunk], scores: Sequence[float]) -> Reranked:
    """`scores` are of the first candidates; a tie keeps the fused order."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    ranked = [
        replace(
            candidates[place],
            score=scores[place],
            ranks=replace(candidates[place].ranks, rerank=rank),
            stage_scores=MappingProxyType(
                dict(candidates[place].stage_scores) | {"rerank": scores[place]}
            ),
        )
        for rank, place in enumerate(order, start=1)
    ]
    rest = candidates[len(scores) :]
    return Reranked((*ranked, *rest), complete=not rest)
