"""What is kept of every interaction: who did what, what was decided, what was shown and sent.

Entries of a tenant form a chain: each holds the hash of the one before it, so nothing can be
changed, left out or put in between unnoticed. What a person wrote, and who they are, is sealed with
a key of their own: to erase them is to destroy that key, and the chain stays whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal, Protocol

from rag.access import PrincipalId, TenantId
from rag.gateway.money import FREE, Micro
from rag.reviews import Flag, flags_of
from rag.trail import RequestId, Sent, Trail
from rag.types import Usage

TextPolicy = Literal["none", "hashes", "redacted", "full"]
"""What is kept of questions and answers. Whatever it is, it is sealed with the person's key;
`hashes` keeps keyed ones, by which equal texts are found and nothing is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One interaction, as its handler tells of it."""

    tenant: TenantId
    action: str
    """`ask`, `chat`, `search`, `document.open`, or the method and route of an administration."""
    decision: str
    """How it ended: `answered`, `refused:no_evidence`, `blocked`, `failed`, `done`, …"""
    principal: PrincipalId
    application: str | None = None
    on_behalf_of: bool = False
    trace: RequestId
    question: str = ""
    answer: str = ""
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Of what it was made with: prompt, model, deployment, index generation, guard policy."""
    shown: tuple[Sent, ...] = ()
    sent: tuple[Sent, ...] = ()
    classification: str = ""
    cost: Micro = FREE
    usage: Usage = field(default_factory=Usage)
    verdicts: tuple[tuple[str, str, str], ...] = ()
    """Check, direction and standing of each guardrail that did not simply pass."""
    flags: tuple[Flag, ...] = ()
    """What a person is to look at later: reviews that go with the entry, and no part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An event in its place in the chain, as it is stored."""

    tenant: TenantId
    sequence: int
    """From 1, without a gap."""
    at: datetime
    previous: str
    """Hash of the entry before it; 64 zeros before the first."""
    hash: str
    body: bytes
    """Canonical JSON (RFC 8785): what `hash` is of, together with `previous`."""


class AuditLog(Protocol):
    async def record(self, event: AuditEvent) -> None:
        """Returns once the event is durable. It is written also where whoever waits for that is
        cancelled. Errors: `StorageUnavailable`."""
        ...


def event_of(
    trail: Trail, *, action: str, decision: str, question: str = "", answer: str = ""
) -> AuditEvent:
    """What a trail tells an auditor."""
    versions = {
        "prompt": trail.prompt,
        "rollout": trail.rollout,
        "generation": "" if trail.generation is None else str(trail.generation),
        "policy": next((verdict.policy for verdict in trail.verdicts if verdict.policy), ""),
        "model": ", ".join(dict.fromkeys(attempt.model for attempt in trail.attempts)),
        "deployment": ", ".join(dict.fromkeys(attempt.deployment for attempt in trail.attempts)),
        "cache": trail.cache if trail.cache in {"exact", "semantic"} else "",
        "recalled": trail.recalled,
    }
    return AuditEvent(
        tenant=trail.account.tenant,
        action=action,
        decision=decision,
        principal=trail.account.user,
        application=trail.account.application,
        on_behalf_of=trail.on_behalf_of,
        trace=trail.request,
        question=question,
        answer=answer,
        versions=MappingProxyType({name: value for name, value in versions.items() if value}),
        shown=tuple(trail.shown),
        sent=tuple(trail.sent),
        classification=trail.classification,
        cost=trail.cost,
        usage=trail.usage,
        verdicts=tuple(
            (verdict.check, verdict.direction, verdict.standing)
            for verdict in trail.verdicts
            if verdict.standing != "passed"
        ),
        flags=flags_of(trail),
    )
