"""A platform from its parts, and HTTP over it in this process."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime

import httpx
from fastapi import FastAPI
from opentelemetry.trace import TracerProvider

from api.app import create_app
from api.auditing import build_audit, redacted
from api.background import Background
from api.caching import build_answer_cache
from api.catalogue import models_of, router_of
from api.conversations import build_conversations
from api.generations import ServingRetriever
from api.money import build_money
from api.platform import Platform
from api.prompts import prompts_of
from api.settings import Settings
from rag.access import TenantId
from rag.chatting import Chatter
from rag.gateway.route_log import RouteRecorder
from rag.protocols import Embedder, Index, LanguageModel, Reranker
from rag.retrieval import HybridRetriever
from rag.storage.access.groups import Groups
from rag.storage.access.keys import Keys
from rag.storage.database import Database
from rag.storage.documents.admission import AgeLimit
from rag.storage.documents.filter_fields import FilterFields
from rag.storage.documents.ledger import Documents
from rag.storage.documents.passages import Passages
from rag.storage.feedback import Feedback
from rag.storage.generations.ledger import Generations
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.workers import Workers
from rag.storage.moments import now
from rag.storage.originals import Originals
from rag.storage.reviews.ledger import Reviews
from rag.storage.routes.ledger import RouteLedger
from rag.storage.sources.ledger import Sources
from rag.storage.verdicts.ledger import Verdicts
from tests.asking import DirectGateway, answerer_of, guardrails_of
from tests.generations import one_in_use


def platform_of(
    settings: Settings,
    *,
    database: Database,
    originals: Originals,
    index: Index,
    embedder: Embedder,
    reranker: Reranker,
    model: LanguageModel,
    clock: Callable[[], datetime] = now,
) -> Platform:
    """Every store over `database`, and the whole read side over the given models and index.

    `clock` says when grants and memberships end, and how old access is.
    """
    age_limit = AgeLimit(settings.access.max_age)
    passages = Passages(database, age_limit, clock)
    retriever = HybridRetriever(
        index=index, embedder=embedder, passages=passages, reranker=reranker
    )
    generations = one_in_use(index, embedder, retriever)
    gateway, guardrails = DirectGateway(model), guardrails_of()
    prompts = prompts_of(database, settings.prompts, tenant=TenantId(settings.tenant), clock=clock)
    audit = build_audit(settings, database, redact=redacted)
    return Platform(
        settings=settings,
        database=database,
        keys=Keys(database),
        answer_cache=build_answer_cache(settings.answer_cache, database, clock),
        groups=Groups(database, clock),
        documents=Documents(database, age_limit, clock),
        filter_fields=FilterFields(database, clock),
        sources=Sources(database),
        jobs=Jobs(database),
        workers=Workers(database),
        verdicts=Verdicts(database),
        originals=originals,
        generations=generations,
        generation_ledger=Generations(database, clock),
        embedder=embedder,
        retriever=ServingRetriever(generations),
        answerer=answerer_of(
            gateway=gateway,
            retriever=ServingRetriever(generations),
            embedder=embedder,
            prompts=prompts,
            guardrails=guardrails,
        ),
        chatter=Chatter(gateway=gateway, guardrails=guardrails),
        summarising=None,
        background=Background(),
        conversations=build_conversations(settings.conversations, database, clock),
        feedback=Feedback(database),
        router=router_of(models_of(settings)),
        route_ledger=RouteLedger(database),
        route_recorder=RouteRecorder(store=RouteLedger(database)),
        money=build_money(database, clock=clock),
        audit=audit,
        reviews=Reviews(audit),
        prompts=prompts,
    )


@asynccontextmanager
async def http_over(
    platform: Platform,
    *,
    headers: Mapping[str, str] | None = None,
    raise_app_exceptions: bool = True,
    tracer_provider: TracerProvider | None = None,
) -> AsyncGenerator[tuple[FastAPI, httpx.AsyncClient]]:
    """The app over `platform`, running, and a client of it that sends `headers`."""
    app = create_app(
        nullcontext(platform), settings=platform.settings, tracer_provider=tracer_provider
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=raise_app_exceptions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://rag.test", headers=headers) as http,
    ):
        yield app, http
