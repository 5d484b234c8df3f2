"""What was used, by whom, for what: the rows of the usage ledger, and what is made of a trail."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date
from typing import Protocol

from rag.access import PrincipalId, TenantId
from rag.gateway.money import FREE, Micro
from rag.gateway.routing import ANSWERS
from rag.trail import Attempt, Trail, UseCase

LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageKey:
    """What usage is told apart by. Empty: none, or nobody knows."""

    tenant: TenantId
    day: date
    """In UTC; of a call, the day when its request began."""
    team: str
    application: str
    user: PrincipalId
    use_case: UseCase
    endpoint: str
    model: str
    prompt: str

    @property
    def id(self) -> str:
        """The same for equal keys alone."""
        told = json.dumps(astuple(self), default=str)
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageCount:
    requests: int = 0
    answers: int = 0
    """Requests that ended with an answer, and not with a refusal or an error."""
    cache_hits: int = 0
    calls: int = 0
    """Calls of a deployment, whether or not they ended well."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Of the input, what the provider had read before."""
    cost: Micro = FREE
    saved: Micro = FREE
    """What answers from the cache cost when they were made."""

    def __add__(self, other: "UsageCount") -> "UsageCount":
        return UsageCount(
            requests=self.requests + other.requests,
            answers=self.answers + other.answers,
            cache_hits=self.cache_hits + other.cache_hits,
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cost=Micro(self.cost + other.cost),
            saved=Micro(self.saved + other.saved),
        )


NO_USAGE = UsageCount()
COUNTS = tuple(field.name for field in fields(UsageCount))

Used = Mapping[UsageKey, UsageCount]


class UsageStore(Protocol):
    async def add(self, used: Used) -> None:
        """Add to what the ledger holds. Durable when this returns, and nothing where it raises.

        Errors: `StorageUnavailable`.
        """
        ...


def used_of_attempts(trail: Trail, attempts: Iterable[Attempt], *, prompt: str) -> Used:
    """What `attempts` of one call come to, by model."""
    used: dict[UsageKey, UsageCount] = {}
    for attempt in attempts:
        key = _key_of(trail, model=attempt.model, prompt=prompt)
        used[key] = used.get(key, NO_USAGE) + UsageCount(
            calls=1,
            input_tokens=attempt.usage.input_tokens,
            output_tokens=attempt.usage.output_tokens,
            cached_tokens=attempt.usage.cached_tokens,
            cost=attempt.cost,
        )
    return used


def used_of_request(trail: Trail, *, answered: bool) -> Used:
    """A request that is over, on the model that answered it last; a rewriting's or a judge's says
    nothing of that. What its calls cost is told by them."""
    models = [
        attempt.model
        for attempt in trail.attempts
        if attempt.outcome == "ok" and attempt.step in ANSWERS
    ]
    key = _key_of(trail, model=models[-1] if models else "", prompt=trail.prompt)
    is_hit = trail.cache in {"exact", "semantic"}
    return {
        key: UsageCount(
            requests=1,
            answers=int(answered),
            cache_hits=int(is_hit),
            saved=trail.saved if is_hit else FREE,
        )
    }


def _key_of(trail: Trail, *, model: str, prompt: str) -> UsageKey:
    account = trail.account
    return UsageKey(
        tenant=account.tenant,
        day=trail.started_at.astimezone(UTC).date(),
        team=account.team or "",
        application=account.application or "",
        user=account.user,
        use_case=trail.use_case,
        endpoint=trail.endpoint[:LONGEST_NAME],
        model=model[:LONGEST_NAME],
        prompt=prompt[:LONGEST_NAME],
    )
