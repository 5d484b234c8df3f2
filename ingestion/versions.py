"""A document's new version, as the ledger keeps it, from all that was found of it."""

from ingestion.describing import parsed_metadata_of, room_of, superseded_by
from ingestion.members import members_of
from ingestion.protocols import ParsedDocument
from ingestion.validation.inspection import Inspection
from rag.storage.documents.records import NewVersion
from rag.storage.records import Digest
from rag.types import Document


def new_version_of(
    document: Document,
    parsed: ParsedDocument,
    inspection: Inspection,
    *,
    original: Digest,
    is_old: bool,
    holds: bool,
) -> NewVersion:
    """`is_old`: it is made anew of bytes that a later version, which failed, did not replace.
    `holds`: documents lie in it, or did."""
    resource = inspection.resource
    return NewVersion(
        ref=document.ref,
        source_title=resource.title,
        version=document.version,
        revision=resource.seen.revision,
        identity=resource.seen.identity,
        access_fingerprint=resource.seen.access,
        access=document.access,
        confirmed_at=resource.confirmed_at,
        metadata=document.metadata,
        source_metadata=resource.metadata,
        parsed_metadata=parsed_metadata_of(parsed),
        content_hash=original,
        original=original,
        media_type=resource.media_type,
        size=resource.body.size,
        supersedes=superseded_by(document),
        warnings=parsed.warnings,
        validation=inspection.validation,
        profile=inspection.profile,
        is_old=is_old,
        held=members_of(document.ref, parsed) if holds else None,
        room=room_of(resource),
    )
