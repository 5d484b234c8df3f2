"""A whole ingest side over stand-ins, and what a reader sees of it."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ingestion.dispatch import Bell, Dispatcher
from ingestion.jobs import Work
from ingestion.memory import MemoryBound
from ingestion.pipeline import IngestPipeline
from ingestion.protocols import Parser
from ingestion.retry import RetryPolicy
from ingestion.validation.flow import validator_over
from rag.access import Principal, PrincipalId, TenantId, scope_of
from rag.protocols import Embedder
from rag.storage.database import Database
from rag.storage.documents.ledger import Documents
from rag.storage.documents.passages import Passages
from rag.storage.generations.ledger import Generations
from rag.storage.jobs.leases import Leases
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.rows import Announce
from rag.storage.jobs.workers import Workers
from rag.storage.originals import Originals
from rag.storage.sources.ledger import Sources
from rag.storage.verdicts.ledger import Verdicts
from rag.types import RetrievedChunk, SourceId
from tests.generations import one_generation
from tests.ingestion.standins import (
    DictIndex,
    FolderInMemory,
    HashEmbedder,
    LineParser,
)

TENANT = TenantId("acme")
SOURCE = SourceId("files")


@dataclass(kw_only=True)
class Platform:
    database: Database
    folder: FolderInMemory
    index: DictIndex
    embedder: HashEmbedder
    pipeline: IngestPipeline
    work: Work
    bell: Bell

    @property
    def documents(self) -> Documents:
        return self.work.documents

    @property
    def jobs(self) -> Jobs:
        return self.work.jobs

    @property
    def leases(self) -> Leases:
        return self.work.leases

    @property
    def sources(self) -> Sources:
        return self.work.sources

    @property
    def originals(self) -> Originals:
        return self.work.originals

    def dispatcher(self, *, concurrency: int = 4, memory: MemoryBound | None = None) -> Dispatcher:
        return Dispatcher(
            work=self.work,
            bell=self.bell,
            concurrency=concurrency,
            memory=memory,
            report_every=timedelta(milliseconds=100),
            poll=timedelta(milliseconds=50),
            sweep_every=timedelta(milliseconds=200),
        )

    async def seen_by(self, *groups: str) -> list[RetrievedChunk]:
        """What a person in these groups finds: what the index gives and the ledger lets pass."""
        person = Principal(TENANT, PrincipalId("user:1"), frozenset(map(PrincipalId, groups)))
        scope = scope_of(person)
        hits = await self.index.search_sparse("", scope=scope, filters={}, limit=10_000)
        passages = await Passages(self.database).readable([hit.chunk for hit in hits], scope=scope)
        return sorted(
            passages.values(), key=lambda hit: (hit.chunk.document.uri, hit.chunk.ordinal)
        )

    async def texts_seen_by(self, *groups: str) -> list[str]:
        return [hit.chunk.text for hit in await self.seen_by(*groups)]


async def platform_over(
    database: Database,
    root: Path,
    *,
    index: DictIndex | None = None,
    parser: Parser | None = None,
    embedder: HashEmbedder | None = None,
    wrapped: Embedder | None = None,
    folder: FolderInMemory | None = None,
    announce: Announce | None = None,
) -> Platform:
    bell = Bell()
    embedder = embedder or HashEmbedder()
    used: Embedder = wrapped or embedder
    index = index or DictIndex()
    originals = Originals(root / "originals")
    documents = Documents(database)
    pipeline = IngestPipeline(
        parser=parser or LineParser(),
        validator=validator_over(Sources(database), Verdicts(database)),
        generations=one_generation(index, used),
        documents=documents,
        originals=originals,
        jobs=Jobs(database, announce or bell),
    )
    sources = Sources(database)
    await sources.add_tenant(TENANT)
    await sources.register(TENANT, kind="memory", name="Files", settings={}, source=SOURCE)
    files = folder or FolderInMemory(SOURCE)
    work = Work(
        pipeline=pipeline,
        jobs=Jobs(database, announce or bell),
        leases=Leases(database, announce or bell),
        documents=documents,
        sources=sources,
        originals=originals,
        workers=Workers(database),
        generations=Generations(database),
        connect=lambda _source: files,
        retry=RetryPolicy(first_delay=timedelta(milliseconds=20)),
        lease=timedelta(seconds=5),
    )
    return Platform(
        database=database,
        folder=files,
        index=index,
        embedder=embedder,
        pipeline=pipeline,
        work=work,
        bell=bell,
    )
