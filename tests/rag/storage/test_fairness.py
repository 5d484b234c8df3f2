"""Whose turn it is: shares converge to weights, and nobody is starved or owed for a rest."""

from collections import Counter
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from rag.access import TenantId
from rag.storage.jobs.fairness import Flow, Turns
from rag.storage.jobs.records import Urgency
from rag.types import SourceId

WEIGHTS = st.floats(0.1, 10)


def flow(
    source: str, *, tenant: str = "acme", weight: float = 1.0, urgency: Urgency = Urgency.ROUTINE
) -> Flow:
    return Flow(urgency, TenantId(tenant), SourceId(source), weight)


def served(turns: Turns, flows: list[Flow], number: int) -> list[Flow]:
    chosen: list[Flow] = []
    for _ in range(number):
        chosen.append(turns.next_of(flows))
        turns.serve(chosen[-1])
    return chosen


def turns_of(tenant_weights: Mapping[TenantId, float] | None = None) -> Turns:
    return Turns({}, tenant_weights or {})


@given(weights=st.lists(WEIGHTS, min_size=1, max_size=6))
def test_sources_with_work_are_served_by_their_weights(weights: list[float]) -> None:
    flows = [flow(f"s{number}", weight=weight) for number, weight in enumerate(weights)]
    counts = Counter(each.source for each in served(turns_of(), flows, 500))
    for each in flows:
        share = 500 * each.weight / sum(weights)
        # The bound of start-time fair queueing: no two flows are ever further apart than one job
        # of each, weighed; so none is further from its share than a job of every flow.
        assert abs(counts[each.source] - share) <= 1 + each.weight * sum(1 / w for w in weights)


@given(
    weights=st.dictionaries(st.sampled_from("abcd"), WEIGHTS, min_size=1),
    sources=st.integers(1, 5),
)
def test_a_tenant_gains_nothing_by_having_more_sources(
    weights: dict[str, float], sources: int
) -> None:
    tenants = {TenantId(tenant): weight for tenant, weight in weights.items()}
    flows = [
        flow(f"{tenant} {number}", tenant=tenant)
        for tenant in tenants
        for number in range(sources if tenant == min(tenants) else 1)
    ]
    counts = Counter(each.tenant for each in served(turns_of(tenants), flows, 500))
    for tenant, weight in tenants.items():
        share = 500 * weight / sum(tenants.values())
        assert abs(counts[tenant] - share) <= 1 + weight * sum(1 / w for w in tenants.values())


def test_what_is_more_urgent_goes_first_whoever_it_is_of() -> None:
    flows = [flow("a", weight=10), flow("b", urgency=Urgency.AWAITED, weight=0.1)]
    assert {each.source for each in served(turns_of(), flows, 50)} == {"b"}


@given(rest=st.integers(0, 300))
def test_a_rest_earns_no_credit_and_costs_none(rest: int) -> None:
    turns, a, b = turns_of(), flow("a"), flow("b")
    served(turns, [a, b], 10)
    served(turns, [a], rest)
    counts = Counter(str(each.source) for each in served(turns, [a, b], 100))
    assert abs(counts["a"] - counts["b"]) <= 2


def test_three_jobs_do_not_wait_behind_a_hundred_thousand() -> None:
    turns, many, few = turns_of(), flow("many"), flow("few")
    served(turns, [many], 1_000)
    assert Counter(str(each.source) for each in served(turns, [many, few], 6))["few"] >= 3
