"""The retrieve flow over the in-memory index and a ledger that a test can change at will."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rag.access import (
    NOBODY,
    AccessList,
    AccessScope,
    Principal,
    PrincipalId,
    readable_by,
    scope_of,
)
from rag.protocols import EmbeddedQuery, IndexPoint, Reranked, Translation
from rag.retrieval import HybridRetriever, newer_first
from rag.testing import HashEmbedder, MemoryIndex
from rag.types import ChunkId, Mode, Query, RetrievedChunk
from tests.values import ACME, hit

NOW = datetime(2026, 3, 31, tzinfo=UTC)
ADA = scope_of(Principal(ACME, PrincipalId("user:ada")))
PUBLIC = readable_by(["everyone"])


@dataclass
class Ledger:
    """A `PassageStore` that holds what it is told, with the access list it is told."""

    passages: dict[ChunkId, tuple[RetrievedChunk, AccessList]] = field(
        default_factory=dict[ChunkId, tuple[RetrievedChunk, AccessList]]
    )

    async def readable(
        self, chunks: Collection[ChunkId], *, scope: AccessScope
    ) -> Mapping[ChunkId, RetrievedChunk]:
        known = ((chunk, self.passages.get(chunk)) for chunk in chunks)
        return {
            chunk: held[0] for chunk, held in known if held and scope.admits(ACME, held[1], at=NOW)
        }


@dataclass
class Reversing:
    """A reranker that turns the order around, as long as it has time."""

    complete: bool = True
    seen: list[int] = field(default_factory=list[int])

    async def rerank(
        self, query: EmbeddedQuery, candidates: Sequence[RetrievedChunk], *, budget_s: float
    ) -> Reranked:
        assert budget_s > 0
        assert query.query.text
        self.seen.append(len(candidates))
        turned = [
            replace(one, ranks=replace(one.ranks, rerank=rank))
            for rank, one in enumerate(reversed(candidates), start=1)
        ]
        return Reranked(tuple(turned), complete=self.complete)


async def retriever_over(
    *hits: RetrievedChunk, reranker: Reversing | None = None
) -> tuple[HybridRetriever, Ledger, MemoryIndex]:
    embedder, index, ledger = HashEmbedder(), MemoryIndex(), Ledger()
    embeddings = await embedder.embed_documents([one.chunk.embedded_text for one in hits])
    await index.upsert(
        [
            IndexPoint(one.chunk, PUBLIC, one.metadata, embedding.vector)
            for one, embedding in zip(hits, embeddings, strict=True)
        ]
    )
    ledger.passages = {one.chunk.id: (one, PUBLIC) for one in hits}
    return (
        HybridRetriever(index=index, embedder=embedder, passages=ledger, reranker=reranker),
        ledger,
        index,
    )


SEAL = hit("the pump seal is changed every year", document="seal")
LEAVE = hit("staff have thirty days of leave", document="leave")


async def test_the_best_match_comes_first_with_the_rank_of_every_stage() -> None:
    retriever, _, _ = await retriever_over(SEAL, LEAVE)
    found = await retriever.retrieve(Query(text="when is the pump seal changed", scope=ADA))
    assert found.hits[0].chunk.id == SEAL.chunk.id
    assert found.hits[0].ranks.fused == 1
    assert {"dense", "sparse", "fused"} <= set(found.hits[0].stage_scores)
    assert {"embed", "dense", "sparse", "fuse", "liveness"} <= set(found.timings_ms)


async def test_what_the_ledger_revoked_is_gone_whatever_the_index_says() -> None:
    retriever, ledger, _ = await retriever_over(SEAL, LEAVE)
    ledger.passages[SEAL.chunk.id] = (SEAL, NOBODY)
    found = await retriever.retrieve(Query(text="pump seal", scope=ADA))
    assert [one.chunk.id for one in found.hits] == [LEAVE.chunk.id]
    assert found.hits[0].ranks.fused == 1, "a gap in the ranks would tell that something is hidden"


async def test_a_chunk_that_the_ledger_does_not_know_is_not_shown() -> None:
    retriever, ledger, _ = await retriever_over(SEAL)
    ledger.passages.clear()
    assert (await retriever.retrieve(Query(text="pump seal", scope=ADA))).hits == ()


async def test_each_mode_searches_as_it_says() -> None:
    retriever, _, _ = await retriever_over(SEAL, LEAVE)
    dense = await retriever.retrieve(Query(text="pump seal", scope=ADA, mode=Mode.DENSE))
    sparse = await retriever.retrieve(Query(text="pump seal", scope=ADA, mode=Mode.SPARSE))
    assert {one.ranks.sparse for one in dense.hits} == {None}
    assert [(one.chunk.id, one.ranks.dense) for one in sparse.hits] == [(SEAL.chunk.id, None)]


async def test_reranking_reorders_and_says_when_its_budget_was_spent() -> None:
    for complete, outcome in ((True, "complete"), (False, "budget_spent")):
        reranker = Reversing(complete=complete)
        retriever, _, _ = await retriever_over(SEAL, LEAVE, reranker=reranker)
        plain = await retriever.retrieve(Query(text="pump seal", scope=ADA, rerank=False))
        turned = await retriever.retrieve(Query(text="pump seal", scope=ADA))
        assert [o.chunk.id for o in turned.hits] == [o.chunk.id for o in plain.hits][::-1]
        assert (plain.rerank, turned.rerank) == ("skipped", outcome)


async def test_only_the_first_candidates_are_reranked_and_the_rest_follow() -> None:
    hits = [hit(f"pump seal number {n}", document=f"d{n}") for n in range(6)]
    reranker = Reversing()
    retriever, _, _ = await retriever_over(*hits, reranker=reranker)
    few = replace(retriever, rerank_candidates=3)
    found = await few.retrieve(Query(text="pump seal", scope=ADA, limit=2))
    assert reranker.seen == [3]
    assert len(found.hits) == 2


@dataclass(frozen=True)
class Interpreter:
    def translate(self, text: str) -> Translation | None:
        return Translation("Urlaub", ("de",)) if "leave" in text else None


async def test_a_translator_finds_passages_in_the_other_language() -> None:
    german = replace(hit("dreißig Tage Urlaub", document="de"), metadata={"language": "de"})
    other = replace(hit("unrelated words entirely", document="en"), metadata={"language": "en"})
    retriever, _, _ = await retriever_over(german, other)
    query = Query(text="leave", scope=ADA)
    translating = replace(retriever, translator=Interpreter())
    assert "translated" in (await translating.retrieve(query)).timings_ms
    assert (await translating.retrieve(query)).hits[0].chunk.id == german.chunk.id
    assert "translated" not in (await retriever.retrieve(query)).timings_ms


def test_a_superseded_document_stands_behind_what_replaced_it() -> None:
    old, new = hit("old", document="old", superseded_by="new"), hit("new", document="new")
    other = hit("other", document="other")
    assert newer_first([old, other, new]) == [other, new, old]
    assert newer_first([old, other]) == [old, other]


def test_two_documents_that_each_claim_to_replace_the_other_are_both_shown() -> None:
    one = hit("one", document="one", superseded_by="two")
    two = hit("two", document="two", superseded_by="one")
    assert newer_first([one, two]) == [one, two]
