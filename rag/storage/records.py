"""The values that the ledger takes and gives. No database is needed to speak of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from rag.access import AccessList, PrincipalId, TenantId
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


class SourceState(StrEnum):
    ENABLED = "enabled"
    PAUSED = "paused"
    REMOVED = "removed"
    """Its documents are being deleted; nothing is read from it any more."""


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


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the jobs of a source's last sync are."""

    listed: int
    done: int
    failed: int

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
    indexed_at: datetime | None
    updated_at: datetime


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


@dataclass(frozen=True, slots=True)
class SeenAs:
    """What a source showed of a document: its revision and its access, both opaque."""

    revision: str
    access: str


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


# --- access lists and metadata as JSON -----------------------------------------------------------


def json_of_access(access: AccessList) -> dict[str, list[Any]]:
    return {
        "clauses": [sorted(clause) for clause in access.clauses],
        "denied": sorted(access.denied),
    }


def access_of_json(value: Mapping[str, Any]) -> AccessList:
    return AccessList(
        tuple(frozenset(map(PrincipalId, clause)) for clause in value["clauses"]),
        frozenset(map(PrincipalId, value["denied"])),
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
