"""What the ledger takes and gives of documents. No database is needed to speak of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rag.access import AccessList
from rag.storage.records import Digest
from rag.storage.verdicts.records import Profile, Release, Validation
from rag.types import DocumentId, DocumentRef, Metadata, VersionId


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
    fence: int
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
    identity: str | None = None
    """What its source knows the shown content by, wherever it lies."""


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
    the container that was looked into, or else the document's own fence."""

    document: DocumentId
    version: VersionId | None
    fence: int | None = None


def inherited(metadata: Metadata, *, container: str) -> Metadata:
    """What a source says of a container, as it holds for what lies in it. What the container
    replaces, its members do not."""
    passed_on = {name: value for name, value in metadata.items() if name != "supersedes"}
    return {**passed_on, "container": container}
