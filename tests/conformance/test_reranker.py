"""What every reranker promises. Each new adapter joins here."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from rag.access import Principal, PrincipalId, TenantId, scope_of
from rag.adapters.late_interaction import LateInteractionReranker
from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.adapters.spans import Spans, TracedReranker
from rag.protocols import EmbeddedQuery, Embedder, Reranker
from rag.types import ChunkId, Query, RetrievedChunk, TokenVectors
from tests.values import ACME, hit

TEXTS = [
    "The canteen opens at noon.",
    "Annual leave is 26 days for full-time employees.",
    "The pump is serviced every six months by the night shift, who write it down.",
    "",
    "Carried-over leave must be taken by the end of March. " * 8,
    "AP-450X",
]
SCOPE = scope_of(Principal(ACME, PrincipalId("user:1")))


@dataclass(frozen=True, slots=True)
class EmbeddedOnDemand:
    """Token vectors of chunks whose texts it knows, as if stored when they were ingested."""

    embedder: Embedder
    texts: Mapping[ChunkId, str]

    async def token_vectors(
        self, tenant: TenantId, chunks: Collection[ChunkId]
    ) -> Mapping[ChunkId, TokenVectors]:
        assert tenant == ACME
        known = [chunk for chunk in chunks if chunk in self.texts]
        embeddings = await self.embedder.embed_documents([self.texts[chunk] for chunk in known])
        return {
            chunk: embedding.tokens
            for chunk, embedding in zip(known, embeddings, strict=True)
            if embedding.tokens is not None
        }


def candidates() -> list[RetrievedChunk]:
    """In fused order: score and rank fall from the first to the last."""
    found = [hit(text, ordinal=place) for place, text in enumerate(TEXTS)]
    return [
        replace(chunk, score=1 - place / 10, ranks=replace(chunk.ranks, fused=place + 1))
        for place, chunk in enumerate(found)
    ]


def _late_interaction(minilm: OnnxEmbedder) -> Reranker:
    texts = {chunk.chunk.id: chunk.chunk.embedded_text for chunk in candidates()}
    return LateInteractionReranker(EmbeddedOnDemand(minilm, texts))


def _cross_encoder(_: OnnxEmbedder) -> Reranker:
    from tests.tiny_models import tiny_cross_encoder  # noqa: PLC0415 - torch takes seconds

    return tiny_cross_encoder()


def _traced(minilm: OnnxEmbedder) -> Reranker:
    return TracedReranker(_late_interaction(minilm), Spans())


@pytest.fixture(params=[_late_interaction, _cross_encoder, _traced], scope="module")
def reranker(request: pytest.FixtureRequest, minilm: OnnxEmbedder) -> Reranker:
    return request.param(minilm)


async def _query(minilm: OnnxEmbedder, text: str = "How many days of leave?") -> EmbeddedQuery:
    return EmbeddedQuery(Query(text=text, scope=SCOPE), await minilm.embed_query(text))


def _ids(hits: Sequence[RetrievedChunk]) -> list[ChunkId]:
    return [found.chunk.id for found in hits]


async def test_every_candidate_comes_back_once_best_first(
    reranker: Reranker, minilm: OnnxEmbedder
) -> None:
    result = await reranker.rerank(await _query(minilm), candidates(), budget_s=30)

    assert result.complete
    assert sorted(_ids(result.hits)) == sorted(_ids(candidates()))
    assert [found.ranks.rerank for found in result.hits] == list(range(1, len(TEXTS) + 1))
    scores = [found.score for found in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(found.stage_scores["rerank"] == found.score for found in result.hits)


async def test_the_ranks_of_earlier_stages_stay(reranker: Reranker, minilm: OnnxEmbedder) -> None:
    result = await reranker.rerank(await _query(minilm), candidates(), budget_s=30)

    before = {found.chunk.id: found.ranks.fused for found in candidates()}
    assert {found.chunk.id: found.ranks.fused for found in result.hits} == before


async def test_a_spent_budget_leaves_the_fused_order_and_says_so(
    reranker: Reranker, minilm: OnnxEmbedder
) -> None:
    result = await reranker.rerank(await _query(minilm), candidates(), budget_s=0)

    assert not result.complete
    assert list(result.hits) == candidates()


async def test_the_same_input_gives_the_same_order(
    reranker: Reranker, minilm: OnnxEmbedder
) -> None:
    query = await _query(minilm)
    first = await reranker.rerank(query, candidates(), budget_s=30)
    second = await reranker.rerank(query, candidates(), budget_s=30)

    assert _ids(first.hits) == _ids(second.hits)


@pytest.mark.parametrize("text", ["", "价格", "\x00", "word " * 2_000])
async def test_any_question_can_be_reranked(
    reranker: Reranker, minilm: OnnxEmbedder, text: str
) -> None:
    result = await reranker.rerank(await _query(minilm, text), candidates(), budget_s=30)

    assert len(result.hits) == len(TEXTS)


async def test_no_candidates_are_no_work(reranker: Reranker, minilm: OnnxEmbedder) -> None:
    result = await reranker.rerank(await _query(minilm), [], budget_s=30)

    assert result.hits == () and result.complete


async def test_reranks_at_the_same_time_do_not_mix(
    reranker: Reranker, minilm: OnnxEmbedder
) -> None:
    questions = ["How many days of leave?", "When does the canteen open?", "Who services the pump?"]
    queries = [await _query(minilm, question) for question in questions]
    alone = [await reranker.rerank(query, candidates(), budget_s=30) for query in queries]

    together = await asyncio.gather(
        *(reranker.rerank(query, candidates(), budget_s=30) for query in queries)
    )

    assert [_ids(one.hits) for one in together] == [_ids(one.hits) for one in alone]
