"""What a source must be able to tell us."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rag.access import AccessList
from rag.types import Metadata, SourceId, no_metadata


@dataclass(frozen=True, slots=True)
class Seen:
    """A resource as the last sync left it. Both are opaque and compare by equality only."""

    revision: str
    """Changes when the content may have changed."""
    access: str
    """Changes when who may read it, or its source metadata, changed."""


Snapshot = Mapping[str, Seen]
"""URI to what was seen: what `discover` compares the source against."""


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


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the source could not tell us, such as a malformed access file. It opens nothing."""

    uri: str
    reason: str


Change = Upserted | AccessChanged | Deleted | Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as the source holds it: bytes, what they are, and who may read them."""

    uri: str
    title: str
    body: bytes
    media_type: str
    access: AccessList
    seen: Seen
    metadata: Metadata = field(default_factory=no_metadata)


class Connector(Protocol):
    @property
    def source(self) -> SourceId: ...

    def discover(self, since: Snapshot) -> AsyncIterator[Change]:
        """What changed since `since`. Cheap: it lists, it does not download.

        Raises `SourceUnavailable` if it may work later and `SourceGone` if it never will; a
        listing that fails half-way has reported no deletion.
        """
        ...

    async def fetch(self, uri: str) -> Resource:
        """Raises `SourceUnavailable` if it may work later, `SourceGone` if it never will, and
        `LimitExceeded` if the resource is larger than the connector was told to read."""
        ...

    async def aclose(self) -> None: ...
