"""What OpenTelemetry is told of a request, and what it is never told."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from opentelemetry.trace import StatusCode

from api.remembering import ServingMemory
from rag.adapters.spans import Spans, TracedMemory, TracedRetriever
from rag.errors import IndexUnavailable
from rag.types import Query, Retrieved
from tests.api.platform import Site, open_site
from tests.platforms import http_over
from tests.spans import Collector, KeptSpan

FACT = "Hotels in London cost up to 140 euros a night."
QUESTION = {"question": "What may a hotel in London cost?"}


@dataclass(frozen=True, slots=True)
class Traced:
    site: Site
    http: httpx.AsyncClient
    told: Collector

    def request(self) -> KeptSpan:
        """The one of the only request so far that was asked something."""
        [span] = [each for each in self.told.spans if each.name.startswith("POST")]
        return span


@asynccontextmanager
async def traced_site(tmp: Path) -> AsyncGenerator[Traced]:
    told = Collector()
    spans = Spans(told.get_tracer("rag"))
    async with open_site(tmp, reply=f"{FACT} [1]") as site:
        platform = site.platform
        memory = ServingMemory(
            cache=platform.answer_cache, generations=platform.generations, profile="tests"
        )
        traced = replace(
            platform,
            spans=spans,
            retriever=TracedRetriever(platform.retriever, spans),
            answerer=replace(
                platform.answerer,
                retriever=TracedRetriever(platform.retriever, spans),
                memory=TracedMemory(memory, spans),
            ),
        )
        async with http_over(traced, tracer_provider=told) as (_, http):
            yield Traced(site, http, told)


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncGenerator[Traced]:
    async with traced_site(tmp_path) as running:
        yield running


@pytest.fixture
async def me(traced: Traced) -> dict[str, str]:
    await traced.site.publish("file:///travel.txt", FACT, readers=["user:1042"], title="Travel")
    return await traced.site.key("user:1042")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_span_of_a_question_says_how_it_was_answered(
    traced: Traced, me: dict[str, str], *, stream: bool
) -> None:
    response = await traced.http.post("/v1/ask", json=QUESTION | {"stream": stream}, headers=me)
    assert response.status_code == 200
    span = traced.request()
    assert span.name == "POST /v1/ask"
    assert span.ended
    told = span.attributes
    assert told["http.route"] == "/v1/ask"
    assert told["rag.request.id"] == response.headers["x-request-id"]
    assert told["rag.decision"] == "answered"
    assert told["rag.cache"] == "miss"
    assert str(told["gen_ai.prompt.name"]).startswith("answer/")
    assert told["rag.cost_micros"] == 0
    assert told["rag.passages.sent"] == 1


async def test_retrieval_the_cache_and_each_call_of_a_model_have_spans_of_their_own(
    traced: Traced, me: dict[str, str]
) -> None:
    await traced.http.post("/v1/ask", json=QUESTION, headers=me)
    request = traced.request()
    [retrieval] = traced.told.named("retrieval")
    [recall] = traced.told.named("recall answer")
    [keep] = traced.told.named("keep answer")
    [call] = [each for each in traced.told.spans if each.name.startswith("chat ")]
    assert {each.parent for each in (retrieval, recall, keep, call)} == {request}
    assert all(each.ended for each in (retrieval, recall, keep, call))
    assert retrieval.attributes["rag.retrieval.hits"] == 1
    assert recall.attributes["rag.cache"] == "miss"
    assert call.attributes["rag.outcome"] == "ok"
    assert call.attributes["rag.step"] == "answer"
    assert call.started is not None and call.ended_at is not None


async def test_no_word_of_a_question_an_answer_a_document_or_its_reader_is_told(
    traced: Traced, me: dict[str, str]
) -> None:
    await traced.http.post("/v1/ask", json=QUESTION, headers=me)
    await traced.http.get("/v1/admin/nowhere/user:1042?about=London", headers=me)
    told = traced.told.all_told()
    for word in ("London", "140", "euros", "travel", "Travel", "1042", "nowhere"):
        assert word not in told


async def test_the_path_and_the_query_of_an_address_are_left_out(
    traced: Traced, me: dict[str, str]
) -> None:
    await traced.http.get("/v1/admin/usage?group_by=user", headers=me)
    [span] = traced.told.spans
    assert span.attributes["url.path"] == span.attributes["url.query"] == "REDACTED"
    assert span.attributes["http.route"] == "/v1/admin/usage"


class Failing:
    async def retrieve(self, query: Query) -> Retrieved:
        raise IndexUnavailable(f"no index for {query.text}")


async def test_an_error_is_told_by_its_class_alone(traced: Traced, me: dict[str, str]) -> None:
    spans = traced.site.platform.spans
    collector = Collector()
    failing = replace(
        traced.site.platform,
        retriever=TracedRetriever(Failing(), Spans(collector.get_tracer("rag"))),
        spans=spans,
    )
    async with http_over(failing, tracer_provider=collector) as (_, http):
        response = await http.post("/v1/search", json={"query": "salaries"}, headers=me)
    assert response.status_code == 503
    [retrieval] = collector.named("retrieval")
    assert retrieval.attributes["error.type"] == "IndexUnavailable"
    assert retrieval.status is StatusCode.ERROR
    assert retrieval.description is None
    assert "salaries" not in collector.all_told()
