"""Where to cut a run of units (sentences, lines, rows) that is too long for one chunk."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np


def cut_at_best_gaps(
    sizes: Sequence[int], priorities: Sequence[tuple[float, str]], *, budget: int
) -> Iterator[range]:
    """Places of the units of each piece, in order; every piece but a single unit fits `budget`.

    `priorities` has one entry for each gap between two units. The best gap is cut first, then the
    best of each side, until everything fits. A gap's priority depends on the text around it alone,
    so an edit moves the cuts near it and leaves the others where they were: the idea of
    content-defined chunking (Muthitacharoen et al., LBFS, 2001), as a tree. O(n log n).
    """
    ends = [0, *accumulate(sizes)]
    best = _RangeMaximum(priorities)
    stack = [range(len(sizes))] if sizes else []
    while stack:
        piece = stack.pop()
        if len(piece) == 1 or ends[piece.stop] - ends[piece.start] <= budget:
            yield piece
            continue
        gap = best.within(_admissible(ends, piece, budget))
        stack += [range(gap + 1, piece.stop), range(piece.start, gap + 1)]


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

    def __init__(self, values: Sequence[tuple[float, str]]) -> None:
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
