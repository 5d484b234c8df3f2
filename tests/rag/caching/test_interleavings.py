"""Whatever changes between an answer and its next asker, nothing is shown that may not be read.

`tests/benchmarks/bench_answer_cache.py` plays 100,000 steps of the same game.
"""

from rag.gateway.answer_cache.cache import CacheLimits
from rag.storage.database import Database
from tests.rag.caching.company import Company
from tests.rag.caching.interleavings import interleave

NEVER_NOTICED = CacheLimits(threshold=0.5, changes_ignored_s=1e9, refresh_s=0)
"""That a document changed is not even looked for: what is left is what each answer rests on."""


async def test_nothing_leaks_by_the_evidence_alone(database: Database) -> None:
    played = await interleave(Company(database, limits=NEVER_NOTICED), steps=300, seed=1)
    assert played.leaks == []
    # It was worth asking: much was given, and much would have been that must not be.
    given = played.counted["exact hits"] + played.counted["semantic hits"]
    kept_back = sum(cache.tally.dropped["not_admitted"] for cache in played.caches)
    assert given > 15 and played.counted["semantic hits"] > 3 and kept_back > 3
    assert played.counted["kept late"] > 3


async def test_nothing_leaks_where_changes_are_noticed(sqlite_database: Database) -> None:
    limits = CacheLimits(threshold=0.5, refresh_s=0)
    played = await interleave(Company(sqlite_database, limits=limits), steps=300, seed=2)
    assert played.leaks == []
