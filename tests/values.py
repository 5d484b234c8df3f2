"""Retrieved chunks for tests, made of as little as a test wants to say."""

from datetime import UTC, datetime

from rag.access import TenantId
from rag.types import (
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    Ranks,
    RetrievedChunk,
    SourceId,
    Span,
    VersionId,
    no_metadata,
)

ACME = TenantId("acme")


def hit(
    text: str,
    *,
    document: str = "doc",
    ordinal: int = 0,
    start: int = 0,
    heading: tuple[str, ...] = (),
    superseded_by: str | None = None,
    table: bool = False,
) -> RetrievedChunk:
    ref = DocumentRef(DocumentId(document), ACME, SourceId("s"), f"file:///{document}", document)
    return RetrievedChunk(
        chunk=Chunk(
            id=ChunkId(f"{document}-{ordinal}"),
            document=ref,
            version=VersionId("1"),
            ordinal=ordinal,
            text=text,
            heading_path=heading,
            kind="table" if table else "prose",
            span=Span(start, start + len(text)),
        ),
        score=1.0,
        ranks=Ranks(),
        metadata=no_metadata(),
        acl_as_of=datetime(2026, 1, 1, tzinfo=UTC),
        superseded_by=DocumentId(superseded_by) if superseded_by else None,
    )
