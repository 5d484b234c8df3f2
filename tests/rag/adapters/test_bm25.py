"""Terms, their weights, and the index's ranking against `rank_bm25.BM25Okapi`.

Two things differ from BM25Okapi by intent. The IDF is ln(1 + (N-n+.5)/(n+.5)), never negative, where
Okapi's is ln((N-n+.5)/(n+.5)) with a floor; and the average length is a constant. So the tests
say: with the index's IDF put into BM25Okapi, every score is equal; for a query of one term the
ranking is equal to plain BM25Okapi's; for more terms it is, wherever plain BM25Okapi separates two
documents by more than the two IDFs can differ.
"""
# pyright: reportUnknownMemberType=false

import itertools
import math
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from rag.access import EVERYONE, AccessScope, TenantId, readable_by
from rag.adapters.bm25 import (
    AVERAGE_LENGTH,
    K1,
    B,
    sparse_document,
    sparse_query,
    terms,
)
from rag.adapters.qdrant_edge import open_edge_index
from rag.protocols import Index, IndexPoint
from rag.types import Chunk, ChunkId, DocumentId, DocumentRef, SourceId, Span, VersionId

# --- terms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n\t—…!?", []),
        ("The seals of the pumps", ["seal", "pump"]),
        ("running runs", ["run", "run"]),
        ("company's company", ["compani", "compani"]),
        ("IT policy and it", ["it", "polici"]),
        ("Müller, MÜLLER, Mu\u0308ller", ["muller", "muller", "muller"]),
        ("Straße STRASSE", ["strass", "strass"]),
        ("Rechnung Rechnungen", ["rechnung", "rechnung"]),
        ("3.5 bar", ["3.5", "3", "5", "bar"]),
        ("2026-01-31", ["2026-01-31", "2026", "01", "31"]),
        ("well-known facts", ["well", "known", "fact"]),
        ("snake_case_name", ["snake", "case", "name"]),
        ("\ufb01ne \uff26\uff55\uff4c\uff4c", ["fine", "full"]),
        ("股東會議", ["股東", "東會", "會議"]),
        ("हिन्दी", ["हिन्दी"]),
        ("Ünïcode\udc80", ["unicod"]),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    "asked",
    [
        "SEAL-4471-B",
        "seal-4471-b",
        "SEAL 4471 B",
        "SEAL4471B",
        "SEAL\u20114471\u2011B",
        "4471",
        "(SEAL-4471-B)",
    ],
)
def test_a_code_is_found_whole_in_any_spelling_and_by_its_parts(asked: str) -> None:
    written = set(terms("Fit SEAL-4471-B first."))
    assert written & set(terms(asked))
    assert "seal4471b" in written


def test_a_code_tells_itself_from_its_neighbour() -> None:
    assert "po20250117" in terms("PO-2025-0117")
    assert "po20250117" not in terms("PO-2025-0118")


@given(st.text(max_size=80))
def test_terms_are_words_folded_the_same_however_they_were_typed(text: str) -> None:
    found = terms(text)
    assert all(found)
    assert found == terms(unicodedata.normalize("NFC", text).replace("\u00ad", ""))
    assert found == terms(f"  {text}\n")


