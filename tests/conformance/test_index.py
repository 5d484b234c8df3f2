"""What every `Index` promises, on each adapter.

One embedded index serves the whole module, and each test has a tenant of its own in it: that is
quick, and no test could pass if tenants could see each other.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

import numpy as np
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient

from rag.access import (
    EVERYONE,
    NOBODY,
    AccessList,
    AccessScope,
    PrincipalId,
    TenantId,
    readable_by,
)
from rag.adapters.qdrant_edge import open_edge_index
from rag.adapters.qdrant_server import QdrantServerIndex, ensure_collection, open_server_index
from rag.errors import ConfigurationError, InvalidRequest
from rag.protocols import Index, IndexPoint
from rag.types import (
    AnyOf,
    Between,
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    Filters,
    IndexHit,
    Metadata,
    MetadataValue,
    SourceId,
    Span,
    Vector,
    VersionId,
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
]

DIMENSIONS = 8
PUBLIC = readable_by([EVERYONE])
SERVER = os.environ.get("RAG_TEST_QDRANT_URL")
quickly = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
tenants = (TenantId(f"tenant-{number}") for number in itertools.count())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Index]:
    async with open_edge_index(tmp_path_factory.mktemp("i"), dimensions=DIMENSIONS) as index:
        yield index


@pytest_asyncio.fixture(
    loop_scope="module", params=["edge", "local mode", *(["server"] if SERVER else [])]
)
async def index(request: pytest.FixtureRequest, edge: Index) -> AsyncIterator[Index]:
    """Local mode looks at every point it ever had in each search, so it starts anew each time."""
    match cast("str", request.param):
        case "edge":
            yield edge
        case "server":
            name = f"test-{uuid4()}"
            opening = open_server_index(str(SERVER), dimensions=DIMENSIONS, collection=name)
            async with opening as index:
                yield index
            client = AsyncQdrantClient(url=str(SERVER))
            await client.delete_collection(name)
            await client.close()
        case _:
            client = AsyncQdrantClient(":memory:")
            await ensure_collection(client, "c", dimensions=DIMENSIONS, shards=1, replicas=1)
            index = QdrantServerIndex(client, collection="c", dimensions=DIMENSIONS)
            yield index
            await index.aclose()


@pytest.fixture
def tenant() -> TenantId:
    return next(tenants)


# --- building blocks ---------------------------------------------------------------------------


def direction(*parts: float) -> Vector:
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[: len(parts)] = parts
    return (vector / np.linalg.norm(vector)).astype(np.float32)


NORTH = direction(1)


def point(
    tenant: TenantId,
    name: str,
    *,
    text: str = "gasket",
    access: AccessList = PUBLIC,
    metadata: Metadata | None = None,
    vector: Vector = NORTH,
    document: str | None = None,
) -> IndexPoint:
    ref = DocumentRef(
        DocumentId(document or f"of {name}"), tenant, SourceId("files"), f"file:{name}", "Title"
    )
    chunk = Chunk(
        id=ChunkId(name),
        document=ref,
        version=VersionId("1"),
        ordinal=0,
        text=text,
        heading_path=(),
        kind="prose",
        span=Span(0, len(text)),
    )
    return IndexPoint(chunk, access, metadata or {}, vector)


def scope(tenant: TenantId, *identities: str) -> AccessScope:
    return AccessScope(tenant, frozenset(map(PrincipalId, identities)))


def anyone(tenant: TenantId) -> AccessScope:
    return scope(tenant, EVERYONE, "user:1")


async def dense(
    index: Index, scope: AccessScope, *, filters: Filters | None = None, limit: int = 100
) -> list[IndexHit]:
    return await index.search_dense(NORTH, scope=scope, filters=filters or {}, limit=limit)


async def sparse(
    index: Index,
    scope: AccessScope,
    *,
    text: str = "gasket",
    filters: Filters | None = None,
    limit: int = 100,
) -> list[IndexHit]:
    return await index.search_sparse(text, scope=scope, filters=filters or {}, limit=limit)


async def both(index: Index, scope: AccessScope, *, filters: Filters | None = None) -> set[ChunkId]:
    """What each search finds; they must agree, for all points of a test share a term."""
    by_vector = {hit.chunk for hit in await dense(index, scope, filters=filters)}
    by_term = {hit.chunk for hit in await sparse(index, scope, filters=filters)}
    assert by_vector == by_term
    return by_vector


def names(hits: Iterable[IndexHit]) -> list[str]:
    return [str(hit.chunk) for hit in hits]


# --- writing -----------------------------------------------------------------------------------


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


# --- access ------------------------------------------------------------------------------------

X, Y, Z = (frozenset({PrincipalId(f"group:{name}")}) for name in "xyz")
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
    assert asker.admits(tenant, access) is admitted
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
    tenant = next(tenants)
    points = [point(tenant, str(n), access=a) for n, a in enumerate(lists)]
    await index.upsert(points)
    for identities in askers:
        asker = AccessScope(tenant, identities)
        admitted = {str(n) for n, a in enumerate(lists) if asker.admits(tenant, a)}
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


# --- filters -----------------------------------------------------------------------------------


NONE: set[str] = set()
FILTERS: list[tuple[Filters, set[str]]] = [
    ({"year": AnyOf((2024,))}, {"a"}),
    ({"year": AnyOf((2024.0, 2025))}, {"a", "b"}),
    ({"year": AnyOf(("2024",))}, NONE),
    ({"year": AnyOf(())}, NONE),
    ({"team": AnyOf(("ops", "law"))}, {"a", "b"}),
    ({"team": AnyOf(("Ops",))}, NONE),
    ({"final": AnyOf((True,))}, {"a"}),
    ({"final": AnyOf((1,))}, NONE),
    ({"one": AnyOf((True,))}, NONE),
    ({"one": AnyOf((1,))}, {"a"}),
    ({"ratio": AnyOf((0.5,))}, {"a"}),
    ({"unknown": AnyOf((1,))}, NONE),
    ({"unknown": Between(gte=0)}, NONE),
    ({"year": Between(gte=2025)}, {"b", "c"}),
    ({"year": Between(gt=2025)}, {"c"}),
    ({"year": Between(lt=2025)}, {"a"}),
    ({"year": Between(lte=2025)}, {"a", "b"}),
    ({"year": Between(gte=2024, lt=2026)}, {"a", "b"}),
    ({"year": Between(gte=2026, lt=2024)}, NONE),
    ({"ratio": Between(gt=0.4, lt=0.6)}, {"a"}),
    ({"team": Between(gte=0)}, NONE),
    ({"final": Between(gte=0)}, NONE),
    ({"year": Between(gte="2000-01-01")}, NONE),
    ({"date": Between(gte="2026-01-01")}, {"b", "c"}),
    ({"date": Between(lte="2026-01-31")}, {"a", "b"}),
    ({"date": Between(gt="2026-01-31")}, {"c"}),
    ({"date": Between(lt="2026-01-31")}, {"a"}),
    ({"date": Between(gte="2026-01-31T12:00:00Z")}, {"b", "c"}),
    ({"date": Between(gte="2026-01-31T23:30:00+00:30")}, {"c"}),
    ({"date": Between(gte="2026")}, {"b", "c"}),
    ({"date": Between(lte="2026-01")}, {"a", "b"}),
    ({"date": Between(gt="2026")}, NONE),
    ({"date": Between(gte=0)}, NONE),
    ({"date": AnyOf(("2025-12-31",))}, {"a"}),
    ({"mixed": Between(gte=0)}, {"a"}),
    ({"mixed": Between(gte="2020-01-01")}, {"b"}),
    ({"mixed": AnyOf((3, "free text"))}, {"a", "c"}),
    ({"team": AnyOf(("ops",)), "year": Between(gte=2025)}, NONE),
    ({'odd "name".[]$ ü': AnyOf(("x",))}, {"c"}),
    ({'odd "name".[]$ ü': Between(gte=0)}, {"b"}),
    ({"": AnyOf(("",))}, {"c"}),
    ({"long": AnyOf(("x" * 5_000,))}, {"c"}),
    ({"long": AnyOf(("x" * 4_999,))}, NONE),
]


@pytest.mark.parametrize(("asked", "found"), FILTERS)
async def test_filters(index: Index, asked: Filters, found: set[str]) -> None:
    tenant = next(tenants)
    of: dict[str, dict[str, MetadataValue]] = {
        "a": {
            "year": 2024,
            "team": "ops",
            "final": True,
            "one": 1,
            "ratio": 0.5,
            "date": "2025-12-31",
            "mixed": 3,
        },
        "b": {
            "year": 2025,
            "team": "law",
            "final": False,
            "ratio": 2,
            "date": "2026-01-31T22:59:00Z",
            "mixed": "2026-02-02",
            'odd "name".[]$ ü': 7,
        },
        "c": {
            "year": 2026,
            "date": "2026-02-01",
            "mixed": "free text",
            "": "",
            "long": "x" * 5_000,
            'odd "name".[]$ ü': "x",
            "huge": 10**400,
            "endless": float("inf"),
        },
    }
    await index.upsert([point(tenant, name, metadata=of[name]) for name in of])
    assert await both(index, anyone(tenant), filters=asked) == found


@pytest.mark.parametrize(
    "bound", [Between(), Between(gte="last week"), Between(lt=float("nan")), Between(gt="2026-13")]
)
async def test_a_bound_that_means_nothing_is_refused_by_name(
    index: Index, tenant: TenantId, bound: Between
) -> None:
    with pytest.raises(InvalidRequest, match="'date'"):
        await dense(index, anyone(tenant), filters={"date": bound})
    with pytest.raises(InvalidRequest, match="'date'"):
        await sparse(index, anyone(tenant), filters={"date": bound})


async def test_a_filter_never_widens_what_may_be_read(index: Index, tenant: TenantId) -> None:
    secret = readable_by(["group:board"])
    await index.upsert([point(tenant, "a", access=secret, metadata={"year": 2025})])
    for filters in ({"year": AnyOf((2025,))}, {"year": Between(gte=0)}):
        assert await both(index, anyone(tenant), filters=filters) == set()


fields = st.sampled_from(["n", "date", "a.b", "c[]"])
values: st.SearchStrategy[MetadataValue] = (
    st.integers(-3, 3)
    | st.sampled_from([0.5, -1.0, 2.0, 1e300])
    | st.booleans()
    | st.sampled_from(["", "x", "3", "2026-01-01", "2026-01-02T10:00:00Z", "ü\\"])
)
numbers = st.integers(-3, 3) | st.floats(-4, 4)
moments = st.sampled_from(["2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T10:00:00Z"])


def ranges(bounds: st.SearchStrategy[float] | st.SearchStrategy[str]) -> st.SearchStrategy[Between]:
    some = st.none() | bounds
    built = st.builds(Between, gte=some, gt=some, lte=some, lt=some)
    return built.filter(lambda range_: range_ != Between())


conditions = (
    st.lists(values, max_size=3).map(lambda some: AnyOf(tuple(some)))
    | ranges(numbers)
    | ranges(moments)
)


def meets(metadata: Metadata, filters: Filters) -> bool:
    return all(
        name in metadata and _meets(metadata[name], condition)
        for name, condition in filters.items()
    )


def _meets(value: MetadataValue, condition: AnyOf | Between) -> bool:
    if isinstance(condition, AnyOf):
        return any(value == one and kind(value) is kind(one) for one in condition.values)
    bounds = {
        ">=": condition.gte,
        ">": condition.gt,
        "<=": condition.lte,
        "<": condition.lt,
    }
    given_bounds = {sign: bound for sign, bound in bounds.items() if bound is not None}
    if kind(value) is bool or any(
        kind(bound) is not kind(value) for bound in given_bounds.values()
    ):
        return False
    try:
        mine = order_of(value)
    except ValueError:
        return False
    holds = {">=": mine.__ge__, ">": mine.__gt__, "<=": mine.__le__, "<": mine.__lt__}
    return all(holds[sign](order_of(bound)) for sign, bound in given_bounds.items())


def kind(value: MetadataValue) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def order_of(value: MetadataValue) -> float:
    if not isinstance(value, str):
        return float(value)
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@given(
    held=st.lists(st.dictionaries(fields, values, max_size=3), min_size=1, max_size=6),
    asked=st.lists(st.dictionaries(fields, conditions, max_size=2), min_size=1, max_size=4),
)
@example(held=[{"n": True}, {"n": 1}, {"n": "1"}], asked=[{"n": AnyOf((1,))}])
@quickly
async def test_filters_of_any_type_on_values_of_any_type(
    index: Index, held: list[Metadata], asked: list[Filters]
) -> None:
    tenant = next(tenants)
    points = [point(tenant, str(n), metadata=m) for n, m in enumerate(held)]
    await index.upsert(points)
    for filters in asked:
        expected = {str(n) for n, m in enumerate(held) if meets(m, filters)}
        assert await both(index, anyone(tenant), filters=filters) == expected


# --- ranking -----------------------------------------------------------------------------------


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
    tenant = next(tenants)
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
