"""What is written to an index is there once, whole, until it is replaced or deleted."""

import asyncio

import numpy as np
import pytest

from rag.access import (
    EVERYONE,
    NOBODY,
    AccessList,
    PrincipalId,
    TenantId,
    readable_by,
)
from rag.errors import ConfigurationError
from rag.protocols import Index
from rag.types import (
    AnyOf,
    Between,
    ChunkId,
    DocumentId,
    Metadata,
)
from tests.conformance.index.points import (
    DIMENSIONS,
    IN_ONE_LOOP,
    NORTH,
    PUBLIC,
    anyone,
    both,
    dense,
    direction,
    names,
    point,
    scope,
    sparse,
)

pytestmark = IN_ONE_LOOP


async def test_an_empty_index_finds_nothing(index: Index, tenant: TenantId) -> None:
    assert await both(index, anyone(tenant)) == set()
    assert await index.count(tenant) == 0
    assert await index.chunk_ids(tenant, DocumentId("none")) == set()


async def test_upserting_nothing_is_no_error(index: Index, tenant: TenantId) -> None:
    await index.upsert([])
    assert await index.count(tenant) == 0


async def test_the_same_upsert_twice_is_as_good_as_once(index: Index, tenant: TenantId) -> None:
    points = [point(tenant, "a"), point(tenant, "b")]
    await index.upsert(points)
    once = await sparse(index, anyone(tenant))
    await index.upsert(points)
    assert await sparse(index, anyone(tenant)) == once
    assert await index.count(tenant) == 2


async def test_an_upsert_replaces_text_vector_access_and_metadata(
    index: Index, tenant: TenantId
) -> None:
    await index.upsert([point(tenant, "a", text="valve", metadata={"year": 2024})])
    after = point(
        tenant,
        "a",
        text="flange",
        vector=direction(0, 1),
        access=readable_by(["group:x"]),
        metadata={"month": 5},
    )
    await index.upsert([after])
    member = scope(tenant, "group:x")
    assert await both(index, anyone(tenant)) == set()
    assert await sparse(index, member, text="valve") == []
    assert names(await sparse(index, member, text="flange")) == ["a"]
    assert (await dense(index, member))[0].score == pytest.approx(0, abs=1e-6)
    assert await dense(index, member, filters={"year": AnyOf((2024,))}) == []


async def test_many_points_go_in_at_once(index: Index, tenant: TenantId) -> None:
    points = [point(tenant, f"{n:03}", document="d") for n in range(300)]
    await index.upsert(points)
    assert await index.count(tenant) == 300
    assert len(await dense(index, anyone(tenant), limit=1_000)) == 300
    await index.delete_document(tenant, DocumentId("d"))


async def test_deleted_chunks_are_found_no_more_and_deleting_twice_is_no_error(
    index: Index, tenant: TenantId
) -> None:
    await index.upsert([point(tenant, name) for name in "abc"])
    for _ in range(2):
        await index.delete(tenant, [ChunkId("a"), ChunkId("c"), ChunkId("never there")])
        assert await both(index, anyone(tenant)) == {"b"}
    await index.delete(tenant, [])
    assert await index.count(tenant) == 1


async def test_deleting_a_document_takes_all_its_chunks_and_no_others(
    index: Index, tenant: TenantId
) -> None:
    await index.upsert(
        [point(tenant, name, document=f"of {name[0]}") for name in ("a1", "a2", "b")]
    )
    assert await index.chunk_ids(tenant, DocumentId("of a")) == {"a1", "a2"}
    for _ in range(2):
        await index.delete_document(tenant, DocumentId("of a"))
        assert await both(index, anyone(tenant)) == {"b"}
    assert await index.chunk_ids(tenant, DocumentId("of a")) == set()


async def test_a_long_document_lists_all_its_chunks(index: Index, tenant: TenantId) -> None:
    await index.upsert([point(tenant, f"{n}", document="long") for n in range(1_100)])
    assert len(await index.chunk_ids(tenant, DocumentId("long"))) == 1_100
    await index.delete_document(tenant, DocumentId("long"))


async def test_describing_changes_access_at_once_and_leaves_vectors(
    index: Index, tenant: TenantId
) -> None:
    await index.upsert(
        [point(tenant, name, document="d", vector=direction(1, 1)) for name in ("a", "b")]
        + [point(tenant, "c", document="other")]
    )
    before = [hit for hit in await dense(index, anyone(tenant)) if hit.chunk != "c"]
    await index.describe(
        tenant, DocumentId("d"), access=readable_by(["group:x"]), metadata={"year": 2025}
    )
    assert await both(index, anyone(tenant)) == {"c"}
    assert await dense(index, scope(tenant, "group:x")) == before
    assert await both(index, scope(tenant, "group:x"), filters={"year": AnyOf((2025,))}) == {
        "a",
        "b",
    }


