"""The composition root: the running parts of a process, from its settings."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from pydantic import SecretStr

from api.adapters import (
    build_embedder,
    build_language_model,
    build_reranker,
    fusion_of,
    open_index,
)
from api.migrations import migrate_database
from api.platform import Platform
from api.policies import policy_from
from api.settings import Settings
from connectors.containers import Room
from connectors.patience import PatientConnector
from connectors.protocols import Connector
from connectors.registry import build_connector
from ingestion.batching import BatchingEmbedder
from ingestion.chunkers.structural import StructuralChunker
from ingestion.dispatch import Bell, Dispatcher, running
from ingestion.jobs import Work
from ingestion.memory import MemoryBound, default_bound_bytes
from ingestion.parsers.model import Limits
from ingestion.parsers.subprocess_parser import open_parser
from ingestion.pipeline import IngestPipeline
from ingestion.retry import RetryPolicy
from ingestion.sync_settings import without_sync_settings
from ingestion.validation.flow import validator_over
from ingestion.validation.policy import without_policy
from rag.access import TenantId
from rag.adapters.answerability import Answerability
from rag.adapters.dictionary import DictionaryTranslator, open_dictionary
from rag.adapters.relevance import StatementRanker
from rag.answering import Answerer
from rag.errors import SourceGone
from rag.grounding import GroundingCheck
from rag.prompts.registry import load_prompt
from rag.retrieval import HybridRetriever
from rag.storage.access.groups import Groups
from rag.storage.access.keys import Keys
from rag.storage.database import open_database
from rag.storage.documents.admission import AgeLimit
from rag.storage.documents.ledger import Documents
from rag.storage.documents.passages import Passages
from rag.storage.embeddings import CachedEmbedder, EmbeddingCache
from rag.storage.feedback import Feedback
from rag.storage.jobs.leases import Leases
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.rows import Announce
from rag.storage.jobs.workers import Workers
from rag.storage.originals import Originals
from rag.storage.sources.ledger import Sources
from rag.storage.sources.records import Source, SourceState
from rag.storage.verdicts.ledger import Verdicts

PROMPT = ("answer", "v1")

Connect = Callable[[Source], Connector]
_Part = TypeVar("_Part")


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> None: ...


def closed_with(stack: AsyncExitStack, part: _Part) -> _Part:
    """`part`; if it holds threads or connections, they end with `stack`."""
    if isinstance(part, _Closable):
        stack.push_async_callback(part.aclose)
    return part


@asynccontextmanager
async def open_platform(
    settings: Settings, *, connect: Connect | None = None
) -> AsyncGenerator[Platform]:
    """Every part of an API process, open; without Redis its jobs run here too.

    Raises `ConfigurationError` where the settings cannot be met.
    """
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(_open_parts(settings))
        bell = Bell()
        announce = bell if settings.redis_url is None else await _tickets(settings.redis_url, stack)
        platform = replace(parts, jobs=Jobs(parts.database, announce))
        if settings.redis_url is None:
            work = await stack.enter_async_context(_open_work(platform, connect=connect))
            dispatcher = Dispatcher(
                work=work,
                bell=bell,
                concurrency=settings.ingestion.workers,
                memory=memory_bound(settings),
            )
            await stack.enter_async_context(running(dispatcher, sole=settings.qdrant_url is None))
        yield platform


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncGenerator[Work]:
    """What a worker process runs jobs with."""
    async with _open_parts(settings) as platform, _open_work(platform) as work:
        yield work


async def _tickets(redis_url: SecretStr, stack: AsyncExitStack) -> Announce:
    # Only where it is needed, like every import below: each of them a command would wait for.
    from ingestion.worker import Tickets, open_redis  # noqa: PLC0415 - arq and redis

    redis = await open_redis(redis_url.get_secret_value())
    stack.push_async_callback(redis.aclose)
    return Tickets(redis)


@asynccontextmanager
async def _open_parts(settings: Settings) -> AsyncGenerator[Platform]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.resolved_database_url))
        await migrate_database(database)
        embedder = closed_with(stack, await asyncio.to_thread(build_embedder, settings.embedder))
        index = await stack.enter_async_context(open_index(settings, embedder.dimensions))
        age_limit = AgeLimit(settings.access.max_age)
        passages = Passages(database, age_limit)
        lexicon = open_dictionary() if settings.retrieval.dictionary else None
        if lexicon is not None:
            stack.callback(lexicon.close)
        reranker = await asyncio.to_thread(build_reranker, settings.retrieval, passages)
        retriever = HybridRetriever(
            index=index,
            embedder=embedder,
            passages=passages,
            reranker=closed_with(stack, reranker),
            fusion=fusion_of(settings.retrieval),
            translator=DictionaryTranslator(lexicon) if lexicon else None,
            translated_weight=settings.retrieval.translated_weight,
            dense_weight=settings.retrieval.dense_weight,
            sparse_weight=settings.retrieval.sparse_weight,
            candidates=settings.retrieval.candidates,
            rerank_candidates=settings.retrieval.rerank_candidates,
            rerank_budget_s=settings.retrieval.rerank_budget_ms / 1_000,
        )
        gate = Answerability(ranker=StatementRanker(embedder=embedder, lexicon=lexicon))
        language_model = closed_with(stack, build_language_model(settings.language_model, gate))
        yield Platform(
            settings=settings,
            database=database,
            keys=Keys(database),
            groups=Groups(database),
            documents=Documents(
                database, age_limit, kept_validations=settings.validation.kept_versions
            ),
            verdicts=Verdicts(database),
            passages=passages,
            sources=Sources(database),
            jobs=Jobs(database),
            workers=Workers(database),
            originals=Originals(settings.data_dir / "originals"),
            index=index,
            embedder=embedder,
            retriever=retriever,
            answerer=Answerer(
                retriever=retriever,
                language_model=language_model,
                grounding=GroundingCheck(embedder=embedder),
                prompt=load_prompt(*PROMPT),
                count_tokens=embedder.count_tokens,
                # The extractive model abstains by itself; others are asked only where it may help.
                relevance=None if settings.language_model.kind == "extractive" else gate,
            ),
            feedback=Feedback(database),
        )


@asynccontextmanager
async def _open_work(platform: Platform, *, connect: Connect | None = None) -> AsyncGenerator[Work]:
    settings = platform.settings.ingestion
    async with open_parser(
        workers=settings.parsers,
        memory_bytes=settings.parse_memory_bytes,
        deadline_s=settings.parse_timeout_s,
        limits=Limits(max_pages=settings.max_pages, max_member_bytes=settings.max_bytes),
        room=Room(
            levels=settings.container_levels,
            files=settings.container_files,
            bytes=settings.container_bytes,
        ),
        keep=platform.originals.store,
    ) as parser:
        batching = BatchingEmbedder(platform.embedder)
        cache = EmbeddingCache(platform.database)
        pipeline = IngestPipeline(
            parser=parser,
            validator=validator_over(
                platform.sources, platform.verdicts, policy_from(platform.settings.validation)
            ),
            chunker=StructuralChunker(
                platform.embedder,
                target_tokens=settings.chunk_tokens,
                overlap=settings.overlap,
            ),
            embedder_of=lambda tenant: CachedEmbedder(batching, cache, tenant),
            index=platform.index,
            documents=platform.documents,
            originals=platform.originals,
            jobs=platform.jobs,
        )
        yield Work(
            pipeline=pipeline,
            jobs=platform.jobs,
            leases=Leases(
                platform.database,
                platform.jobs.announce,
                tenant_weights={
                    TenantId(tenant): weight for tenant, weight in settings.tenant_weights.items()
                },
            ),
            documents=platform.documents,
            sources=platform.sources,
            originals=platform.originals,
            workers=platform.workers,
            connect=connect
            or partial(
                connector_of,
                max_bytes=settings.max_bytes,
                silence_s=settings.source_timeout_s,
                scratch=platform.settings.fetched_dir,
            ),
            retry=RetryPolicy(),
            lease=timedelta(seconds=settings.lease_s),
        )


def memory_bound(settings: Settings) -> MemoryBound | None:
    """None where neither the settings nor the machine tell."""
    limit = settings.ingestion.memory_bytes or default_bound_bytes()
    return None if limit is None else MemoryBound(limit)


def connector_of(source: Source, *, max_bytes: int, silence_s: float, scratch: Path) -> Connector:
    """The connector of a registered source; its own size limit wins over the platform's.

    Raises `SourceGone` for a removed one: a job that was queued before must not bring it back.
    """
    if source.state is SourceState.REMOVED:
        raise SourceGone("the connector was removed")
    connector = build_connector(
        source.kind,
        {"max_bytes": max_bytes, **without_sync_settings(without_policy(source.settings))},
        source=source.id,
        scratch=scratch,
    )
    return PatientConnector(inner=connector, seconds=silence_s)
