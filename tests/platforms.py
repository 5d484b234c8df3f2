"""A platform from its parts, and HTTP over it in this process."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime

import httpx
from fastapi import FastAPI

from api.app import create_app
from api.generations import ServingRetriever
from api.platform import Platform
from api.settings import Settings
from rag.answering import Answerer
from rag.grounding import GroundingCheck
from rag.prompts.registry import load_prompt
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
from rag.storage.sources.ledger import Sources
from rag.storage.verdicts.ledger import Verdicts
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
    return Platform(
        settings=settings,
        database=database,
        keys=Keys(database),
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
        answerer=Answerer(
            retriever=ServingRetriever(generations),
            language_model=model,
            grounding=GroundingCheck(embedder=embedder),
            prompt=load_prompt("answer", "v1"),
            count_tokens=embedder.count_tokens,
        ),
        feedback=Feedback(database),
    )


@asynccontextmanager
async def http_over(
    platform: Platform,
    *,
    headers: Mapping[str, str] | None = None,
    raise_app_exceptions: bool = True,
) -> AsyncGenerator[tuple[FastAPI, httpx.AsyncClient]]:
    """The app over `platform`, running, and a client of it that sends `headers`."""
    app = create_app(nullcontext(platform), settings=platform.settings)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=raise_app_exceptions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://rag.test", headers=headers) as http,
    ):
        yield app, http