def test_terms_are_the_same_in_every_thread() -> None:
    texts = [f"running seals and bearings {n} Dichtungen relational" * 20 for n in range(200)]
    expected = [terms(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(terms, texts)) == expected


def test_a_term_has_the_same_number_for_ever() -> None:
    """An index on disk holds these numbers: where this fails, `SCHEMA` must be raised."""
    numbers, _ = sparse_query("seal 股東")
    assert numbers.tolist() == [3255837859, 3689062078]


# --- weights -----------------------------------------------------------------------------------


@given(st.text(max_size=200))
def test_weights_are_finite_positive_and_below_saturation(text: str) -> None:
    numbers, weights = sparse_document(text)
    assert numbers.dtype == np.uint32 and weights.dtype == np.float32
    assert (np.diff(numbers.astype(np.int64)) > 0).all()
    assert ((weights > 0) & (weights < K1 + 1)).all()
    assert len(numbers) == len(sparse_query(text)[0])


def test_a_document_of_average_length_has_the_weights_of_the_formula() -> None:
    text = "seal " * 3 + "pump " * (int(AVERAGE_LENGTH) - 3)
    _, weights = sparse_document(text)
    count = int(AVERAGE_LENGTH) - 3
    expected = sorted([3 * (K1 + 1) / (3 + K1), count * (K1 + 1) / (count + K1)])
    assert sorted(weights.tolist()) == pytest.approx(expected)


def test_a_longer_document_weighs_the_same_word_less() -> None:
    short, long = sparse_document("seal pump"), sparse_document("seal pump " + "other " * 300)
    assert max(short[1]) > min(long[1])


# --- ranking -----------------------------------------------------------------------------------


class OkapiWithTheIndexIdf(BM25Okapi):
    """BM25Okapi with the IDF that Lucene and Qdrant use, and with our constant average length."""

    def __init__(self, corpus: Sequence[Sequence[str]]) -> None:
        super().__init__(corpus, k1=K1, b=B)
        self.avgdl = AVERAGE_LENGTH

    def _calc_idf(self, nd: dict[str, int]) -> None:
        for term, count in nd.items():
            self.idf[term] = math.log(1 + (self.corpus_size - count + 0.5) / (count + 0.5))


def scores_of(okapi: Any, query: str) -> list[float]:
    return cast("list[float]", okapi.get_scores(terms(query)).tolist())


words = st.sampled_from([*"bcdefgh", "seal", "pump", "SEAL-4471-B", "Müller", "running"])
documents = st.lists(words, min_size=1, max_size=12).map(" ".join)
corpora = st.lists(documents, min_size=2, max_size=12)
quickly = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
in_module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def index(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Index]:
    async with open_edge_index(tmp_path_factory.mktemp("bm25"), dimensions=2) as opened:
        yield opened


tenants = (TenantId(f"corpus {number}") for number in range(1_000_000))


async def indexed(index: Index, corpus: Sequence[str]) -> TenantId:
    tenant = next(tenants)
    await index.upsert([_point(tenant, number, text) for number, text in enumerate(corpus)])
    return tenant


def _point(tenant: TenantId, number: int, text: str) -> IndexPoint:
    ref = DocumentRef(DocumentId("d"), tenant, SourceId("s"), "u", "")
    chunk = Chunk(
        id=ChunkId(f"{number:04}"),
        document=ref,
        version=VersionId("1"),
        ordinal=number,
        text=text,
        heading_path=(),
        kind="prose",
        span=Span(0, 0),
    )
    return IndexPoint(chunk, readable_by([EVERYONE]), {}, np.array([1, 0], dtype=np.float32))


async def ranking(index: Index, tenant: TenantId, query: str) -> dict[int, float]:
    scope = AccessScope(tenant, frozenset({EVERYONE}))
    hits = await index.search_sparse(query, scope=scope, filters={}, limit=1_000)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    return {int(hit.chunk): hit.score for hit in hits}


@given(corpus=corpora, query=st.lists(words, min_size=1, max_size=5).map(" ".join))
@quickly
@in_module
async def test_every_score_is_okapis_with_the_same_idf(
    index: Index, corpus: list[str], query: str
) -> None:
    found = await ranking(index, await indexed(index, corpus), query)
    expected = scores_of(OkapiWithTheIndexIdf([terms(text) for text in corpus]), query)
    positive = {number: score for number, score in enumerate(expected) if score > 0}
    assert found == pytest.approx(positive, rel=1e-5)


@given(corpus=corpora, query=st.sampled_from([*"bcdefgh", "seal"]))
@quickly
@in_module
async def test_for_one_term_the_ranking_is_plain_okapis(
    index: Index, corpus: list[str], query: str
) -> None:
    """An IDF scales all the scores of a term alike. Where the term is in over half of the
    documents Okapi's IDF is a floor that may fall below zero, and its ranking means nothing."""
    tokens = [terms(text) for text in corpus]
    holding = sum(terms(query)[0] in found for found in tokens)
    if not 0 < holding < len(corpus) / 2:
        return
    okapi = plain_okapi(tokens)
    found = await ranking(index, await indexed(index, corpus), query)
    assert_same_order(found, scores_of(okapi, query))


@given(corpus=corpora, query=st.lists(words, min_size=2, max_size=4, unique=True).map(" ".join))
@quickly
@in_module
async def test_for_several_terms_the_ranking_is_plain_okapis_but_for_near_ties(
    index: Index, corpus: list[str], query: str
) -> None:
    """The two IDFs of a term differ by ln(1 + (n+.5)/(N-n+.5)), less than ln 2 while the term is in
    under half of the documents. So where Okapi is surer than that, weighed by the terms' most,
    the order is the same."""
    tokens = [terms(text) for text in corpus]
    size = len(corpus)
    held = Counter(term for found in tokens for term in set(found))
    asked = [term for term in terms(query) if held[term]]
    if not asked or any(held[term] >= size / 2 for term in asked):
        return
    expected = scores_of(plain_okapi(tokens), query)
    found = await ranking(index, await indexed(index, corpus), query)
    slack = sum(
        (K1 + 1) * math.log(1 + (held[term] + 0.5) / (size - held[term] + 0.5)) for term in asked
    )
    for a, b in itertools.permutations(found, 2):
        if expected[a] > expected[b] + slack:
            assert found[a] > found[b]


def plain_okapi(tokens: Sequence[Sequence[str]]) -> BM25Okapi:
    okapi = BM25Okapi(tokens, k1=K1, b=B)
    okapi.avgdl = AVERAGE_LENGTH
    return okapi


def assert_same_order(found: dict[int, float], expected: Sequence[float]) -> None:
    for a, b in itertools.permutations(found, 2):
        if expected[a] > expected[b] + 1e-5:
            assert found[a] > found[b]


@in_module
async def test_on_english_text_the_first_ten_are_plain_okapis(index: Index) -> None:
    """Okapi as it comes, with the corpus's own mean length, on documents that read like chunks."""
    random = np.random.default_rng(7)
    vocabulary = [f"word{number}" for number in range(3_000)]
    share = 1 / np.arange(10, 3_010)
    corpus = [
        " ".join(random.choice(vocabulary, size=int(size), p=share / share.sum()))
        for size in random.normal(AVERAGE_LENGTH, 25, size=400).clip(20)
    ]
    okapi = BM25Okapi([terms(text) for text in corpus], k1=K1, b=B)
    tenant = await indexed(index, corpus)
    agreed = 0
    for _ in range(40):
        query = " ".join(random.choice(vocabulary[50:800], size=5, replace=False))
        best = np.argsort(-np.array(scores_of(okapi, query)), kind="stable")[:10]
        agreed += len(set(list(await ranking(index, tenant, query))[:10]) & set(best.tolist()))
    assert agreed / 400 > 0.95


def test_the_constant_length_ranks_like_the_true_mean() -> None:
    """Half or double the constant moves hardly any of the first ten: it needs no upkeep."""
    random = np.random.default_rng(3)
    share = 1 / np.arange(10, 2_010)
    tokens = [
        [f"w{n}" for n in random.choice(2_000, size=int(size), p=share / share.sum())]
        for size in random.normal(AVERAGE_LENGTH, 25, size=500).clip(20)
    ]
    base = OkapiWithTheIndexIdf(tokens)
    for factor in (0.5, 2):
        other = OkapiWithTheIndexIdf(tokens)
        other.avgdl = AVERAGE_LENGTH * factor
        kept = 0
        for _ in range(30):
            query = [f"w{n}" for n in random.choice(np.arange(50, 800), size=5, replace=False)]
            first, second = (
                set(np.argsort(-cast("Any", okapi).get_scores(query))[:10].tolist())
                for okapi in (base, other)
            )
            kept += len(first & second)
        assert kept / 300 > 0.9
