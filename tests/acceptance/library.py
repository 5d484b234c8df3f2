"""The whole read side over the papers: real stores, index, app, keys and assertions."""

import random
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import jwt

from api.auth import ON_BEHALF_AUDIENCE
from api.settings import Settings
from ingestion.pipeline import IngestPipeline
from ingestion.validation.flow import validator_over
from rag.access import Principal, PrincipalId, TenantId
from rag.adapters.answerability import Answerability
from rag.adapters.extractive import ExtractiveLanguageModel
from rag.adapters.late_interaction import LateInteractionReranker
from rag.adapters.qdrant_edge import open_edge_index
from rag.adapters.relevance import StatementRanker
from rag.storage.access.keys import Keys, parse_token
from rag.storage.database import open_database
from rag.storage.documents.passages import Passages
from rag.storage.originals import Originals
from rag.testing import HashEmbedder
from tests.acceptance.papers import (
    PAPERS_OF_A_TENANT,
    SOURCE_OF,
    TENANTS,
    IndexThatLags,
    Minutes,
    Paper,
    Reader,
    Readers,
    World,
)
from tests.ingestion.standins import LineParser
from tests.platforms import http_over, platform_of

USERS = tuple(f"user:{number}" for number in range(6))
GROUPS = tuple(f"group:g{number}" for number in range(5))
READS = ["search", "documents:read", "ask"]


@dataclass(slots=True)
class Site:
    http: httpx.AsyncClient
    keys: Keys
    world: World
    first: tuple[Paper, ...]
    """Every paper as each example finds it."""
    decided: Counter[str] = field(default_factory=Counter[str])
    absent: dict[str, httpx.Response] = field(default_factory=dict[str, httpx.Response])
    """By the end of the path: what a document that never was looks like."""
    _tokens: dict[Reader | TenantId, str] = field(default_factory=dict[Reader | TenantId, str])

    async def headers_of(self, reader: Reader, *, comes_with_a_key: bool) -> dict[str, str]:
        """A key of the reader's own, or an app's key with a signed word for the reader."""
        if comes_with_a_key:
            return {"Authorization": f"Bearer {await self._token(reader, reader, READS)}"}
        app = Reader(reader.tenant, "app:portal", frozenset(GROUPS))
        token = await self._token(reader.tenant, app, [*READS, "impersonate"])
        parsed = parse_token(token)
        assert parsed is not None
        claims = {
            "sub": reader.user,
            "groups": sorted(reader.groups),
            "aud": ON_BEHALF_AUDIENCE,
            "exp": int(time.time()) + 240,
        }
        signed = jwt.encode(claims, parsed.secret, algorithm="HS256")
        return {"Authorization": f"Bearer {token}", "X-On-Behalf-Of": signed}

    async def _token(self, of: Reader | TenantId, holder: Reader, permissions: list[str]) -> str:
        if of not in self._tokens:
            groups = frozenset(map(PrincipalId, holder.groups))
            made = await self.keys.create(
                name="a reader",
                principal=Principal(holder.tenant, PrincipalId(holder.user), groups),
                permissions=permissions,
            )
            self._tokens[of] = made.token
        return self._tokens[of]


def first_papers() -> tuple[Paper, ...]:
    """Every kind of access list there is, on papers of both tenants."""
    rng = random.Random(2)
    papers: list[Paper] = []
    for tenant in TENANTS:
        for number in range(PAPERS_OF_A_TENANT):
            clauses = tuple(
                frozenset(rng.sample((*USERS, *GROUPS, "everyone"), rng.randint(1, 4)))
                for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 4)))
            )
            if number % 16 == 0:
                clauses = (*clauses[:3], frozenset[str]())
            denied = frozenset(rng.sample((*USERS, *GROUPS), rng.choice((0, 0, 0, 1, 2))))
            papers.append(Paper(tenant, number, 0, Readers(clauses, denied)))
    return tuple(papers)


@asynccontextmanager
async def open_site(database_url: str, folder: Path) -> AsyncGenerator[Site]:
    chosen = Settings.model_validate({"data_dir": folder, "rate_limits": {"enabled": False}})
    embedder = HashEmbedder()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(database_url))
        edge = await stack.enter_async_context(
            open_edge_index(folder / "index", dimensions=embedder.dimensions)
        )
        index = IndexThatLags(edge)
        originals, clock = Originals(folder / "originals"), Minutes()
        platform = platform_of(
            chosen,
            database=database,
            originals=originals,
            index=index,
            embedder=embedder,
            reranker=LateInteractionReranker(Passages(database)),
            model=ExtractiveLanguageModel(
                answerability=Answerability(ranker=StatementRanker(embedder=embedder))
            ),
            clock=clock,
        )
        pipeline = IngestPipeline(
            parser=LineParser(),
            validator=validator_over(platform.sources, platform.verdicts),
            generations=platform.generations,
            documents=platform.documents,
            originals=originals,
            jobs=platform.jobs,
        )
        for tenant in TENANTS:
            await platform.sources.add_tenant(tenant)
            await platform.sources.register(
                tenant, kind="memory", name="papers", settings={}, source=SOURCE_OF[tenant]
            )
        world = World(pipeline, index, platform.documents, platform.groups, clock)
        papers = first_papers()
        for paper in papers:
            await world.put(paper)
        _, http = await stack.enter_async_context(http_over(platform))
        yield Site(http, platform.keys, world, papers)
