"""Documents: what is known of one, its original, and pushing one in from an app."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self
from urllib.parse import quote, unquote

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse

from api.auth import Caller
from api.deps import PlatformDep, TraceId, requires, scope_for
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.platform import Platform
from api.pushing import PUSH_BODY, pushed_document
from api.removal import deletion_of
from api.shapes import JobAccepted, Schema
from ingestion.kept import push_job
from ingestion.validation.findings import is_masked
from rag.access import Principal
from rag.audit import AuditEvent
from rag.bodies import Body
from rag.errors import NotFound
from rag.storage.documents.records import DocumentState, ReadableDocument
from rag.storage.records import fingerprint_of
from rag.storage.sources.records import PUSH
from rag.trail import RequestId, Sent
from rag.types import ChunkId, DocumentId, SourceId

router = APIRouter(prefix="/v1/documents", tags=["documents"], responses=PROBLEMS)

DocumentPath = Annotated[str, Path(max_length=64)]
MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")
SHOWN_IN_PLACE = frozenset(
    {"application/pdf", "image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"}
)
"""What a browser may show. Everything else is saved: HTML and SVG can carry scripts."""


class DocumentOut(Schema):
    id: str
    uri: str
    title: str
    connector: str
    version: str
    media_type: str | None
    size: int | None
    chunks: int
    metadata: dict[str, str | int | float | bool]
    acl_as_of: datetime
    indexed_at: datetime | None
    superseded_by: str | None
    """A newer document that replaces this one, if the caller may read that one too."""

    @classmethod
    def of(cls, document: ReadableDocument) -> Self:
        return cls(
            id=document.ref.id,
            uri=document.ref.uri,
            title=document.ref.title,
            connector=document.ref.source,
            version=document.version,
            media_type=document.media_type,
            size=document.size,
            chunks=document.chunks,
            metadata=dict(document.metadata),
            acl_as_of=document.acl_as_of,
            indexed_at=document.indexed_at,
            superseded_by=document.superseded_by,
        )


@router.get("/{document_id}", responses=problems(404))
async def show_document(
    document_id: DocumentPath,
    caller: Annotated[Caller, requires(Permission.DOCUMENTS_READ)],
    platform: PlatformDep,
) -> DocumentOut:
    """What is known of a document that the caller may read. Any other is not there."""
    document = await platform.documents.readable(DocumentId(document_id), scope=scope_for(caller))
    return DocumentOut.of(document)


@router.get(
    "/{document_id}/content",
    response_class=Response,
    responses=problems(404) | {200: {"content": {"application/octet-stream": {}}}},
)
async def document_content(
    document_id: DocumentPath,
    caller: Annotated[Caller, requires(Permission.DOCUMENTS_READ)],
    platform: PlatformDep,
    trace_id: TraceId,
) -> Response:
    """The document's original bytes, as its source had them when it was indexed."""
    document = await platform.documents.readable(DocumentId(document_id), scope=scope_for(caller))
    if document.original is None:
        raise NotFound("there is no such document")
    if is_masked(document.metadata):
        raise NotFound("the original is withheld: parts of the document are masked")
    await platform.audit.record(
        AuditEvent(
            tenant=caller.principal.tenant,
            action="document.open",
            decision="done",
            principal=caller.principal.id,
            application=caller.key,
            on_behalf_of=caller.via == "on_behalf_of",
            trace=RequestId(trace_id),
            shown=(Sent(document.ref.id, document.version, ChunkId("")),),
        )
    )
    body = await platform.originals.body_of(document.original)
    headers = _content_headers(document)
    return Response(body.read(), headers=headers) if body.path is None else _Sent(body, headers)


class _Sent(FileResponse):
    """A large file, in pieces and in the ranges that are asked for. It is there until it is sent."""

    def __init__(self, body: Body, headers: Mapping[str, str]) -> None:
        assert body.path is not None  # noqa: S101 - it is large
        super().__init__(body.path, headers=headers)
        self._body = body


def _content_headers(document: ReadableDocument) -> dict[str, str]:
    """No script of a document runs in our origin, whatever the bytes turn out to be."""
    said = (document.media_type or "").partition(";")[0].strip().lower()
    media_type = said if MEDIA_TYPE.fullmatch(said) else "application/octet-stream"
    shown = "inline" if media_type in SHOWN_IN_PLACE else "attachment"
    name = unquote(document.ref.uri.rstrip("/").rpartition("/")[2])[:200] or "document"
    return {
        "content-type": media_type,
        "content-disposition": f"{shown}; filename*=UTF-8''{quote(name, safe='')}",
        "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        "cross-origin-resource-policy": "same-origin",
    }


@router.post(
    "",
    status_code=202,
    openapi_extra={"requestBody": PUSH_BODY},
    responses=problems(400, 415),
)
async def push(
    request: Request,
    caller: Annotated[Caller, requires(Permission.DOCUMENTS_WRITE)],
    platform: PlatformDep,
) -> JobAccepted:
    """Take in a document that an app sends, or its new content, or its new readers.

    An app's documents are its own: nobody else's push or deletion touches them. Without
    `readers` nobody reads the document.
    """
    document = await pushed_document(
        request,
        max_bytes=platform.settings.ingestion.max_bytes,
        spool=platform.originals.spool,
    )
    job = await push_job(
        platform.originals,
        tenant=caller.principal.tenant,
        source=await _own_source(platform, caller.principal),
        uri=document.uri,
        title=document.title,
        media_type=document.media_type,
        body=document.body,
        access=document.access,
        metadata=document.metadata,
    )
    [job_id] = await platform.jobs.enqueue([job])
    return JobAccepted(job_id=job_id)


@router.delete("/{document_id}", status_code=202, responses=problems(404))
async def delete_document(
    document_id: DocumentPath,
    caller: Annotated[Caller, requires(Permission.DOCUMENTS_WRITE)],
    platform: PlatformDep,
) -> JobAccepted:
    """Take back a document that the caller pushed. Any other is not there."""
    tenant, own = caller.principal.tenant, _source_of(caller.principal)
    document = await platform.documents.find(tenant, DocumentId(document_id))
    if document is None or document.ref.source != own or document.state is DocumentState.DELETED:
        raise NotFound("there is no such document")
    [job_id] = await platform.jobs.enqueue([deletion_of(document)])
    return JobAccepted(job_id=job_id)


def _source_of(principal: Principal) -> SourceId:
    """Every app has its own: a document is known by its source and its URI, so nobody's push can
    take the place of a document that came from elsewhere."""
    return SourceId(fingerprint_of(PUSH, principal.tenant, principal.id))


async def _own_source(platform: Platform, principal: Principal) -> SourceId:
    own = _source_of(principal)
    try:
        await platform.sources.get(principal.tenant, own)
    except NotFound:
        await platform.sources.register(
            principal.tenant,
            kind=PUSH,
            name=f"pushed by {principal.id}",
            settings={},
            source=own,
        )
    return own
