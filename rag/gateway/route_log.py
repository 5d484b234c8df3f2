"""How routes turned out: what is logged of each decision, so that routing can be judged by it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Literal, Protocol

from rag.access import TenantId
from rag.errors import TransientError
from rag.gateway.money import Micro
from rag.gateway.routing import ANSWERS
from rag.trail import Attempt, RequestId, Trail, UseCase
from rag.types import Answer, Quality, Refusal, RefusalReason, Usage

_LOG = logging.getLogger(__name__)

_TOGETHER = 500
_FORGET_EVERY_S = 3_600.0

Outcome = Literal[
    "answered", "no_evidence", "ungrounded", "blocked", "escalated", "failed", "broken_off", "done"
]
"""`escalated`: it did not do, and a dearer model was asked after it, or the same more strictly. `done`: of a step that answers nobody, such as
`rewrite`. `broken_off`: the asker went away. `failed`: no model answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteOutcome:
    """One decision, and what came of it."""

    tenant: TenantId
    request: RequestId
    ordinal: int
    """Which of the request's decisions, from 0."""
    at: datetime
    use_case: UseCase
    step: str
    quality: Quality
    first: str
    """The model that was asked first."""
    answered_by: str
    """The model that answered; empty where none did."""
    tier: str
    reasons: tuple[str, ...]
    complexity: float | None
    outcome: Outcome
    confidence: float | None
    """Of the answer, where there is one."""
    usage: Usage
    cost: Micro
    total_ms: float


def outcomes_of(
    trail: Trail, ended: Answer | Refusal | None, *, quality: Quality
) -> tuple[RouteOutcome, ...]:
    """What the trail of a request that is over tells of its routes.

    `ended` is None where nobody was answered: the asker went away, or an error came. A call for an
    app that brought its own messages, and every other step than `answer`, ends with its model.
    """
    attempts = _attempts_of(trail)
    return tuple(
        _outcome(trail, ordinal, attempts[ordinal], ended=ended, quality=quality)
        for ordinal in range(len(trail.routes))
    )


def _attempts_of(trail: Trail) -> list[list[Attempt]]:
    """Each decision's attempts: those of its step, up to the one that went well."""
    of_decision: list[list[Attempt]] = [[] for _ in trail.routes]
    waiting: dict[str, deque[int]] = {}
    for ordinal, decision in enumerate(trail.routes):
        waiting.setdefault(decision.step, deque()).append(ordinal)
    for attempt in trail.attempts:
        queue = waiting.get(attempt.step)
        if not queue:
            continue
        of_decision[queue[0]].append(attempt)
        if attempt.outcome == "ok" and len(queue) > 1:
            queue.popleft()
    return of_decision


def _outcome(
    trail: Trail,
    ordinal: int,
    attempts: Sequence[Attempt],
    *,
    ended: Answer | Refusal | None,
    quality: Quality,
) -> RouteOutcome:
    decision = trail.routes[ordinal]
    usage = Usage()
    for attempt in attempts:
        usage += attempt.usage
    answered_by = next((each.model for each in reversed(attempts) if each.outcome == "ok"), "")
    alike = ANSWERS if decision.step in ANSWERS else {decision.step}
    last = all(each.step not in alike for each in trail.routes[ordinal + 1 :])
    writes_the_answer = decision.step in ANSWERS and trail.use_case is UseCase.ASK
    outcome: Outcome
    if attempts and attempts[-1].outcome == "cancelled":
        outcome = "broken_off"
    elif not answered_by:
        outcome = "failed"
    elif not last:
        outcome = "escalated"
    else:
        outcome = _named(ended) if writes_the_answer else "done"
    return RouteOutcome(
        tenant=trail.account.tenant,
        request=trail.request,
        ordinal=ordinal,
        at=trail.started_at,
        use_case=trail.use_case,
        step=decision.step,
        quality=quality,
        first=decision.models[0],
        answered_by=answered_by,
        tier=decision.tier,
        reasons=decision.reasons,
        complexity=decision.complexity,
        outcome=outcome,
        confidence=ended.confidence
        if isinstance(ended, Answer) and writes_the_answer and last
        else None,
        usage=usage,
        cost=Micro(sum(attempt.cost for attempt in attempts)),
        total_ms=sum(attempt.total_ms for attempt in attempts),
    )


_OF_REFUSAL: Mapping[RefusalReason, Outcome] = {
    RefusalReason.NO_EVIDENCE: "no_evidence",
    RefusalReason.UNGROUNDED: "ungrounded",
    RefusalReason.BLOCKED: "blocked",
}


def _named(ended: Answer | Refusal | None) -> Outcome:
    match ended:
        case None:
            return "broken_off"
        case Answer():
            return "answered"
        case Refusal():
            return _OF_REFUSAL[ended.reason]


class RouteStore(Protocol):
    async def add(self, outcomes: Sequence[RouteOutcome]) -> None:
        """Keep them; one that is there already stays as it is. Errors: `StorageUnavailable`."""
        ...

    async def forget_before(self, moment: datetime) -> int:
        """How many were older, of any tenant, and are gone. Errors: `StorageUnavailable`."""
        ...


@dataclass(slots=True, kw_only=True)
class RouteRecorder:
    """Takes outcomes at once and stores them together, a little later. Made by `open_recorder`."""

    store: RouteStore
    most: int = 10_000
    every_s: float = 1.0
    keep: timedelta = timedelta(days=90)
    waiting: deque[RouteOutcome] = field(default_factory=deque[RouteOutcome])
    lost: int = 0
    """Outcomes that were dropped, oldest first, because the store took too few or refused them."""

    def record(self, trail: Trail, ended: Answer | Refusal | None, *, quality: Quality) -> None:
        """Never waits, and never fails: an answer is worth more than its statistics."""
        self.waiting.extend(outcomes_of(trail, ended, quality=quality))
        while len(self.waiting) > self.most:
            self.waiting.popleft()
            self.lost += 1

    async def flush(self) -> None:
        """Store what waits. What cannot be stored for now waits on."""
        while self.waiting:
            some = tuple(self.waiting)[:_TOGETHER]
            try:
                await self.store.add(some)
            except TransientError as error:
                _LOG.warning("%d outcomes of routes wait: %s", len(self.waiting), error)
                return
            except Exception:  # noqa: BLE001 - it would be refused again, and hold up all behind it
                _LOG.exception("%d outcomes of routes were refused, and are lost", len(some))
                self.lost += len(some)
            # Others may have been dropped from the left meanwhile.
            stored = {(each.request, each.ordinal) for each in some}
            while self.waiting and (self.waiting[0].request, self.waiting[0].ordinal) in stored:
                self.waiting.popleft()

    async def forget(self) -> None:
        """Remove what is older than `keep`."""
        try:
            await self.store.forget_before(datetime.now(UTC) - self.keep)
        except TransientError as error:
            _LOG.warning("old outcomes of routes stay for now: %s", error)

    async def run(self) -> None:
        forgot = -_FORGET_EVERY_S
        while True:
            if monotonic() - forgot >= _FORGET_EVERY_S:
                forgot = monotonic()
                await self.forget()
            await asyncio.sleep(self.every_s)
            await self.flush()


@asynccontextmanager
async def open_recorder(
    store: RouteStore, *, every_s: float = 1.0, keep: timedelta = timedelta(days=90)
) -> AsyncGenerator[RouteRecorder]:
    """Stores what waits every `every_s` seconds, and the rest when the block ends.

    A process that is killed loses the outcomes of its last `every_s` seconds.
    """
    recorder = RouteRecorder(store=store, every_s=every_s, keep=keep)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.wait([task])
        await recorder.flush()