async def test_describing_takes_away_what_was_there_before(index: Index, tenant: TenantId) -> None:
    elaborate = AccessList(
        (frozenset({EVERYONE}), frozenset({PrincipalId("group:x")})),
        frozenset({PrincipalId("user:9")}),
    )
    metadata: Metadata = {"year": 2025, "date": "2025-01-01", "team": "a"}
    await index.upsert([point(tenant, "a", document="d", access=elaborate, metadata=metadata)])
    await index.describe(tenant, DocumentId("d"), access=PUBLIC, metadata={"team": "b"})
    assert await both(index, scope(tenant, EVERYONE, "user:9")) == {"a"}
    for gone in (
        {"year": Between(gte=0)},
        {"date": Between(gte="2000-01-01")},
        {"team": AnyOf(("a",))},
    ):
        assert await both(index, anyone(tenant), filters=gone) == set()
    await index.describe(tenant, DocumentId("d"), access=elaborate, metadata={})
    assert await both(index, scope(tenant, EVERYONE)) == set()
    assert await both(index, scope(tenant, EVERYONE, "group:x")) == {"a"}
    await index.describe(tenant, DocumentId("d"), access=NOBODY, metadata={})
    assert await both(index, scope(tenant, EVERYONE, "group:x")) == set()


async def test_describing_an_unknown_document_is_no_error(index: Index, tenant: TenantId) -> None:
    await index.describe(tenant, DocumentId("none"), access=PUBLIC, metadata={})
    assert await index.count(tenant) == 0


async def test_text_and_names_of_any_script_go_in_and_come_out(
    index: Index, tenant: TenantId
) -> None:
    odd = "ключ-鍵-🔑-\udc80-\\udc80-\0"
    await index.upsert(
        [
            point(
                tenant,
                "a",
                text=f"gasket {odd} 股東會議",
                document=odd,
                access=readable_by([f"user:{odd}"]),
                metadata={odd: odd},
            )
        ]
    )
    me = scope(tenant, f"user:{odd}")
    assert await both(index, me, filters={odd: AnyOf((odd,))}) == {"a"}
    assert names(await sparse(index, me, text="股東")) == ["a"]
    assert await both(index, scope(tenant, f"user:{odd[:-1]}")) == set()
    assert await index.chunk_ids(tenant, DocumentId(odd)) == {"a"}
    await index.delete_document(tenant, DocumentId(odd))
    assert await index.count(tenant) == 0


async def test_searches_and_writes_at_once_all_succeed(index: Index, tenant: TenantId) -> None:
    async def write(part: int) -> None:
        for n in range(10):
            await index.upsert([point(tenant, f"{part}-{n}", document=f"{part}")])
            if n == 4:
                await index.delete(tenant, [ChunkId(f"{part}-0")])

    async def read() -> None:
        for _ in range(10):
            found = await dense(index, anyone(tenant))
            assert len(found) == len({hit.chunk for hit in found})
            await sparse(index, anyone(tenant))

    await asyncio.gather(*(write(part) for part in range(4)), *(read() for _ in range(4)))
    assert await index.count(tenant) == 36


async def test_a_search_that_is_abandoned_does_not_mix_up_the_next(
    index: Index, tenant: TenantId
) -> None:
    await index.upsert([point(tenant, "a")])
    searches = [asyncio.create_task(dense(index, anyone(tenant))) for _ in range(10)]
    await asyncio.sleep(0)
    for search in searches[::2]:
        search.cancel()
    await asyncio.gather(*searches, return_exceptions=True)
    assert await index.count(tenant) == 1
    assert names(await dense(index, anyone(tenant))) == ["a"]


async def test_a_vector_of_another_embedder_is_refused(index: Index, tenant: TenantId) -> None:
    wrong = np.ones(DIMENSIONS + 1, dtype=np.float32)
    with pytest.raises(ConfigurationError, match="8 dimensions"):
        await index.upsert([point(tenant, "a", vector=wrong)])
    with pytest.raises(ConfigurationError, match="8 dimensions"):
        await index.search_dense(wrong, scope=anyone(tenant), filters={}, limit=1)
    with pytest.raises(ConfigurationError, match="finite"):
        await index.upsert([point(tenant, "a", vector=NORTH * np.float32("nan"))])
    assert await index.count(tenant) == 0
