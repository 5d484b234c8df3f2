"""Circuit breakers: which deployments may be called now, asked before every call.

A deployment that fails too often is left alone for a while (open). Then exactly so many probes at
once may try it (half-open): as many successes close its circuit, one failure opens it again.
The pattern is M. Nygard's, in "Release It!".
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Circuit(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a circuit opens, and how it closes again."""

    window_s: float = 30.0
    """Calls are counted over so long."""
    slices: int = 10
    """The window rolls on by one of so many parts at a time."""
    failure_share: float = 0.5
    """Failures among the calls of the window that open the circuit."""
    minimum_calls: int = 5
    """Fewer calls than these prove nothing."""
    open_s: float = 15.0
    probes: int = 2
    """At once while half open, and how many successes close the circuit."""
    probe_lease_s: float = 120.0
    """After so long a probe that never came back makes room for another. Longer than any attempt:
    else more than so many probes would run at once."""


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to one call. It is given back once, by `report` or `release`."""

    deployment: str
    probe: str = ""
    """Names the probe; empty for an ordinary call."""
    opening: int = 0
    """How often the circuit had opened when it was given: later news of it is old news."""


@dataclass(frozen=True, slots=True)
class NotNow:
    """The deployment must be left alone for about `retry_after_s` more."""

    retry_after_s: float


class Breaker(Protocol):
    """Asked before each call of a deployment, told how it went. It never raises."""

    async def admit(self, deployment: str) -> Permit | NotNow: ...

    async def report(self, permit: Permit, *, ok: bool) -> None:
        """The call is over, well or badly. Of one permit only the first report counts a probe."""
        ...

    async def release(self, permit: Permit) -> None:
        """The call proved nothing: it was cancelled, or the deployment was only busy."""
        ...

    async def cool_down(self, deployment: str, *, seconds: float) -> None:
        """It asked to be left alone for so long. That is no failure."""
        ...

    async def circuit(self, deployment: str) -> Circuit: ...


@dataclass(slots=True)
class _State:
    opening: int = 0
    open_until: float | None = None
    """None while the circuit is closed."""
    cool_until: float = 0.0
    counts: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    """Slice of time to calls and failures in it."""
    probes: dict[str, float] = field(default_factory=dict[str, float])
    """Probes under way, to when their lease ends."""
    successes: int = 0


class LocalBreaker:
    """Circuits of this process alone."""

    def __init__(
        self, policy: BreakerPolicy | None = None, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._policy = policy or BreakerPolicy()
        self._now = now
        self._states: dict[str, _State] = {}
        self._given = 0

    async def admit(self, deployment: str) -> Permit | NotNow:
        state, now = self._state(deployment), self._now()
        if now < state.cool_until:
            return NotNow(state.cool_until - now)
        if state.open_until is None:
            return Permit(deployment, opening=state.opening)
        if now < state.open_until:
            return NotNow(state.open_until - now)
        state.probes = {probe: ends for probe, ends in state.probes.items() if now < ends}
        if len(state.probes) >= self._policy.probes:
            # Their leases say when they must be back; that is late to ask again.
            return NotNow(min(min(state.probes.values()) - now, self._policy.open_s))
        self._given += 1
        probe = str(self._given)
        state.probes[probe] = now + self._policy.probe_lease_s
        return Permit(deployment, probe, state.opening)

    async def report(self, permit: Permit, *, ok: bool) -> None:
        state, now = self._state(permit.deployment), self._now()
        if permit.probe:
            self._probed(state, permit, now, ok=ok)
        elif state.open_until is None and permit.opening == state.opening:
            self._count(state, now, ok=ok)

    async def release(self, permit: Permit) -> None:
        if permit.probe:
            self._state(permit.deployment).probes.pop(permit.probe, None)

    async def cool_down(self, deployment: str, *, seconds: float) -> None:
        state = self._state(deployment)
        state.cool_until = max(state.cool_until, self._now() + seconds)

    async def circuit(self, deployment: str) -> Circuit:
        state = self._state(deployment)
        if state.open_until is None:
            return Circuit.CLOSED
        return Circuit.OPEN if self._now() < state.open_until else Circuit.HALF_OPEN

    def _state(self, deployment: str) -> _State:
        state = self._states.get(deployment)
        if state is None:
            state = self._states[deployment] = _State()
        return state

    def _probed(self, state: _State, permit: Permit, now: float, *, ok: bool) -> None:
        if state.probes.pop(permit.probe, None) is None or permit.opening != state.opening:
            return
        if not ok:
            self._open(state, now)
            return
        state.successes += 1
        if state.successes >= self._policy.probes:
            state.open_until = None
            state.counts.clear()
            state.probes.clear()

    def _count(self, state: _State, now: float, *, ok: bool) -> None:
        policy = self._policy
        this = int(now // (policy.window_s / policy.slices))
        count = state.counts.get(this)
        if count is None:
            for old in [each for each in state.counts if each <= this - policy.slices]:
                del state.counts[old]
            count = state.counts[this] = [0, 0]
        count[0] += 1
        if ok:
            return
        count[1] += 1
        calls = sum(each[0] for each in state.counts.values())
        failures = sum(each[1] for each in state.counts.values())
        if calls >= policy.minimum_calls and failures >= policy.failure_share * calls:
            self._open(state, now)

    def _open(self, state: _State, now: float) -> None:
        state.opening += 1
        state.open_until = now + self._policy.open_s
        state.successes = 0
        state.counts.clear()
        state.probes.clear()
