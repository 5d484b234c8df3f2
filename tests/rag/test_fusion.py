import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.fusion import Fusion, normalised_sum_fusion, reciprocal_rank_fusion
from rag.types import ChunkId, IndexHit

FUSIONS = [reciprocal_rank_fusion, normalised_sum_fusion]


def ranking(*names: str) -> list[IndexHit]:
    return [IndexHit(ChunkId(name), 10.0 - rank) for rank, name in enumerate(names)]


rankings = st.lists(st.lists(st.sampled_from("abcdef"), unique=True), max_size=4)


@pytest.mark.parametrize("fusion", FUSIONS)
@given(lists=rankings)
def test_fusion_keeps_every_chunk_once(fusion: Fusion, lists: list[list[str]]) -> None:
    fused = fusion([(ranking(*names), 1.0) for names in lists])
    assert sorted(hit.chunk for hit in fused) == sorted({n for names in lists for n in names})


@pytest.mark.parametrize("fusion", FUSIONS)
@given(names=st.lists(st.sampled_from("abcdef"), unique=True))
def test_fusion_of_one_ranking_is_that_ranking(fusion: Fusion, names: list[str]) -> None:
    assert [hit.chunk for hit in fusion([(ranking(*names), 1.0), ([], 1.0)])] == names


@pytest.mark.parametrize("fusion", FUSIONS)
@given(lists=rankings)
def test_the_order_in_which_rankings_come_does_not_matter(
    fusion: Fusion, lists: list[list[str]]
) -> None:
    weighted = [(ranking(*names), 1.0) for names in lists]
    forward, backward = fusion(weighted), fusion(weighted[::-1])
    assert {hit.chunk: round(hit.score, 9) for hit in forward} == {
        hit.chunk: round(hit.score, 9) for hit in backward
    }


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_chunk_both_searches_find_beats_one_that_either_finds_alone(fusion: Fusion) -> None:
    fused = fusion([(ranking("a", "both", "x"), 1.0), (ranking("both", "b", "y"), 1.0)])
    assert fused[0].chunk == "both"


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_weight_of_zero_silences_a_ranking(fusion: Fusion) -> None:
    fused = fusion([(ranking("a", "b"), 1.0), (ranking("b", "a"), 0.0)])
    assert [hit.chunk for hit in fused] == ["a", "b"]


def test_the_normalised_sum_keeps_how_much_better_a_hit_is() -> None:
    clear = [
        IndexHit(ChunkId("a"), 30.0),
        IndexHit(ChunkId("b"), 11.0),
        IndexHit(ChunkId("c"), 10.0),
    ]
    close = [
        IndexHit(ChunkId("b"), 0.52),
        IndexHit(ChunkId("a"), 0.51),
        IndexHit(ChunkId("c"), 0.1),
    ]
    assert normalised_sum_fusion([(clear, 1.0), (close, 1.0)])[0].chunk == "a"


def test_equal_scores_are_no_reason_to_drop_or_divide_by_nothing() -> None:
    level = [IndexHit(ChunkId("a"), 1.0), IndexHit(ChunkId("b"), 1.0)]
    assert [hit.score for hit in normalised_sum_fusion([(level, 1.0)])] == [1.0, 1.0]
