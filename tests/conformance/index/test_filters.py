"""Filters hold for values of any type, and never widen what may be read."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.access import (
    TenantId,
    readable_by,
)
from rag.errors import InvalidRequest
from rag.protocols import Index
from rag.types import (
    AnyOf,
    Between,
    Filters,
    Metadata,
    MetadataValue,
)
from tests.conformance.index.points import (
    IN_ONE_LOOP,
    anyone,
    both,
    dense,
    next_tenant,
    point,
    quickly,
    sparse,
)

pytestmark = IN_ONE_LOOP


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
    tenant = next_tenant()
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
    tenant = next_tenant()
    points = [point(tenant, str(n), metadata=m) for n, m in enumerate(held)]
    await index.upsert(points)
    for filters in asked:
        expected = {str(n) for n, m in enumerate(held) if meets(m, filters)}
        assert await both(index, anyone(tenant), filters=filters) == expected
