"""Killed at any moment, the platform ends where an undisturbed one does, and shows nobody what it
should not.

This is a sample: `tests/benchmarks/bench_kills.py` kills hundreds of times. `tests.ingestion.kills`
has the world that is ingested and the processes that are killed.
"""

from pathlib import Path

from tests.ingestion.kills.runs import Compared, compare_distributed, compare_embedded

SEED = 11


def check(found: Compared, *, kills: int) -> None:
    assert sum(found.kills.values()) >= kills
    assert found.searches > 0
    assert found.checked_for_old_or_new > 0
    assert not found.faults
    assert not found.differences
    assert found.digests[0] == found.digests[1]
    assert (found.lost, found.doubled) == (0, 0)


def test_one_process_killed_at_any_moment_ends_where_an_undisturbed_one_does(
    tmp_path: Path,
) -> None:
    found = compare_embedded(tmp_path, seed=SEED, kills=8, files=6, a_state=4)
    check(found, kills=8)


def test_workers_killed_in_turn_end_where_undisturbed_ones_do(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    found = compare_distributed(
        tmp_path, seed=SEED, kills=6, files=8, a_state=3, server=postgres_url, redis=redis_url
    )
    check(found, kills=6)
