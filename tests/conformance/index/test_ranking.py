"""The best come first, and what matches nothing is not found."""

import pytest

from rag.access import (
    TenantId,
)
from rag.protocols import Index
from rag.types import (
    DocumentId,
)
from tests.conformance.index.points import (
    IN_ONE_LOOP,
    NORTH,
    anyone,
    dense,
    direction,
    names,
    next_tenant,
    point,
    sparse,
)

pytestmark = IN_ONE_LOOP


async def test_the_nearest_come_first_with_their_cosine(index: Index, tenant: TenantId) -> None:
    far, near, same = direction(-1), direction(1, 1), NORTH
    await index.upsert(
        [point(tenant, n, vector=v) for n, v in (("far", far), ("near", near), ("same", same))]
    )
    hits = await dense(index, anyone(tenant))
    assert names(hits) == ["same", "near", "far"]
    assert [hit.score for hit in hits] == pytest.approx([1, 0.5**0.5, -1], abs=1e-6)


async def test_a_limit_keeps_the_best(index: Index, tenant: TenantId) -> None:
    await index.upsert(
        [point(tenant, str(n), vector=direction(n, 1), text="gasket " * n) for n in range(1, 8)]
    )
    for limit in (1, 3, 7, 50):
        best = [str(n) for n in range(7, 0, -1)][:limit]
        assert names(await dense(index, anyone(tenant), limit=limit)) == best
        assert len(await sparse(index, anyone(tenant), limit=limit)) == min(limit, 7)
    assert await dense(index, anyone(tenant), limit=0) == []
    assert await sparse(index, anyone(tenant), limit=0) == []


@pytest.mark.parametrize("limit", [1, 7, 40, 60])
async def test_ties_are_broken_by_chunk_id_wherever_the_limit_cuts(
    index: Index, limit: int
) -> None:
    tenant = next_tenant()
    tied = [f"{n:02}" for n in range(50)]
    await index.upsert([point(tenant, name, document="d") for name in reversed(tied)])
    assert names(await dense(index, anyone(tenant), limit=limit)) == tied[:limit]
    assert names(await sparse(index, anyone(tenant), limit=limit)) == tied[:limit]
    await index.delete_document(tenant, DocumentId("d"))


async def test_terms_that_nobody_wrote_match_nothing(index: Index, tenant: TenantId) -> None:
    await index.upsert([point(tenant, "a"), point(tenant, "b", text="")])
    for text in ("zebra", "", "   ", "the of and", "!?§ — …"):
        assert await sparse(index, anyone(tenant), text=text) == []


async def test_a_chunk_is_found_by_its_title_and_by_its_codes(
    index: Index, tenant: TenantId
) -> None:
    await index.upsert(
        [
            point(tenant, "a", text="Fit seal SEAL-4471-B before start-up."),
            point(tenant, "b", text="Fit seal SEAL-4471-C before start-up."),
        ]
    )
    assert names(await sparse(index, anyone(tenant), text="title")) == ["a", "b"]
    assert names(await sparse(index, anyone(tenant), text="SEAL-4471-C"))[0] == "b"
    assert names(await sparse(index, anyone(tenant), text="4471")) == ["a", "b"]
