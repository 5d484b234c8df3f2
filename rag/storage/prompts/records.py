"""What the ledger knows of prompts, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from rag.access import TenantId
from rag.gateway.money import Micro
from rag.prompts.rollouts import Plan, Rollout, RolloutId, candidate_of
from rag.prompts.versions import PromptVersion, VersionKey, content_of_json

PLATFORM = "platform"
"""Who does what no person asked for."""


class ChangeKind(StrEnum):
    CREATED = "created"
    REPORTED = "reported"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    STARTED = "started"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that was done to prompts, and by whom."""

    revision: int
    tenant: TenantId
    name: str
    kind: ChangeKind
    label: str
    version: VersionKey | None
    """What the label names from then on; None where it names what every tenant's does."""
    before: VersionKey | None
    reason: str
    against: tuple[str, ...]
    """What the gate said, where somebody forced it."""
    made_at: datetime
    made_by: str


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a label named, and what it names now."""

    gone: PromptVersion
    now: PromptVersion


def version_of(row: Row[Any]) -> PromptVersion:
    return PromptVersion(
        name=row.name,
        version=row.version,
        content=content_of_json(row.content),
        tenant=TenantId(row.tenant),
        rationale=row.rationale,
        report=row.report,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def change_of(row: Row[Any]) -> Change:
    return Change(
        revision=row.revision,
        tenant=TenantId(row.tenant),
        name=row.name,
        kind=ChangeKind(row.kind),
        label=row.label,
        version=row.version,
        before=row.before,
        reason=row.reason,
        against=tuple(row.against),
        made_at=row.made_at,
        made_by=row.made_by,
    )


def rollout_of(row: Row[Any]) -> Rollout:
    return Rollout(
        id=RolloutId(row.id),
        tenant=TenantId(row.tenant),
        name=row.name,
        plan=Plan(row.plan),
        candidate=candidate_of(row.candidate),
        share=row.share,
        salt=row.salt,
        budget=None if row.budget is None else Micro(row.budget),
        started_at=row.started_at,
        started_by=row.started_by,
        stopped_at=row.stopped_at,
        stopped_by=row.stopped_by,
        reason=row.reason,
    )
