"""What happened while one request was served: usage, audit, traces and reports are made from it.

One `Trail` goes with a request from the edge to the model and back. Whoever decides or spends
something writes it down there; nobody decides anything by it.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, NewType

from rag.access import PrincipalId, TenantId
from rag.gateway.money import FREE, Micro
from rag.types import ChunkId, DocumentId, RetrievedChunk, Usage, VersionId

RequestId = NewType("RequestId", str)
"""The trace id of what the caller asked for. All that is spent for it is settled under it."""


class UseCase(StrEnum):
    """What a model is called for; budgets, policies and prompts tell them apart."""

    ASK = "ask"
    """A cited answer from documents."""
    CHAT = "chat"
    """Another team's app, which brings its own messages."""
    SEARCH = "search"
    """Passages, without a model."""
    ENRICH = "enrich"
    EVALUATE = "evaluate"
    SUMMARISE = "summarise"
    """The older turns of a conversation in few words, for later questions in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who pays: the user within the team or application within the tenant."""

    tenant: TenantId
    user: PrincipalId
    team: PrincipalId | None = None
    """The group that the user's spending counts for."""
    application: str | None = None
    """The id of the key that the call came with, for itself or on somebody's behalf."""


AttemptOutcome = Literal[
    "ok",
    "unreachable",
    "no_first_token",
    "gap",
    "out_of_time",
    "broken_off",
    "rate_limited",
    "server_error",
    "bad_response",
    "wrong_schema",
    "endless",
    "rejected",
    "cancelled",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of one deployment, and what it cost, whether or not it ended well."""

    model: str
    deployment: str
    step: str
    outcome: AttemptOutcome
    usage: Usage
    estimated: bool
    """Whether `usage` was counted by us because the deployment did not say."""
    cost: Micro
    started_at: datetime
    first_token_ms: float | None
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """Which models were to be tried, in what order, and why."""

    step: str
    models: tuple[str, ...]
    tier: str
    reasons: tuple[str, ...]
    complexity: float | None = None


Direction = Literal["input", "evidence", "output"]
Standing = Literal["passed", "flagged", "masked", "blocked", "not_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardVerdict:
    """What one check said of one text. It repeats nothing of the text."""

    check: str
    direction: Direction
    standing: Standing
    score: float
    kinds: tuple[str, ...] = ()
    """What was found, by kind."""
    reason: str = ""
    """Why it was not run, or what it blocked for."""
    dry_run: bool = False
    """Whether the policy only watches: nothing was done about it."""
    repeated: bool = False
    """Whether it is of what was said, and looked at, in an earlier request: whoever was to look at
    that has been asked to."""
    policy: str = ""
    """Version of the policy that decided."""
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A passage that was shown to a model or to a person."""

    document: DocumentId
    version: VersionId
    chunk: ChunkId


def sent_of(hit: RetrievedChunk) -> Sent:
    return Sent(hit.chunk.document.id, hit.chunk.version, hit.chunk.id)


Recall = Literal["", "turns", "summary", "extract"]
"""What of a conversation a model was shown: nothing; turns as they were; older ones summed up by a
model; or sentences of theirs that were chosen, where no summary could be had."""

CacheOutcome = Literal["off", "miss", "exact", "semantic"]


@dataclass(slots=True, kw_only=True)
class Trail:
    """Written as the request goes on, read when it is over."""

    request: RequestId
    account: Account
    use_case: UseCase
    endpoint: str
    """The route or command that was called, such as `/v1/ask`."""
    on_behalf_of: bool = False
    after: RequestId | None = None
    """The request that this was done after, behind its answer, and whose spending it is."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    routes: list[RouteDecision] = field(default_factory=list[RouteDecision])
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    verdicts: list[GuardVerdict] = field(default_factory=list[GuardVerdict])
    sent: list[Sent] = field(default_factory=list[Sent])
    """Passages sent to a model."""
    shown: list[Sent] = field(default_factory=list[Sent])
    """Passages shown to the asker."""
    searched: str = ""
    """The question as it was searched: a follow-up's stands alone there."""
    recalled: Recall = ""
    prompt: str = ""
    """Name, version and content of the prompt."""
    rollout: str = ""
    """The experiment and its arm that chose prompt, model or profile; empty where none did."""
    generation: int | None = None
    cache: CacheOutcome = "off"
    saved: Micro = FREE
    """What the cached answer cost when it was made."""
    budget_spent: bool = False
    """Whether a budget had no room for a model, and passages were quoted instead."""
    classification: str = ""
    """The most confidential `access_level` of what was sent."""

    @property
    def counts_for(self) -> RequestId:
        """The request that a budget of each request counts this for."""
        return self.after or self.request

    @property
    def cost(self) -> Micro:
        return Micro(sum(attempt.cost for attempt in self.attempts))

    @property
    def usage(self) -> Usage:
        total = Usage()
        for attempt in self.attempts:
            total += attempt.usage
        return total
