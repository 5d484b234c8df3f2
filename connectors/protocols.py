"""What a source must be able to tell us.

A connector says what there is (`listing`) and, where its source can, what changed (`delta`). It
compares nothing: what is new, changed, moved or gone is found in one place, `ingestion.comparing`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType, Protocol

from connectors.containers import Container
from rag.access import AccessList
from rag.bodies import Body
from rag.types import Metadata, SourceId, no_metadata

Cursor = NewType("Cursor", str)
"""A place in a source's own record of changes. Opaque."""

MAX_IDENTITY = 64


@dataclass(frozen=True, slots=True)
class Seen:
    """A resource as the last sync left it. All are opaque and compare by equality only."""

    revision: str
    """Changes when the content may have changed."""
    access: str
    """Changes when who may read it, or its source metadata, changed."""
    identity: str | None = None
    """Equal for two URIs of one source only where it is the same resource, or the same bytes, at
    another place: a stable id or a content hash, of at most 64 characters. None where the source
    tells neither; its moves then look like a new and a deleted resource."""

    def __post_init__(self) -> None:
        if self.identity is not None and len(self.identity) > MAX_IDENTITY:
            raise ValueError("an identity has at most 64 characters")


# --- what a source says --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A resource as a listing shows it: what the source tells without handing out the content."""

    uri: str
    seen: Seen
    access: AccessList | None = None
    """None where only `fetch` tells it: a change of access then costs a fetch."""
    metadata: Metadata = field(default_factory=no_metadata)
    size: int | None = None
    """Bytes, where the source knows. Other bytes under the same revision are noticed by it."""
    sha256: str | None = None
    """Of the bytes, in hexadecimal, where the source knows. It serves like `size`."""
    moved_from: str | None = None
    """In a page of changes: the URI it had before, where the source says that it moved."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The source says of this URI that nothing is there any more."""

    uri: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the source could not tell us, such as a malformed access file. It opens nothing."""

    uri: str
    reason: str
    hides: bool = False
    """Nothing at or below `uri` could be listed, so nothing of it counts as deleted."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some changes, oldest first, and the cursor to go on from once they are kept."""

    found: tuple[Listed | Gone | Problem, ...]
    cursor: Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as the source holds it: bytes, what they are, and who may read them."""

    uri: str
    title: str
    body: Body
    media_type: str
    access: AccessList
    seen: Seen
    metadata: Metadata = field(default_factory=no_metadata)
    confirmed_at: datetime | None = None
    """When the source last meant `access`; None where it was asked just now."""
    container: Container | None = None
    """Set where it lies inside another document: a zip's member, a mail's attachment."""


class Delta(Protocol):
    """A source's own word on what changed."""

    async def now(self) -> Cursor:
        """A cursor that every change from here on comes after. Errors as those of `listing`."""
        ...

    def since(self, cursor: Cursor) -> AsyncIterator[Page]:
        """What changed after `cursor`; no page where nothing did. Each page has a cursor of its
        own, and what is told again after an earlier cursor does no harm.

        Raises `CursorExpired` where only a listing helps; else errors as those of `listing`.
        """
        ...


class Connector(Protocol):
    @property
    def source(self) -> SourceId: ...

    @property
    def delta(self) -> Delta | None:
        """None where the source has no word of its own on changes."""
        ...

    def listing(self) -> AsyncIterator[Listed | Problem]:
        """Everything that is there, slim: it lists, it does not download.

        Raises `SourceUnavailable` if it may work later and `SourceGone` if it never will. One that
        does not end in peace says nothing of what is gone.
        """
        ...

    async def fetch(self, uri: str) -> Resource:
        """Raises `SourceUnavailable` if it may work later, `SourceGone` if it never will, and
        `LimitExceeded` if the resource is larger than the connector was told to read."""
        ...

    async def aclose(self) -> None: ...


# --- what came of comparing it -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Upserted:
    """New, or its content may have changed."""

    uri: str
    seen: Seen


@dataclass(frozen=True, slots=True)
class AccessChanged:
    """Same content; other readers or other source metadata. Nothing is fetched or embedded."""

    uri: str
    seen: Seen
    access: AccessList
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Deleted:
    uri: str
    revision: str | None = None
    """Only if it is still as it was in this revision; None: however it is."""


Change = Upserted | AccessChanged | Deleted | Problem
