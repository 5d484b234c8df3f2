"""Nothing is shown to whom it is not for, and nothing is kept from whom it is for: 100,000 decisions.

Hypothesis draws who asks what after which changes; a simple reference says what may be shown. The
ledger, the index, the HTTP app, its keys and its assertions are the real ones; the embedder is the
shipped stand-in, because what a vector means is no part of this law.
"""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import jwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.auth import ON_BEHALF_AUDIENCE
from api.platform import Platform
from api.settings import Settings
from ingestion.pipeline import IngestPipeline
from rag.access import Principal, PrincipalId, TenantId
from rag.adapters.extractive import ExtractiveLanguageModel
from rag.adapters.late_interaction import LateInteractionReranker
from rag.adapters.qdrant_edge import open_edge_index
from rag.adapters.relevance import StatementRanker
from rag.answering import Answerer
from rag.grounding import GroundingCheck
from rag.prompts.registry import load_prompt
from rag.retrieval import HybridRetriever
from rag.storage.database import open_database
from rag.storage.documents import Documents
from rag.storage.feedback import Feedback
from rag.storage.jobs import Jobs
from rag.storage.keys import Keys, parse_token
from rag.storage.originals import Originals
from rag.storage.passages import Passages
from rag.storage.sources import Sources
from rag.testing import HashEmbedder
from tests.acceptance.papers import (
    DEPARTMENTS,
    PAPERS_OF_A_TENANT,
    SOURCE_OF,
    TENANTS,
    WORDS,
    IndexThatLags,
    Paper,
    Reader,
    Readers,
    World,
)
from tests.ingestion.standins import LineParser, SectionChunker

DECISIONS, EXAMPLES = 100_000, 34
USERS = tuple(f"user:{number}" for number in range(6))
GROUPS = tuple(f"group:g{number}" for number in range(5))
CODE = re.compile(r"k[ns]\d{3}r\d+")
URI = re.compile(r"paper-\d{3}")
READS = ["search", "documents:read", "ask"]

# --- what is drawn -----------------------------------------------------------------------------

identities = st.sampled_from((*USERS, *GROUPS, "everyone"))
access_lists = st.builds(
    Readers,
    clauses=st.lists(st.frozensets(identities, max_size=4), max_size=4).map(tuple),
    denied=st.one_of(st.just(frozenset[str]()), st.frozensets(identities, max_size=2)),
)
numbers = st.integers(0, PAPERS_OF_A_TENANT - 1)
tenants = st.sampled_from(TENANTS)


