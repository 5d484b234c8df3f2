"""Documents that lie inside others: what they are called, and the jobs that take them in."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from connectors.containers import Container, Room
from connectors.file_names import readable_title
from connectors.protocols import Seen
from ingestion.kept import Kept
from ingestion.protocols import ChildResource, ParsedDocument
from rag.storage.documents.records import DocumentState, StoredDocument, inherited
from rag.storage.jobs.records import JobKind, NewJob
from rag.storage.records import Digest, document_id_of, fingerprint_of
from rag.types import Document, DocumentId, DocumentRef, VersionId

MEMBER_MARK = "!/"
"""Stands between a container's URI and the path inside it."""
CONTAINER = "container"
"""The part of a job's payload that says in what its document lies."""
_TAKING_IN, _MENDING = 45, 70
_TITLE_CHARACTERS = 200


def member_uri(container: str, path: str) -> str:
    """`container!/path`. No two pairs give the same URI: each part of the path is percent-encoded,
    so that the last mark is the one that was put here."""
    parts = (quote(part, safe="", errors="surrogatepass") for part in path.split("/"))
    return f"{container}{MEMBER_MARK}{'/'.join(parts)}"


def members_of(ref: DocumentRef, parsed: ParsedDocument) -> dict[DocumentId, Digest]:
    """The documents that lie in it, with their bytes."""
    return {
        document_id_of(ref.tenant, ref.source, member_uri(ref.uri, child.path)): child.body
        for child in parsed.children
    }


def member_jobs(document: Document, parsed: ParsedDocument, *, anew: bool) -> list[NewJob]:
    """A job for each document that lies in this version of `document`; `anew` indexes even what
    is unchanged."""
    taken, files = sum(child.size for child in parsed.children), len(parsed.children)
    return [
        _job_of(document, child, parsed.room.share(child.size, taken=taken, files=files), anew=anew)
        for child in parsed.children
    ]


def _job_of(document: Document, child: ChildResource, room: Room, *, anew: bool) -> NewJob:
    return NewJob(
        tenant=document.ref.tenant,
        source=document.ref.source,
        kind=JobKind.UPSERT,
        uri=member_uri(document.ref.uri, child.path),
        original=child.body,
        priority=_TAKING_IN,
        payload={
            "title": _title_of(document.ref.title, child),
            "media_type": child.media_type,
            "anew": anew,
            CONTAINER: {
                "document": document.ref.id,
                "version": document.version,
                "room": [room.levels, room.files, room.bytes],
            },
        },
    )


def _title_of(container: str, child: ChildResource) -> str:
    """Both names: an attachment is asked for by the words of its mail's subject as well."""
    if child.is_part:
        return container
    own = readable_title(child.path.rpartition("/")[2])
    return f"{container[-_TITLE_CHARACTERS:]}: {own}"


def container_of(payload: Mapping[str, Any]) -> Container | None:
    """In what the document of a job lies; None where it is a source's own."""
    held_in = payload.get(CONTAINER)
    if held_in is None:
        return None
    return Container(
        document=DocumentId(held_in["document"]),
        version=VersionId(held_in["version"]),
        room=Room(*held_in["room"]),
    )


def kept_member(
    uri: str,
    payload: Mapping[str, Any],
    body: Digest,
    *,
    container: Container,
    parent: StoredDocument | None,
) -> Kept | None:
    """What `member_jobs` put into a job, under the access and metadata that `parent` has now; None
    where that shows another version by now, whose own jobs say what lies in it."""
    if (
        parent is None
        or parent.state is not DocumentState.ACTIVE
        or parent.version != container.version
    ):
        return None
    return Kept(
        uri=uri,
        title=payload["title"],
        media_type=payload["media_type"],
        access=parent.access,
        seen=Seen(fingerprint_of(body, payload["title"]), parent.access_fingerprint),
        body=body,
        metadata=inherited(parent.source_metadata, container=parent.ref.uri),
        container=container,
    )


def mending_jobs(ref: DocumentRef, uris: Sequence[str]) -> list[NewJob]:
    """Bring the index in line with what the ledger says of these documents of the same source."""
    return [
        NewJob(
            tenant=ref.tenant,
            source=ref.source,
            kind=JobKind.REINDEX,
            uri=uri,
            payload={"anew": False},
            priority=_MENDING,
        )
        for uri in uris
    ]
