"""Processes are killed between reserving and settling, again and again: nobody overspends, and all
that they held is given back. `tests/benchmarks/bench_budgets.py` does the same with many more."""

from pathlib import Path

import pytest

from tests.spenders import Caps, Store, watch


@pytest.mark.parametrize("counting", ["postgresql", "redis"])
async def test_nothing_is_overspent_by_processes_that_are_killed(
    counting: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if counting == "redis":
        redis_url = str(request.getfixturevalue("redis_url"))
        database_url = str(request.getfixturevalue("sqlite_database_url"))
        store = Store(database_url, redis_url.removesuffix("0") + "9")
    else:
        store = Store(str(request.getfixturevalue("postgres_database_url")), None)
    caps = Caps(tenant=9_000, team=3_000, user=330)
    watched = await watch(
        store, tmp_path / "log", caps, processes=2, reservations=600, kill_every=120
    )
    assert watched.overspent == []
    assert watched.wrong == []
    assert watched.held_at_the_end == 0
    # They were killed, left something open and came to the end of some of the caps.
    assert watched.kills >= 4
    assert watched.swept > 0
    assert watched.full > 0 and watched.refused > 0
