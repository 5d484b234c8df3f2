"""MaxSim beside the fused score."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag.access import Principal, PrincipalId, TenantId, scope_of
from rag.adapters.late_interaction import LateInteractionReranker, max_sim, min_max
from rag.errors import ConfigurationError
from rag.protocols import EmbeddedQuery
from rag.types import ChunkId, Embedding, Query, RetrievedChunk, TokenVectors
from tests.values import ACME, hit

SCOPE = scope_of(Principal(ACME, PrincipalId("user:1")))


@dataclass(frozen=True, slots=True)
class Stored:
    vectors: Mapping[ChunkId, TokenVectors]
    delay_s: float = 0

    async def token_vectors(
        self, tenant: TenantId, chunks: Collection[ChunkId]
    ) -> Mapping[ChunkId, TokenVectors]:
        assert tenant == ACME
        await asyncio.sleep(self.delay_s)
        return {chunk: self.vectors[chunk] for chunk in chunks if chunk in self.vectors}


def token(*angles: float) -> TokenVectors:
    """Unit vectors of two dimensions at these angles, in degrees."""
    radians = np.radians(np.array(angles))
    return np.rint(np.stack([np.cos(radians), np.sin(radians)], axis=1) * 127).astype(np.int8)


def query(tokens: TokenVectors | None) -> EmbeddedQuery:
    vector = np.array([1, 0], dtype=np.float32)
    return EmbeddedQuery(Query(text="?", scope=SCOPE), Embedding(vector, tokens))


def candidates(*scores: float) -> list[RetrievedChunk]:
    return [replace(hit("text", ordinal=n), score=score) for n, score in enumerate(scores)]


def order(hits: tuple[RetrievedChunk, ...]) -> list[int]:
    return [found.chunk.ordinal for found in hits]


async def rerank(
    scores: tuple[float, ...], angles: Mapping[int, float], *, weight: float
) -> tuple[RetrievedChunk, ...]:
    """Candidates with these fused scores and, where given, a token at this angle to the query's."""
    found = candidates(*scores)
    stored = Stored({found[place].chunk.id: token(angle) for place, angle in angles.items()})
    result = await LateInteractionReranker(stored, weight=weight).rerank(
        query(token(0)), found, budget_s=5
    )
    assert result.complete
    return result.hits


async def test_the_weight_moves_the_order_from_fused_to_max_sim() -> None:
    angles = {0: 80, 1: 40, 2: 0}

    assert order(await rerank((3, 2, 1), angles, weight=0)) == [0, 1, 2]
    assert order(await rerank((3, 2, 1), angles, weight=1)) == [2, 1, 0]
    [best, *_] = await rerank((3, 2.9, 1), {0: 80, 1: 10, 2: 0}, weight=0.4)
    assert best.chunk.ordinal == 1
    assert best.score == pytest.approx(0.4 * best_similarity() + 0.6 * 0.95, abs=0.01)


def best_similarity() -> float:
    """Of the token at 10 degrees, between those at 80 and at 0."""
    far, near = np.cos(np.radians(80)), np.cos(np.radians(10))
    return float((near - far) / (1 - far))


async def test_a_candidate_without_token_vectors_keeps_its_fused_standing() -> None:
    hits = await rerank((3, 2, 1), {0: 80, 2: 60}, weight=0.4)

    assert order(hits) == [0, 1, 2]
    unscored = next(found for found in hits if found.chunk.ordinal == 1)
    assert unscored.score == pytest.approx(0.5)
    assert unscored.ranks.rerank is None


async def test_without_any_token_vectors_the_fused_order_stands() -> None:
    assert order(await rerank((3, 2, 1), {}, weight=0.5)) == [0, 1, 2]


async def test_vectors_of_other_dimensions_count_as_none() -> None:
    found = candidates(2, 1)
    stored = Stored({found[1].chunk.id: np.ones((3, 5), dtype=np.int8)})

    result = await LateInteractionReranker(stored, weight=1).rerank(
        query(token(0)), found, budget_s=5
    )

    assert order(result.hits) == [0, 1] and result.complete


async def test_a_slow_store_costs_no_more_than_the_budget() -> None:
    found = candidates(2, 1)
    stored = Stored({found[1].chunk.id: token(0)}, delay_s=60)

    result = await LateInteractionReranker(stored).rerank(query(token(0)), found, budget_s=0.05)

    assert list(result.hits) == found and not result.complete


async def test_an_embedder_without_token_vectors_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match="token vectors"):
        await LateInteractionReranker(Stored({})).rerank(query(None), candidates(1), budget_s=5)


def test_a_weight_outside_its_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        LateInteractionReranker(Stored({}), weight=1.5)


vectors = st.integers(1, 6).flatmap(
    lambda rows: arrays(np.int8, (rows, 4), elements=st.integers(-127, 127))
)


@given(vectors, vectors)
def test_max_sim_is_the_mean_of_each_query_tokens_best_match(
    asked: TokenVectors, stored: TokenVectors
) -> None:
    expected = [max(float(np.dot(a.astype(float), b.astype(float))) for b in stored) for a in asked]

    found = max_sim(asked.astype(np.float32), stored)

    assert found == pytest.approx(sum(expected) / len(expected) / 127**2, abs=1e-5)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_min_max_keeps_the_order_and_spans_nought_to_one(values: list[float]) -> None:
    scores = np.array(values)
    normal = min_max(scores)

    assert normal.max() == pytest.approx(1)
    assert normal.min() >= 0
    assert (np.diff(normal[np.argsort(scores, kind="stable")]) >= 0).all()


async def test_what_is_in_another_language_keeps_its_fused_standing() -> None:
    found = [
        replace(one, metadata={"language": language})
        for one, language in zip(candidates(1.0, 0.5, 0.0), ("de", "en", "en"), strict=True)
    ]
    # By token vectors alone the German candidate would come last, and the last one first.
    stored = Stored(
        {one.chunk.id: token(angle) for one, angle in zip(found, (90, 40, 0), strict=True)}
    )
    reranked = await LateInteractionReranker(stored, weight=0.4).rerank(
        query(token(0)), found, budget_s=5
    )
    assert order(reranked.hits)[0] == 0
    assert reranked.hits[0].ranks.rerank is None
    assert "late_interaction" not in reranked.hits[0].stage_scores
