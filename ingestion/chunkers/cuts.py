"""Where to cut a run of units (sentences, lines, rows) that is too long for one chunk."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np

Priority = tuple[float, str]
"""How good a cut at a gap is, and what decides between equals."""
_REACH = 0.4
"""Of the budget: how far around a gap there must be no better one for it to be cut in any case."""


def cut_at_best_gaps(
    sizes: Sequence[int], priorities: Sequence[Priority], *, budget: int
) -> Iterator[range]:
    """Places of the units of each piece, in order; every piece but a single unit fits `budget`.

    `priorities` has one entry for each gap between two units. A gap with no better one near it is
    cut in any case. What is still too long is cut at its best gap, then each side at its best, until
    everything fits. A cut of the first kind hangs on the text near it alone, and one of the second
    on nothing beyond the next of the first, so an edit leaves the cuts elsewhere where they were:
    content-defined chunking (Muthitacharoen et al., LBFS, 2001). O(n log n).
    """
    ends = [0, *accumulate(sizes)]
    if ends[-1] <= budget:
        yield from [range(len(sizes))] if sizes else []
        return
    best = _RangeMaximum(priorities)
    cuts = [0, *(gap + 1 for gap in _local_maxima(ends, priorities, _REACH * budget)), len(sizes)]
    stack = [range(start, stop) for start, stop in pairwise(cuts)][::-1]
    while stack:
        piece = stack.pop()
        if len(piece) == 1 or ends[piece.stop] - ends[piece.start] <= budget:
            yield piece
            continue
        gap = best.within(_admissible(ends, piece, budget))
        stack += [range(gap + 1, piece.stop), range(piece.start, gap + 1)]


def _local_maxima(
    ends: Sequence[int], priorities: Sequence[Priority], reach: float
) -> Sequence[int]:
    """The gaps at least `reach` from both ends and from every better one; of equals, the first.

    One pass with a stack of the gaps that no later one has beaten so far: O(n).
    """
    maxima: set[int] = set()
    unbeaten: list[int] = []
    for gap, priority in enumerate(priorities):
        at = ends[gap + 1]
        while unbeaten and priorities[unbeaten[-1]] < priority:
            worse = unbeaten.pop()
            if at - ends[worse + 1] < reach:
                maxima.discard(worse)
        before = ends[unbeaten[-1] + 1] if unbeaten else 0
        if at - before >= reach and ends[-1] - at >= reach:
            maxima.add(gap)
        unbeaten.append(gap)
    return sorted(maxima)


def _admissible(ends: Sequence[int], piece: range, budget: int) -> range:
    """The gaps of `piece` to choose among, never none: gap i lies between units i and i + 1."""
    start, stop = ends[piece.start], ends[piece.stop]
    every = range(piece.start, piece.stop - 1)
    if stop - start <= 2 * budget:
        # Two pieces can be enough: make it two.
        first, last = stop - budget, start + budget
    else:
        # Leave no crumbs at either end.
        first, last = start + budget // 2, stop - budget // 2
    inner = range(
        max(every.start, bisect_left(ends, first) - 1),
        min(every.stop, bisect_right(ends, last) - 1),
    )
    return inner or every


class _RangeMaximum:
    """The place of the largest value in any range, the first of equals: a sparse table."""

    def __init__(self, values: Sequence[Priority]) -> None:
        order = sorted(range(len(values)), key=lambda place: (values[place], -place))
        ranks = np.empty(len(values), dtype=np.int64)
        ranks[order] = np.arange(len(values))
        self._places = np.array(order, dtype=np.int64)
        self._levels = [ranks]
        while (width := 1 << len(self._levels)) <= len(values):
            half = self._levels[-1]
            self._levels.append(np.maximum(half[: -(width // 2)], half[width // 2 :]))

    def within(self, places: range) -> int:
        level = len(places).bit_length() - 1
        table = self._levels[level]
        highest = max(table[places.start], table[places.stop - (1 << level)])
        return int(self._places[highest])
