"""Resources that we hold ourselves: what an app pushed, and what is indexed anew."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from connectors.containers import Container, Room
from connectors.protocols import Listed, Resource, Seen
from ingestion.ledger import OriginalStore
from rag.access import AccessList, TenantId
from rag.bodies import Body
from rag.errors import NotFound, PermanentError, SourceGone
from rag.storage.documents.records import StoredDocument
from rag.storage.jobs.records import JobKind, NewJob
from rag.storage.records import Digest, access_of_json, fingerprint_of, json_of_access
from rag.types import Metadata, SourceId, no_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A resource without its body, which is an original."""

    uri: str
    title: str
    media_type: str
    access: AccessList
    seen: Seen
    body: Digest
    metadata: Metadata
    confirmed_at: datetime | None = None
    """When the source last meant `access`; None where somebody sends it just now."""
    container: Container | None = None


@dataclass(frozen=True, slots=True)
class KeptConnector:
    """A `Connector` of one resource."""

    source: SourceId
    kept: Kept
    originals: OriginalStore

    @property
    def delta(self) -> None:
        """What is kept here changes only when somebody sends it."""
        return None

    async def listing(self) -> AsyncGenerator[Listed]:
        yield Listed(uri=self.kept.uri, seen=self.kept.seen, access=self.kept.access)

    async def fetch(self, uri: str) -> Resource:
        if uri != self.kept.uri:
            raise PermanentError("this is another resource")
        try:
            body = await self.originals.body_of(self.kept.body)
        except NotFound as error:
            raise PermanentError("the original is not kept any more") from error
        return Resource(
            uri=uri,
            title=self.kept.title,
            body=body,
            media_type=self.kept.media_type,
            access=self.kept.access,
            seen=self.kept.seen,
            metadata=self.kept.metadata,
            confirmed_at=self.kept.confirmed_at,
            container=self.kept.container,
        )

    async def aclose(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class EmptySource:
    """A `Connector` of nothing: what changes that need no content are told through."""

    source: SourceId

    @property
    def delta(self) -> None:
        return None

    async def listing(self) -> AsyncGenerator[Listed]:
        for _ in ():
            yield _

    async def fetch(self, uri: str) -> Resource:
        raise SourceGone(uri)

    async def aclose(self) -> None:
        pass


async def push_job(
    originals: OriginalStore,
    *,
    tenant: TenantId,
    source: SourceId,
    uri: str,
    title: str,
    media_type: str,
    body: Body,
    access: AccessList,
    metadata: Metadata | None = None,
) -> NewJob:
    """Keep `body`, and make the job that takes it in. Errors: `StorageUnavailable`."""
    digest = await originals.store(body)
    metadata = no_metadata() if metadata is None else metadata
    return NewJob(
        tenant=tenant,
        source=source,
        kind=JobKind.UPSERT,
        uri=uri,
        original=digest,
        priority=20,
        payload={
            "title": title,
            "media_type": media_type,
            "access": json_of_access(access),
            "metadata": dict(metadata),
        },
    )


def pushed(uri: str, payload: Mapping[str, Any], body: Digest) -> Kept:
    """What `push_job` put into a job."""
    described = sha256(repr((payload["access"], payload["metadata"])).encode()).hexdigest()
    return Kept(
        uri=uri,
        title=payload["title"],
        media_type=payload["media_type"],
        access=access_of_json(payload["access"]),
        seen=Seen(fingerprint_of(body, payload["title"]), described),
        body=body,
        metadata=payload["metadata"],
    )


def kept_of(document: StoredDocument) -> Kept:
    """The document as its source last had it. Raises `PermanentError` if its bytes are not kept."""
    if document.original is None or document.media_type is None:
        raise PermanentError("the original is not kept")
    return Kept(
        uri=document.ref.uri,
        title=document.source_title,
        media_type=document.media_type,
        access=document.access,
        seen=Seen(document.revision, document.access_fingerprint, document.identity),
        body=document.original,
        metadata=document.source_metadata,
        confirmed_at=document.acl_as_of,
        container=_container_of(document),
    )


def _container_of(document: StoredDocument) -> Container | None:
    if document.parent is None:
        return None
    return Container(
        document=document.parent,
        version=None,
        room=Room() if document.room is None else Room(*document.room),
        fence=document.fence,
    )
