"""A platform that follows one source, and what came of it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ingestion.dispatch import running
from ingestion.sync import SyncLedger, synchronise
from ingestion.sync_settings import SyncSettings
from rag.storage.database import Database
from rag.storage.embeddings import CachedEmbedder, EmbeddingCache
from rag.storage.jobs.records import Job, JobState
from rag.storage.sources.records import Tally
from rag.storage.sources.snapshots import Snapshots
from tests.ingestion.feed import Feed
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.standins import HashEmbedder

FINANCE = "group:finance"
NO_OVERLAP = SyncSettings(overlap=timedelta(0))
LISTED_ANEW = replace(NO_OVERLAP, reconcile_every=timedelta(0))


class Following:
    """A platform that follows one feed."""

    def __init__(self, platform: Platform, feed: Feed) -> None:
        self.platform = platform
        self.feed = feed
        self.settings = NO_OVERLAP
        self._batches = 0

    async def find(self, *, confirm_deletions: bool = False) -> Tally:
        """Only list and enqueue."""
        self._batches += 1
        return await synchronise(
            self.feed,
            tenant=TENANT,
            batch=f"batch {self._batches}",
            ledger=ledger_of(self.platform),
            settings=self.settings,
            confirm_deletions=confirm_deletions,
        )

    async def sync(self, *, confirm_deletions: bool = False) -> Tally:
        tally = await self.find(confirm_deletions=confirm_deletions)
        await self.do_jobs()
        return tally

    async def do_jobs(self) -> None:
        async with running(self.platform.dispatcher(), sole=True) as dispatcher:
            async with asyncio.timeout(60):
                await dispatcher.idle()

    async def uris(self, *groups: str) -> list[str]:
        seen = await self.platform.seen_by(*(groups or (FINANCE,)))
        return [hit.chunk.document.uri for hit in seen]

    async def texts(self) -> list[str]:
        return await self.platform.texts_seen_by(FINANCE)

    async def pending(self) -> list[Job]:
        return await self.platform.jobs.listed(TENANT, state=JobState.QUEUED, limit=1_000)


def ledger_of(platform: Platform) -> SyncLedger:
    return SyncLedger(
        documents=platform.documents,
        snapshots=Snapshots(platform.database),
        jobs=platform.jobs,
        sources=platform.sources,
    )


async def following_over(database: Database, root: Path, *, files: int = 0) -> Following:
    feed = Feed(SOURCE)
    embedder = HashEmbedder()
    cached = CachedEmbedder(embedder, EmbeddingCache(database), TENANT)
    platform = await platform_over(database, root, folder=feed, embedder=embedder, wrapped=cached)
    for number in range(files):
        feed.put(f"a/{number}", f"Text {number}.")
    following = Following(platform, feed)
    if files:
        await following.sync()
        embedder.embedded.clear()
        feed.fetched.clear()
        feed.listings = 0
    return following
