"""What an ingested document is called, and whose word counts in what is said of it."""

from dataclasses import replace

from connectors.protocols import Resource
from ingestion.protocols import ParsedDocument, Parser
from ingestion.validation.findings import findings_of
from rag.access import TenantId
from rag.storage.documents.records import HeldIn
from rag.storage.records import document_id_of, fingerprint_of, storable
from rag.types import Document, DocumentId, DocumentRef, Metadata, SourceId, VersionId


def ref_of(tenant: TenantId, source: SourceId, uri: str, title: str = "") -> DocumentRef:
    return DocumentRef(document_id_of(tenant, source, uri), tenant, source, uri, title)


def legible(resource: Resource) -> Resource:
    """`resource` with names that can be stored: a file's may be no valid text."""
    metadata = {
        storable(name): storable(value) if isinstance(value, str) else value
        for name, value in resource.metadata.items()
    }
    return replace(resource, title=storable(resource.title), metadata=metadata)


def version_of(resource: Resource, parser: Parser, shaping: str = "") -> VersionId:
    """Equal exactly when the same text comes out of it. `shaping` says what validation does to the
    text before it is cut."""
    body, read_by = resource.body.sha256, parser.name_for(resource)
    return VersionId(fingerprint_of(body, resource.media_type, resource.title, read_by, shaping))


def document_of(
    ref: DocumentRef, resource: Resource, parsed: ParsedDocument, version: VersionId
) -> Document:
    return Document(
        ref=replace(ref, title=storable(parsed.title)),
        version=version,
        sections=parsed.sections,
        access=resource.access,
        metadata=merged(parsed_metadata_of(parsed), resource.metadata, ref.source),
    )


def parsed_metadata_of(parsed: ParsedDocument) -> Metadata:
    """What the file says of itself, except where it claims a field that is ours to fill."""
    said: Metadata = {
        storable(name): storable(value) if isinstance(value, str) else value
        for name, value in parsed.metadata.items()
        if name not in OURS
    }
    return {**said, MEMBERS: len(parsed.children)} if parsed.children else said


MEMBERS = "members"
"""The field that says how many documents lie in one."""
OURS = frozenset({"source", "access_level", "department", "supersedes", "container", MEMBERS})
"""Fields that only a connector or the platform fills: a file must not pass itself off."""


def merged(parsed: Metadata, from_source: Metadata, source: SourceId) -> Metadata:
    """The connector's fields over the parser's: the source's owner knows better than the file, but
    not than the checks that were made on it."""
    return {**parsed, **from_source, **findings_of(parsed), "source": source}


def held_in_of(resource: Resource) -> HeldIn | None:
    """In what it lies; None for a source's own."""
    held_in = resource.container
    if held_in is None:
        return None
    return HeldIn(held_in.document, held_in.version, held_in.fence)


def room_of(resource: Resource) -> tuple[int, int, int] | None:
    """How much may still come out of it, where it lies in another."""
    if resource.container is None:
        return None
    room = resource.container.room
    return room.levels, room.files, room.bytes


def superseded_by(document: Document) -> DocumentId | None:
    """The document that this one says it replaces: `supersedes` names its URI, same source."""
    uri = document.metadata.get("supersedes")
    if not isinstance(uri, str):
        return None
    return document_id_of(document.ref.tenant, document.ref.source, uri)
