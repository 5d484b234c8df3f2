"""The values that the ledger takes and gives. No database is needed to speak of them."""

import hashlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, Literal, NewType, Self

from rag.access import AccessList, Expiry, PrincipalId, TenantId
from rag.storage.verdict_records import Profile, Release, Validation
from rag.types import (
    Chunk,
    DocumentId,
    DocumentRef,
    Metadata,
    SourceId,
    TokenVectors,
    VersionId,
)

JobId = NewType("JobId", str)
Digest = NewType("Digest", str)
"""SHA-256 of some bytes, in hexadecimal."""


def document_id_of(tenant: TenantId, source: SourceId, uri: str) -> DocumentId:
    """A document is known by where it lives, so the same resource is the same document."""
    return DocumentId(fingerprint_of(tenant, source, uri))


def fingerprint_of(*parts: str) -> str:
    """32 hexadecimal digits that stand for `parts`; no two lists of parts run together."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


# --- sources -----------------------------------------------------------------------------------

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


# --- documents ---------------------------------------------------------------------------------


class DocumentState(StrEnum):
    ACTIVE = "active"
    """It has a version that readers see."""
    NEW = "new"
    """Its first ingest has begun; readers see nothing of it."""
    FAILED = "failed"
    """It never had a version: every ingest has failed."""
    QUARANTINED = "quarantined"
    """It waits for an administrator, and no version of it is shown."""
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A document as the ledger knows it. Not for readers: it has passed no scope."""

    ref: DocumentRef
    source_title: str
    """What the source calls it; its `ref.title` is what the document calls itself."""
    state: DocumentState
    generation: int
    settled: bool
    version: VersionId | None
    revision: str
    access_fingerprint: str
    access: AccessList
    acl_as_of: datetime
    metadata: Metadata
    source_metadata: Metadata
    parsed_metadata: Metadata
    content_hash: str | None
    parser: str | None
    chunker: str | None
    embedder: str | None
    original: Digest | None
    media_type: str | None
    size: int | None
    supersedes: DocumentId | None
    warnings: tuple[str, ...]
    error_class: str | None
    error: str | None
    quarantine: str | None = None
    """The reason for which its newest version waits for an administrator."""
    release: Release | None = None
    indexed_at: datetime | None
    updated_at: datetime
    parent: DocumentId | None = None
    """The document that it lies in."""
    room: tuple[int, int, int] | None = None
    """How many levels, files and bytes may still come out of it; None as many as anywhere."""
    is_missing: bool = False
    """Whether its source did not list it the last time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableDocument:
    """A document that the asker may read now, in its current version."""

    ref: DocumentRef
    version: VersionId
    metadata: Metadata
    acl_as_of: datetime
    original: Digest | None
    media_type: str | None
    size: int | None
    chunks: int
    superseded_by: DocumentId | None
    indexed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A chunk on its way into the ledger. The index holds it already."""

    chunk: Chunk
    tokens: TokenVectors | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What a document becomes when its new version is switched to."""

    ref: DocumentRef
    source_title: str
    version: VersionId
    revision: str
    access_fingerprint: str
    access: AccessList
    metadata: Metadata
    source_metadata: Metadata
    parsed_metadata: Metadata
    content_hash: str
    parser: str
    chunker: str
    embedder: str
    original: Digest
    media_type: str
    size: int
    supersedes: DocumentId | None
    warnings: tuple[str, ...] = ()
    validation: Validation | None = None
    profile: Profile | None = None
    is_old: bool = False
    """Whether it is only the version that was shown before, made anew: why the source's newest is
    not taken in then still stands."""
    held: Mapping[DocumentId, Digest] | None = None
    """The documents that lie in it, with their bytes; None where none does, nor did before."""
    room: tuple[int, int, int] | None = None
    confirmed_at: datetime | None = None
    """When the source last meant `access`; None where it was asked just now."""
    identity: str | None = None
    """What stays the same when the resource moves, where its source tells it."""


@dataclass(frozen=True, slots=True)
class SeenAs:
    """What a source showed of a document: its revision and its access, both opaque."""

    revision: str
    access: str


@dataclass(frozen=True, slots=True)
class HeldIn:
    """The container that a document lies in, and what must not have changed since: the version of
    the container that was looked into, or else the document's own generation."""

    document: DocumentId
    version: VersionId | None
    generation: int | None = None


def inherited(metadata: Metadata, *, container: str) -> Metadata:
    """What a source says of a container, as it holds for what lies in it. What the container
    replaces, its members do not."""
    passed_on = {name: value for name, value in metadata.items() if name != "supersedes"}
    return {**passed_on, "container": container}


# --- jobs --------------------------------------------------------------------------------------


class JobKind(StrEnum):
    UPSERT = "upsert"
    ACCESS = "access"
    DELETE = "delete"
    SYNC = "sync"
    REINDEX = "reindex"
    """One document again, from the original that was kept."""


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


# --- access lists and metadata as JSON -----------------------------------------------------------


def json_of_access(access: AccessList) -> dict[str, list[Any]]:
    """Equal lists give equal JSON. `expiries` is there only where a grant ends."""
    told: dict[str, list[Any]] = {
        "clauses": [sorted(clause) for clause in access.clauses],
        "denied": sorted(access.denied),
    }
    if access.expiries:
        told["expiries"] = sorted(
            [expiry.clause, expiry.principal, expiry.at.astimezone(UTC).isoformat()]
            for expiry in access.expiries
        )
    return told


def access_of_json(value: Mapping[str, Any]) -> AccessList:
    return AccessList(
        tuple(frozenset(map(PrincipalId, clause)) for clause in value["clauses"]),
        frozenset(map(PrincipalId, value["denied"])),
        frozenset(
            Expiry(clause, PrincipalId(one), datetime.fromisoformat(at))
            for clause, one, at in value.get("expiries", ())
        ),
    )


# --- text ---------------------------------------------------------------------------------------


def storable(value: str) -> str:
    """`value` as every database, index and model takes it: NUL and lone surrogates become U+FFFD,
    and each character stays in its place."""
    if "\0" not in value and value.isascii():
        return value
    value = value.replace("\0", "\ufffd")
    try:
        value.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    return value
