"""The cutting of a run of units at its best gaps."""

from hypothesis import given
from hypothesis import strategies as st

from ingestion.chunkers.cuts import cut_at_best_gaps

Gaps = list[tuple[float, str]]
Run = list[tuple[int, float, str]]
"""Units: the size of each, and the priority of the gap before it with what decides a tie."""
unit = st.tuples(st.integers(1, 120), st.floats(-1, 2), st.text("abc", max_size=2))
runs = st.lists(unit, max_size=80)


@given(runs, st.integers(1, 200))
def test_pieces_hold_every_unit_once_and_fit(run: Run, budget: int) -> None:
    sizes = [size for size, _, _ in run]
    gaps: Gaps = [(priority, tie) for _, priority, tie in run[1:]]

    pieces = list(cut_at_best_gaps(sizes, gaps, budget=budget))

    assert [unit for piece in pieces for unit in piece] == list(range(len(sizes)))
    assert all(len(piece) == 1 or sum(sizes[unit] for unit in piece) <= budget for piece in pieces)


stretches = st.lists(unit, min_size=1, max_size=40)


@given(stretches, stretches, stretches, stretches)
def test_what_lies_beyond_a_gap_that_nothing_near_beats_moves_no_cut(
    left: Run,
    middle: Run,
    edited: Run,
    right: Run,
) -> None:
    budget = 150

    def padded(run: Run) -> Run:
        """At least half a budget long, and led by the best gap of all."""
        (size, _, tie), *rest = run
        return [(size + budget // 2, 9.0, tie), *rest]

    def outside(between: Run) -> tuple[list[range], list[range]]:
        """The pieces before and after `between`, each counted from its own end of the whole."""
        run = [*padded(left), *padded(between), *padded(right)]
        gaps: Gaps = [(priority, tie) for _, priority, tie in run[1:]]
        pieces = list(cut_at_best_gaps([size for size, _, _ in run], gaps, budget=budget))
        first, last = len(left), len(run) - len(right)
        return (
            [piece for piece in pieces if piece.start < first],
            [range(piece.start - last, piece.stop - last) for piece in pieces if piece.stop > last],
        )

    before, after = outside(middle), outside(edited)

    assert before == after
    assert before[0][-1].stop == len(left)
    assert before[1][0].start == 0


def test_the_best_gap_is_cut_where_either_would_do() -> None:
    gaps: Gaps = [(0.1, ""), (0.9, ""), (0.2, "")]

    assert list(cut_at_best_gaps([10] * 4, gaps, budget=30)) == [range(2), range(2, 4)]


def test_a_run_that_fits_is_not_cut() -> None:
    assert list(cut_at_best_gaps([10, 10], [(9.0, "")], budget=20)) == [range(2)]


def test_a_hundred_thousand_sorted_units_are_cut_without_delay() -> None:
    count = 100_000
    gaps: Gaps = [(float(n), "") for n in range(count - 1)]

    pieces = list(cut_at_best_gaps([10] * count, gaps, budget=100))

    assert len(pieces) < count / 4
