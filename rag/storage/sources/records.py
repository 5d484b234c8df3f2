"""What the ledger says of sources: registered connectors, and how far their syncs are."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Self

from rag.access import TenantId
from rag.types import DocumentId, SourceId

PUSH = "push"
"""The kind of source whose documents apps send. It is never synchronised."""


class SourceState(StrEnum):
    ENABLED = "enabled"
    PAUSED = "paused"
    REMOVED = "removed"
    """Its documents are being deleted; nothing is read from it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a sync found, in numbers."""

    mode: Literal["listing", "changes"] = "listing"
    """Whether everything was listed, or the source said what changed."""
    seen: int = 0
    """Resources that were compared."""
    new: int = 0
    content_changed: int = 0
    metadata_changed: int = 0
    access_changed: int = 0
    moved: int = 0
    deleted: int = 0
    problems: int = 0

    @property
    def changes(self) -> int:
        return (
            self.new
            + self.content_changed
            + self.metadata_changed
            + self.access_changed
            + self.moved
            + self.deleted
        )

    def with_more(self, kinds: Iterable[str]) -> Self:
        """One more of each of `kinds`, by its field's name."""
        more = Counter(kinds)
        return replace(self, **{kind: getattr(self, kind) + more[kind] for kind in more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A registered connector, as its last sync left it."""

    id: SourceId
    tenant: TenantId
    kind: str
    name: str
    settings: Mapping[str, Any]
    state: SourceState
    created_at: datetime
    last_sync_at: datetime | None = None
    last_sync_error: str | None = None
    problems: tuple[tuple[str, str], ...] = ()
    """(URI, reason) of what the last sync could not read."""
    listed_at: datetime | None = None
    """When its last complete listing began."""
    access_max_age: timedelta | None = None
    """After how long unconfirmed access hides its documents; zero never, None as the platform says."""
    tally: Tally | None = None
    """What the last sync found; None before the first."""
    held_back: int = 0
    """Deletions that wait until an administrator confirms them."""
    reconciled_at: datetime | None = None
    """When a listing of everything last ended well."""
    weight: float = 1.0
    """Its share of its tenant's jobs, against those of the tenant's other sources."""
    max_running: int | None = None
    """How many of its jobs may run at a time; None as many as there are slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDocument:
    """A document as the last sync left it."""

    id: DocumentId
    uri: str
    revision: str
    access_fingerprint: str
    identity: str | None
    size: int | None
    sha256: str | None
    failed: bool
    """Its content was not taken in the last time: size and hash are those of an earlier version,
    if of any."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the jobs of a source's last sync are."""

    listed: int
    done: int
    failed: int
    per_second: float | None = field(default=None, compare=False)
    """Jobs that ended in a second, over the run; None where none has."""

    @property
    def eta_s(self) -> float | None:
        """Seconds until none is pending, if it goes on like that."""
        return self.pending / self.per_second if self.pending and self.per_second else None

    @property
    def pending(self) -> int:
        return self.listed - self.done - self.failed
