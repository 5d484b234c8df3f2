"""Whose turn it is: start-time fair queueing of tenants, and within each of its sources.

P. Goyal, H. M. Vin, H. Cheng, "Start-Time Fair Queueing", SIGCOMM 1996; tenants over sources as in
P. Goyal, X. Guo, H. M. Vin, "A Hierarchical CPU Scheduler", OSDI 1996. A job costs 1, for nobody
knows its size beforehand. Whoever has the earliest start tag is next; serving moves its next start
`1 / weight` onwards. Whoever comes back after a rest starts at the clock: rest earns no credit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rag.access import TenantId
from rag.storage.jobs.records import Urgency
from rag.types import SourceId

HIGHEST_WEIGHT, LOWEST_WEIGHT = 1_000.0, 0.001


@dataclass(frozen=True, slots=True)
class Flow:
    """A source that has a job to begin, of this class."""

    urgency: Urgency
    tenant: TenantId
    source: SourceId
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Share:
    finish: float = 0.0
    """Finish tag of the last job that was served: where the next one starts."""
    clock: float = 0.0
    """Virtual time among what is below: the start tag of the last that was served there."""


ShareKey = tuple[Urgency, TenantId | None, SourceId | None]
"""A class; a tenant in it; a source of that tenant in it."""

_NONE_YET = Share()


@dataclass(frozen=True, slots=True)
class Turns:
    """The shares as they stand; `serve` changes them. Tenants without a weight have 1."""

    shares: dict[ShareKey, Share]
    tenant_weights: Mapping[TenantId, float]

    def next_of(self, flows: Iterable[Flow]) -> Flow:
        """Of the most urgent class the tenant with the earliest start, of it the source."""
        return min(
            flows,
            key=lambda flow: (
                flow.urgency,
                self._start((flow.urgency, None, None), (flow.urgency, flow.tenant, None)),
                flow.tenant,
                self._start(
                    (flow.urgency, flow.tenant, None), (flow.urgency, flow.tenant, flow.source)
                ),
                flow.source,
            ),
        )

    def serve(self, flow: Flow) -> None:
        """Count one job of `flow` as begun."""
        everyone: ShareKey = (flow.urgency, None, None)
        tenant: ShareKey = (flow.urgency, flow.tenant, None)
        source: ShareKey = (flow.urgency, flow.tenant, flow.source)
        self._advance(everyone, tenant, self.tenant_weights.get(flow.tenant, 1.0))
        self._advance(tenant, source, flow.weight)

    def _start(self, above: ShareKey, key: ShareKey) -> float:
        return max(self.shares.get(above, _NONE_YET).clock, self.shares.get(key, _NONE_YET).finish)

    def _advance(self, above: ShareKey, key: ShareKey, weight: float) -> None:
        start = self._start(above, key)
        cost = 1.0 / min(max(weight, LOWEST_WEIGHT), HIGHEST_WEIGHT)
        self.shares[above] = Share(self.shares.get(above, _NONE_YET).finish, start)
        self.shares[key] = Share(start + cost, self.shares.get(key, _NONE_YET).clock)
