"""The job that takes a document away."""

from rag.storage.documents.records import StoredDocument
from rag.storage.jobs.records import JobKind, NewJob

PRIORITY = 10
"""Whom a change shuts out must not wait behind what is new."""


def deletion_of(document: StoredDocument) -> NewJob:
    return NewJob(
        tenant=document.ref.tenant,
        source=document.ref.source,
        kind=JobKind.DELETE,
        uri=document.ref.uri,
        priority=PRIORITY,
    )