@dataclass(frozen=True, slots=True)
class Change:
    tenant: TenantId
    number: int
    readers: Readers | None
    """None deletes the paper."""
    is_edited: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody comes, searches, asks, and opens some documents by their ids."""

    reader: Reader
    comes_with_a_key: bool
    words: tuple[str, ...]
    mode: str
    rerank: bool
    department: str | None
    asks: bool
    streams: bool
    opens: tuple[tuple[TenantId, int], ...]


@dataclass(frozen=True, slots=True)
class Round:
    index_is_behind: bool
    changes: tuple[Change, ...]
    visits: tuple[Visit, ...]


changes = st.builds(
    Change,
    tenant=tenants,
    number=numbers,
    readers=st.one_of(access_lists, access_lists, access_lists, st.none()),
    is_edited=st.booleans(),
)
readers = st.builds(
    Reader,
    tenant=tenants,
    user=st.sampled_from(USERS),
    groups=st.frozensets(st.sampled_from(GROUPS), max_size=4),
)
visits = st.builds(
    Visit,
    reader=readers,
    comes_with_a_key=st.booleans(),
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(tuple),
    mode=st.sampled_from(("hybrid", "dense", "sparse")),
    rerank=st.booleans(),
    department=st.one_of(st.none(), st.none(), st.sampled_from(DEPARTMENTS)),
    asks=st.booleans(),
    streams=st.booleans(),
    opens=st.lists(st.tuples(tenants, numbers), min_size=3, max_size=3).map(tuple),
)
rounds = st.builds(
    Round,
    index_is_behind=st.booleans(),
    changes=st.lists(changes, max_size=4).map(tuple),
    visits=st.lists(visits, min_size=4, max_size=4).map(tuple),
)

# --- the platform ------------------------------------------------------------------------------


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

    async def headers_of(self, visit: Visit) -> dict[str, str]:
        """A key of the reader's own, or an app's key with a signed word for the reader."""
        reader = visit.reader
        if visit.comes_with_a_key:
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
        passages, documents = Passages(database), Documents(database)
        originals = Originals(folder / "originals")
        retriever = HybridRetriever(
            index=index,
            embedder=embedder,
            passages=passages,
            reranker=LateInteractionReranker(passages),
        )
        model = ExtractiveLanguageModel(ranker=StatementRanker(embedder=embedder))
        platform = Platform(
            settings=chosen,
            database=database,
            keys=Keys(database),
            documents=documents,
            passages=passages,
            sources=Sources(database),
            jobs=Jobs(database),
            originals=originals,
            index=index,
            embedder=embedder,
            retriever=retriever,
            answerer=Answerer(
                retriever=retriever,
                language_model=model,
                grounding=GroundingCheck(embedder=embedder),
                prompt=load_prompt("answer", "v1"),
                count_tokens=embedder.count_tokens,
            ),
            feedback=Feedback(database),
        )
        pipeline = IngestPipeline(
            parser=LineParser(),
            chunker=SectionChunker(),
            embedder_of=lambda _tenant: embedder,
            index=index,
            documents=documents,
            originals=originals,
        )
        for tenant in TENANTS:
            await platform.sources.add_tenant(tenant)
            await platform.sources.register(
                tenant, kind="memory", name="papers", settings={}, source=SOURCE_OF[tenant]
            )
        world, papers = World(pipeline, index), first_papers()
        for paper in papers:
            await world.put(paper)
        app = create_app(nullcontext(platform), settings=chosen)
        await stack.enter_async_context(app.router.lifespan_context(app))
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://rag.test")
        )
        yield Site(http, platform.keys, world, papers)


# --- the law -----------------------------------------------------------------------------------


async def play(site: Site, drawn: Round) -> None:
    world = site.world
    if world.index.is_behind and not drawn.index_is_behind:
        await world.index_catches_up()
    world.index.is_behind = drawn.index_is_behind
    for change in drawn.changes:
        at = PAPERS_OF_A_TENANT * TENANTS.index(change.tenant) + change.number
        now = world.ledger.get((change.tenant, change.number), site.first[at])
        if change.readers is None:
            await world.remove(now)
        else:
            revision = now.revision + change.is_edited
            await world.put(replace(now, readers=change.readers, revision=revision))
    for visit in drawn.visits:
        headers = await site.headers_of(visit)
        await check_search(site, visit, headers)
        if visit.asks:
            await check_ask(site, visit, headers)
        for tenant, number in visit.opens:
            at = PAPERS_OF_A_TENANT * TENANTS.index(tenant) + number
            await check_document(site, visit.reader, site.first[at], headers)


async def start_over(site: Site) -> None:
    """Every example starts from the same papers, so that each can be run again alone."""
    await site.world.index_catches_up()
    for paper in site.first:
        await site.world.put(paper)


def current(site: Site) -> list[Paper]:
    return list(site.world.ledger.values())


def shown_in(body: str) -> tuple[set[str], set[str]]:
    return set(CODE.findall(body)), set(URI.findall(body))


async def check_search(site: Site, visit: Visit, headers: dict[str, str]) -> None:
    """At full depth, exactly the papers that match and may be read are found, and nothing shows
    of any other."""
    filters = {} if visit.department is None else {"department": visit.department}
    body = {
        "query": " ".join(visit.words),
        "limit": 100,
        "mode": visit.mode,
        "rerank": visit.rerank,
        "filters": filters,
        "explain": True,
    }
    response = await site.http.post("/v1/search", json=body, headers=headers)
    assert response.status_code == 200, response.text
    wanted = [
        paper
        for paper in current(site)
        if site.world.finds(paper, visit.reader)
        and (visit.mode != "sparse" or not set(visit.words).isdisjoint(paper.words))
        and visit.department in {None, paper.department}
    ]
    assert {hit["document_id"] for hit in response.json()["hits"]} == {p.id for p in wanted}
    codes, uris = shown_in(response.text)
    assert codes == {paper.code for paper in wanted}
    assert uris == {paper.uri.removeprefix("memory:/") for paper in wanted}
    site.decided["search"] += len(site.first)
    site.decided["hits"] += len(wanted)


async def check_ask(site: Site, visit: Visit, headers: dict[str, str]) -> None:
    """Whatever is answered, cited or streamed comes from papers that may be read now."""
    body = {"question": f"Which pump runs with {visit.words[0]} oil?", "stream": visit.streams}
    response = await site.http.post("/v1/ask", json=body, headers=headers)
    assert response.status_code == 200, response.text
    open_papers = [paper for paper in current(site) if site.world.finds(paper, visit.reader)]
    codes, uris = shown_in(response.text)
    assert codes <= {paper.code for paper in open_papers}
    assert uris <= {paper.uri.removeprefix("memory:/") for paper in open_papers}
    ids = set(re.findall(r'"document_id":\s*"([^"]+)"', response.text))
    assert ids <= {paper.id for paper in open_papers}
    site.decided["ask"] += len(site.first)
    site.decided["answers" if codes else "refusals"] += 1


async def check_document(
    site: Site, reader: Reader, paper: Paper, headers: dict[str, str]
) -> None:
    """A document that may not be read looks exactly like one that is not there."""
    now = site.world.ledger.get((paper.tenant, paper.number))
    for path, kind in (("", "document"), ("/content", "original")):
        response = await site.http.get(f"/v1/documents/{paper.id}{path}", headers=headers)
        if now is not None and site.world.opens(now, reader):
            assert response.status_code == 200, response.text
            assert path == "" or response.text == now.text
            site.decided["opened"] += 1
        else:
            if path not in site.absent:
                nowhere = f"/v1/documents/{'0' * 32}{path}"
                site.absent[path] = await site.http.get(nowhere, headers=headers)
            absent = site.absent[path]
            assert response.status_code == absent.status_code == 404
            assert _without_trace(response) == _without_trace(absent)
        site.decided[kind] += 1


def _without_trace(response: httpx.Response) -> tuple[dict[str, Any], dict[str, str]]:
    body: dict[str, Any] = response.json()
    body.pop("trace_id")
    named = {name for name in response.headers if "id" in name.lower().split("-")}
    return body, {name: response.headers[name] for name in response.headers.keys() - named}


def test_what_is_shown_is_what_may_be_read(sqlite_database_url: str, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        site = runner.run(
            stack.enter_async_context(open_site(sqlite_database_url, tmp_path / "data"))
        )

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(st.lists(rounds, min_size=3, max_size=3))
        def law(example: list[Round]) -> None:
            async def run() -> None:
                await start_over(site)
                for drawn in example:
                    await play(site, drawn)

            runner.run(run())

        try:
            law()
        finally:
            runner.run(stack.aclose())
    decisions = sum(site.decided[kind] for kind in ("search", "ask", "document", "original"))
    assert decisions >= DECISIONS, site.decided
    # What was decided was worth deciding: much was found, answered and opened, and much was not.
    assert site.decided["hits"] > 5_000
    assert site.decided["answers"] > 100 and site.decided["refusals"]
    assert site.decided["opened"] > 100
