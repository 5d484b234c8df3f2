"""The composition root: the running parts of a process, from its settings."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from api.adapters import (
    remove_index,
)
from api.answering import open_answering
from api.auditing import open_audit, redacted
from api.caching import build_answer_cache, forget_prompts
from api.catalogue import models_of, router_of
from api.conversations import open_conversations
from api.generations import ServingRetriever, open_generations
from api.migrations import migrate_database
from api.money import open_money
from api.opening import Embedders, GenerationOpener, recipe_of, say_what_is_lost, say_what_serves
from api.platform import Platform
from api.policies import policy_from
from api.prompts import open_prompts
from api.settings import Settings
from api.tracing import traced
from connectors.containers import Room
from connectors.patience import PatientConnector
from connectors.protocols import Connector
from connectors.registry import build_connector
from ingestion.dispatch import Bell, Dispatcher, running
from ingestion.jobs import Work, run_job
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
from rag.adapters.dictionary import open_dictionary
from rag.adapters.relevance import StatementRanker
from rag.adapters.spans import Spans, TracedRetriever
from rag.bodies import Spool
from rag.errors import SourceGone
from rag.gateway.route_log import open_recorder
from rag.storage.access.groups import Groups
from rag.storage.access.keys import Keys
from rag.storage.database import open_database
from rag.storage.documents.admission import AgeLimit
from rag.storage.documents.filter_fields import FilterFields
from rag.storage.documents.ledger import Documents
from rag.storage.feedback import Feedback
from rag.storage.generations.ledger import Generations
from rag.storage.jobs.leases import Leases
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.rows import Announce
from rag.storage.jobs.workers import Workers
from rag.storage.originals import Originals
from rag.storage.reviews.ledger import Reviews
from rag.storage.routes.ledger import RouteLedger
from rag.storage.sources.ledger import Sources
from rag.storage.sources.records import Source, SourceState
from rag.storage.verdicts.ledger import Verdicts

Connect = Callable[[Source], Connector]


@asynccontextmanager
async def open_platform(
    settings: Settings, *, connect: Connect | None = None, spans: Spans | None = None
) -> AsyncGenerator[Platform]:
    """Every part of an API process, open; without Redis its jobs run here too. `spans`: who is told
    what its requests do; None leaves it to the process.

    Raises `ConfigurationError` where the settings cannot be met.
    """
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(_open_parts(settings, spans or Spans()))
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
                run_job=traced(run_job, platform.spans),
            )
            await stack.enter_async_context(running(dispatcher, sole=settings.qdrant_url is None))
        yield platform


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncGenerator[Work]:
    """What a worker process runs jobs with."""
    async with _open_parts(settings, Spans()) as platform, _open_work(platform) as work:
        yield work


async def _tickets(redis_url: SecretStr, stack: AsyncExitStack) -> Announce:
    # Only where it is needed, like every import below: each of them a command would wait for.
    from ingestion.worker import Tickets, open_redis  # noqa: PLC0415 - arq and redis

    redis = await open_redis(redis_url.get_secret_value())
    stack.push_async_callback(redis.aclose)
    return Tickets(redis)


@asynccontextmanager
async def _open_parts(settings: Settings, spans: Spans) -> AsyncGenerator[Platform]:
    router = router_of(models_of(settings))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.resolved_database_url))
        await migrate_database(database)
        embedders, recipe = Embedders(settings.embedder), recipe_of(settings)
        embedder = await stack.enter_async_context(embedders.use(recipe))
        lexicon = open_dictionary() if settings.retrieval.dictionary else None
        if lexicon is not None:
            stack.callback(lexicon.close)
        ledger = Generations(database)
        await ledger.adopt(recipe)
        opener = GenerationOpener(settings, database, embedders, lexicon, spans)
        generations = await stack.enter_async_context(
            open_generations(ledger, open_one=opener.open, remove=partial(remove_index, settings))
        )
        await say_what_serves(ledger, recipe)
        await say_what_is_lost(ledger, await generations.serving())
        age_limit = AgeLimit(settings.access.max_age)
        audit = await stack.enter_async_context(open_audit(settings, database, redact=redacted))
        answer_cache = build_answer_cache(settings.answer_cache, database)
        route_ledger = RouteLedger(database)
        route_recorder = await stack.enter_async_context(
            open_recorder(route_ledger, keep=timedelta(days=settings.models.keep_routes_days))
        )
        prompts = await stack.enter_async_context(
            open_prompts(
                database,
                settings.prompts,
                tenant=TenantId(settings.tenant),
                dead=partial(forget_prompts, answer_cache),
            )
        )
        money = await stack.enter_async_context(open_money(settings, database))
        answering = await stack.enter_async_context(
            open_answering(
                settings,
                generations=generations,
                embedder=embedder,
                gate=Answerability(ranker=StatementRanker(embedder=embedder, lexicon=lexicon)),
                router=router,
                money=money,
                prompts=prompts,
                cache=answer_cache,
                spans=spans,
            )
        )
        yield Platform(
            settings=settings,
            database=database,
            keys=Keys(database),
            answer_cache=answer_cache,
            groups=Groups(database),
            documents=Documents(
                database, age_limit, kept_validations=settings.validation.kept_versions
            ),
            verdicts=Verdicts(database),
            filter_fields=FilterFields(database),
            sources=Sources(database),
            jobs=Jobs(database),
            workers=Workers(database),
            originals=Originals(settings.data_dir / "originals"),
            generations=generations,
            generation_ledger=ledger,
            embedder=embedder,
            retriever=TracedRetriever(ServingRetriever(generations), spans),
            answerer=answering.answerer,
            chatter=answering.chatter,
            summarising=answering.summarising,
            background=answering.background,
            conversations=await stack.enter_async_context(
                open_conversations(settings.conversations, database)
            ),
            feedback=Feedback(database),
            money=money,
            router=router,
            route_ledger=route_ledger,
            route_recorder=route_recorder,
            audit=audit,
            reviews=Reviews(audit),
            prompts=prompts,
            spans=spans,
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
        originals=platform.originals,
    ) as parser:
        pipeline = IngestPipeline(
            parser=parser,
            validator=validator_over(
                platform.sources, platform.verdicts, policy_from(platform.settings.validation)
            ),
            generations=platform.generations,
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
            generations=platform.generation_ledger,
            connect=connect
            or partial(
                connector_of,
                max_bytes=settings.max_bytes,
                silence_s=settings.source_timeout_s,
                scratch=platform.settings.fetched_dir,
                spool=platform.originals.spool,
            ),
            retry=RetryPolicy(),
            lease=timedelta(seconds=settings.lease_s),
        )


def memory_bound(settings: Settings) -> MemoryBound | None:
    """None where neither the settings nor the machine tell."""
    limit = settings.ingestion.memory_bytes or default_bound_bytes()
    return None if limit is None else MemoryBound(limit)


def connector_of(
    source: Source, *, max_bytes: int, silence_s: float, scratch: Path, spool: Spool
) -> Connector:
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
        spool=spool,
    )
    return PatientConnector(inner=connector, seconds=silence_s)
