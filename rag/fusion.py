"""Merging several rankings of the same chunks into one."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from rag.types import ChunkId, IndexHit

Ranking = Sequence[IndexHit]
Fusion = Callable[[Sequence[tuple[Ranking, float]]], list[IndexHit]]
"""Rankings with their weights to one ranking that holds every chunk of theirs once."""


def reciprocal_rank_fusion(
    rankings: Sequence[tuple[Ranking, float]], *, k: int = 60
) -> list[IndexHit]:
    """Score each chunk by the sum of weight / (k + rank) over the rankings it is in.

    It needs no score calibration, since it reads ranks alone (Cormack et al., SIGIR 2009).
    """
    scores: defaultdict[ChunkId, float] = defaultdict(float)
    for ranking, weight in rankings:
        for rank, hit in enumerate(ranking, start=1):
            scores[hit.chunk] += weight / (k + rank)
    return _ranked(scores)


def normalised_sum_fusion(rankings: Sequence[tuple[Ranking, float]]) -> list[IndexHit]:
    """Score each chunk by the weighted sum of its min-max normalised scores.

    The best of a ranking gets 1 there and the worst 0, as does a chunk the ranking lacks. It keeps
    what ranks throw away: how much better one hit is than the next (Fox and Shaw's CombSUM, TREC-2).
    """
    scores: defaultdict[ChunkId, float] = defaultdict(float)
    for ranking, weight in rankings:
        if not ranking:
            continue
        best = max(hit.score for hit in ranking)
        worst = min(hit.score for hit in ranking)
        spread = best - worst
        for hit in ranking:
            share = (hit.score - worst) / spread if spread > 0 else 1.0
            scores[hit.chunk] += weight * share
    return _ranked(scores)


def _ranked(scores: dict[ChunkId, float]) -> list[IndexHit]:
    fused = [IndexHit(chunk, score) for chunk, score in scores.items()]
    return sorted(fused, key=lambda hit: (-hit.score, hit.chunk))
