"""What the ledger takes and gives of jobs."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, NewType

from rag.access import TenantId
from rag.storage.records import Digest, document_id_of
from rag.types import (
    SourceId,
)

JobId = NewType("JobId", str)


class JobKind(StrEnum):
    UPSERT = "upsert"
    ACCESS = "access"
    DELETE = "delete"
    SYNC = "sync"
    REINDEX = "reindex"
    """One document again, from the original that was kept."""
    RENDER = "render"
    """What readers see of a document, in the generations of the index that lack it."""


class JobState(StrEnum):
    QUEUED = "queued"
    WAITING = "waiting"
    """It failed for now and runs again at `not_before`."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """Trying again would not help; the error says what would."""
    DEAD = "dead"
    """It failed as often as it was allowed to."""


class Urgency(IntEnum):
    """Classes of priority: one is served only while those before it have nothing to begin, and
    within one, tenants and sources take turns by their weights."""

    AT_ONCE = 0
    """Somebody is being shut out."""
    AWAITED = 1
    """A person or an app waits for it."""
    ROUTINE = 2
    """A sync took note of it."""
    SPARE_TIME = 3
    """It changes nothing that is shown, such as indexing anew."""


def urgency_of(priority: int) -> Urgency:
    return Urgency(bisect_right(_FIRST_PRIORITIES, priority))


_FIRST_PRIORITIES = (15, 35, 65)
"""From which priority on a job is awaited, routine, and for spare time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    tenant: TenantId
    source: SourceId
    kind: JobKind
    uri: str | None = None
    """None for the jobs of a whole source."""
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON. What the change said besides its URI."""
    original: Digest | None = None
    batch: str | None = None
    priority: int = 50
    """Lower runs first."""
    max_attempts: int = 5

    @property
    def subject(self) -> str:
        if self.uri is None:
            return self.kind.value
        return document_id_of(self.tenant, self.source, self.uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: JobId
    tenant: TenantId
    source: SourceId
    kind: JobKind
    subject: str
    """What it works on: a document's id, or the name of a whole-source job."""
    uri: str | None
    payload: Mapping[str, Any]
    original: Digest | None
    batch: str | None
    state: JobState
    priority: int
    attempts: int
    """How often it was begun, this time included."""
    max_attempts: int
    lease_owner: str | None
    lease_until: datetime | None
    not_before: datetime
    error_class: str | None
    error: str | None
    outcome: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    since: datetime
    """When it came into its state."""
    heartbeat_at: datetime | None
    """When whoever runs it was last heard of."""

    @property
    def urgency(self) -> Urgency:
        return urgency_of(self.priority)
