"""Each search finds exactly what the scope admits, and tells nothing of the rest."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.access import (
    EVERYONE,
    NOBODY,
    AccessList,
    AccessScope,
    PrincipalId,
    TenantId,
    readable_by,
)
from rag.protocols import Index
from rag.types import (
    ChunkId,
    DocumentId,
)
from tests.conformance.index.points import (
    IN_ONE_LOOP,
    PUBLIC,
    anyone,
    both,
    next_tenant,
    point,
    quickly,
    scope,
    sparse,
)

pytestmark = IN_ONE_LOOP


X, Y, Z = (frozenset({PrincipalId(f"group:{name}")}) for name in "xyz")
NOW = datetime(2026, 3, 31, tzinfo=UTC)
FOUR = AccessList((X, Y, Z, frozenset({EVERYONE})))


@pytest.mark.parametrize(
    ("access", "identities", "admitted"),
    [
        (NOBODY, [EVERYONE, "user:1"], False),
        (AccessList((frozenset(),)), [EVERYONE, "user:1"], False),
        (AccessList((X, frozenset())), [EVERYONE, "group:x"], False),
        (PUBLIC, [EVERYONE, "user:1"], True),
        (PUBLIC, [], False),
        (readable_by(["user:1"]), [EVERYONE, "user:1"], True),
        (readable_by(["user:1"]), [EVERYONE, "user:2"], False),
        (readable_by(["user:1"]), [EVERYONE, "USER:1", "user:11", "user:"], False),
        (readable_by(["group:x", "group:y"]), ["group:y"], True),
        (readable_by([EVERYONE], denied=["user:1"]), [EVERYONE, "user:1"], False),
        (readable_by([EVERYONE], denied=["user:1"]), [EVERYONE, "user:2"], True),
        (readable_by([EVERYONE], denied=["group:x"]), [EVERYONE, "user:2", "group:x"], False),
        (readable_by([], denied=["user:1"]), [EVERYONE, "user:2"], False),
        (AccessList((X, Y)), ["group:x"], False),
        (AccessList((X, Y)), ["group:y"], False),
        (AccessList((X, Y)), ["group:x", "group:y"], True),
        (AccessList((X, Y), Z), ["group:x", "group:y", "group:z"], False),
        (AccessList((X, Y, Z)), ["group:x", "group:y"], False),
        (FOUR, ["group:x", "group:y", "group:z"], False),
        (FOUR, ["group:x", "group:y", "group:z", EVERYONE], True),
        (readable_by([f"group:{n}" for n in range(500)]), ["group:499"], True),
        (readable_by(["group:7"]), [f"group:{n}" for n in range(500)], True),
        (readable_by(["group:500"]), [f"group:{n}" for n in range(500)], False),
    ],
)
async def test_a_search_finds_what_the_scope_admits(
    index: Index, tenant: TenantId, access: AccessList, identities: list[str], *, admitted: bool
) -> None:
    await index.upsert([point(tenant, "a", access=access)])
    asker = scope(tenant, *identities)
    assert asker.admits(tenant, access, at=NOW) is admitted
    assert await both(index, asker) == ({"a"} if admitted else set())


async def test_two_tenants_with_the_same_ids_never_meet(index: Index, tenant: TenantId) -> None:
    other = TenantId(f"{tenant}-other")
    await index.upsert([point(tenant, "a", text="gasket mine", document="d")])
    await index.upsert([point(other, "a", text="gasket theirs", document="d")])
    assert await both(index, anyone(tenant)) == {"a"}
    assert await sparse(index, anyone(tenant), text="theirs") == []
    await index.describe(other, DocumentId("d"), access=NOBODY, metadata={})
    await index.delete(other, [ChunkId("a")])
    assert await both(index, anyone(tenant)) == {"a"}
    await index.upsert([point(other, "a", document="d")])
    await index.delete_document(other, DocumentId("d"))
    assert await index.count(tenant) == 1
    assert await index.count(other) == 0


people = st.sampled_from([EVERYONE, *(PrincipalId(f"{k}:{n}") for k in "ug" for n in range(3))])
odd_people = people | st.text(max_size=3).map(PrincipalId)
access_lists = st.builds(
    AccessList,
    st.lists(st.frozensets(odd_people, max_size=4), max_size=4).map(tuple),
    st.just(frozenset[PrincipalId]()) | st.frozensets(people, max_size=2),
)


@given(
    lists=st.lists(access_lists, min_size=1, max_size=8),
    askers=st.lists(st.frozensets(odd_people, max_size=5), min_size=1, max_size=3),
)
@quickly
async def test_both_searches_find_exactly_what_the_scope_admits(
    index: Index, lists: list[AccessList], askers: list[frozenset[PrincipalId]]
) -> None:
    tenant = next_tenant()
    points = [point(tenant, str(n), access=a) for n, a in enumerate(lists)]
    await index.upsert(points)
    for identities in askers:
        asker = AccessScope(tenant, identities)
        admitted = {str(n) for n, a in enumerate(lists) if asker.admits(tenant, a, at=NOW)}
        assert await both(index, asker) == admitted


async def test_what_one_may_not_read_changes_no_score(index: Index, tenant: TenantId) -> None:
    mine = [point(tenant, "a", text="rotor seal"), point(tenant, "b", text="rotor shaft")]
    await index.upsert(mine)
    before = await sparse(index, anyone(tenant), text="rotor seal merger")
    secret = readable_by(["group:board"])
    await index.upsert(
        [point(tenant, f"s{n}", text="merger seal", access=secret) for n in range(9)]
        + [point(TenantId("stranger"), f"t{n}", text="rotor merger") for n in range(9)]
    )
    assert await sparse(index, anyone(tenant), text="rotor seal merger") == before
    await index.delete_document(TenantId("stranger"), DocumentId("of t1"))
    assert await sparse(index, anyone(tenant), text="rotor seal merger") == before
