"""What documents say, as rows: their chunks and token vectors in each generation."""

import json
from collections.abc import Collection, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, cast

from sqlalchemy import Connection, Executable, Text, and_, bindparam, delete, select, type_coerce

from rag.storage.database import Database, Dialect, insert_for, insert_into
from rag.storage.generations.records import (
    GenerationId,
    GenerationState,
    NewChunk,
    NewRendition,
    Rendition,
)
from rag.storage.records import fingerprint_of, storable
from rag.storage.tables import (
    AnswerDocumentRow,
    Base,
    ChunkRow,
    DocumentRow,
    GenerationRow,
    KeptAnswerRow,
    RenditionRow,
    TokenVectorsRow,
)
from rag.types import Chunk, ChunkId, DocumentId, DocumentRef, Span, TokenVectors, VersionId

_AT_ONCE = 500

SERVING = (
    select(GenerationRow.id)
    .where(GenerationRow.state == GenerationState.SERVING.value)
    .scalar_subquery()
)
"""The generation that readers search at this moment."""
CHUNK_COLUMNS = (
    ChunkRow.id,
    ChunkRow.version,
    ChunkRow.ordinal,
    ChunkRow.text,
    # JSON is read where the chunk is wanted: for readers, only once the asker is admitted.
    type_coerce(ChunkRow.heading_path, Text).label("heading_path"),
    ChunkRow.kind.label("chunk_kind"),
    ChunkRow.span_start,
    ChunkRow.span_end,
    ChunkRow.page,
)
CHUNK_IDS = select(ChunkRow.id).where(
    ChunkRow.document == bindparam("this"), ChunkRow.generation == bindparam("generation")
)
"""Chunks of any version of `this` in `generation`."""
RENDITIONS = select(RenditionRow).where(RenditionRow.document == bindparam("this"))
IS_SHOWN = and_(
    RenditionRow.document == ChunkRow.document,
    RenditionRow.generation == ChunkRow.generation,
    RenditionRow.version == ChunkRow.version,
    RenditionRow.content == DocumentRow.version,
)
"""Joins a chunk with the rendition, of its document's current version, that it belongs to."""
_SERVES = select(SERVING)
_OF_THE_LIVE = select(GenerationRow.id).where(GenerationRow.state != GenerationState.DROPPED.value)


def serving(connection: Connection) -> GenerationId:
    return GenerationId(connection.execute(_SERVES).scalar_one())


def are_all_live(connection: Connection, generations: Collection[GenerationId]) -> bool:
    """Whether no generation is written but these."""
    others = _OF_THE_LIVE.where(GenerationRow.id.not_in(generations))
    return not connection.execute(select(others.exists())).scalar_one()


def rendition_of(row: Any) -> Rendition:
    return Rendition(
        generation=GenerationId(row.generation),
        content=VersionId(row.content),
        version=VersionId(row.version),
        parser=row.parser,
        chunker=row.chunker,
        embedder=row.embedder,
    )


def gone_from(
    connection: Connection, document: DocumentId, renditions: Sequence[NewRendition]
) -> dict[GenerationId, set[ChunkId]]:
    """The chunks that each generation holds of `document` and that are not in its new rendition."""
    gone: dict[GenerationId, set[ChunkId]] = {}
    for new in renditions:
        generation = new.rendition.generation
        held = connection.execute(CHUNK_IDS, {"this": document, "generation": generation})
        gone[generation] = {ChunkId(row.id) for row in held} - {chunk.id for chunk in new.chunks}
    return gone


def write_rendition(
    connection: Connection,
    database: Database,
    document: DocumentId,
    new: NewRendition,
    *,
    gone: Collection[ChunkId],
) -> None:
    """What the generation holds of `document` becomes `new`, without the chunks of `gone`."""
    rendition = new.rendition
    delete_chunks(connection, gone, generation=rendition.generation)
    write_chunks(connection, database, new.chunks, generation=rendition.generation)
    write_token_vectors(connection, database, new.fresh, generation=rendition.generation)
    row = {
        "document": document,
        "generation": rendition.generation,
        "content": rendition.content,
        "version": rendition.version,
        "parser": rendition.parser,
        "chunker": rendition.chunker,
        "embedder": rendition.embedder,
    }
    connection.execute(_upsert(database.dialect, RenditionRow), row)


def forget_contents(connection: Connection, document: DocumentId) -> None:
    """In no generation the ledger holds anything that `document` says, nor any answer made of it."""
    made_of = select(AnswerDocumentRow.answer).where(AnswerDocumentRow.document == document)
    connection.execute(delete(KeptAnswerRow).where(KeptAnswerRow.id.in_(made_of)))
    connection.execute(delete(ChunkRow).where(ChunkRow.document == document))
    connection.execute(delete(RenditionRow).where(RenditionRow.document == document))


def delete_chunks(
    connection: Connection, chunks: Collection[ChunkId], *, generation: GenerationId
) -> None:
    ordered = sorted(chunks)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        connection.execute(
            delete(ChunkRow).where(ChunkRow.generation == generation, ChunkRow.id.in_(some))
        )


def write_chunks(
    connection: Connection,
    database: Database,
    chunks: Sequence[Chunk],
    *,
    generation: GenerationId,
    only_new: bool = False,
) -> None:
    """Insert `chunks`; those that are there get their new place and version, or with `only_new`
    stay as readers see them."""
    if not chunks:
        return
    rows = [_row_of_chunk(chunk, generation) for chunk in chunks]
    statement = (
        insert_into(database, ChunkRow).on_conflict_do_nothing()
        if only_new
        else _upsert(database.dialect, ChunkRow)
    )
    connection.execute(statement, rows)


def write_token_vectors(
    connection: Connection,
    database: Database,
    chunks: Sequence[NewChunk],
    *,
    generation: GenerationId,
) -> None:
    rows = [
        _row_of_tokens(each.chunk.id, each.tokens, generation)
        for each in chunks
        if each.tokens is not None
    ]
    if not rows:
        return
    connection.execute(_upsert(database.dialect, TokenVectorsRow), rows)


def chunk_of(row: Any, document: DocumentRef) -> Chunk:
    """A row of chunks whose heading path is read as text."""
    return Chunk(
        id=ChunkId(row.id),
        document=document,
        version=VersionId(row.version),
        ordinal=row.ordinal,
        text=row.text,
        heading_path=_headings(row.heading_path),
        kind=row.chunk_kind,
        span=Span(row.span_start, row.span_end),
        page=row.page,
    )


@lru_cache(maxsize=4096)
def _headings(text: str) -> tuple[str, ...]:
    return tuple(cast("Iterable[str]", json.loads(text)))


@cache
def _upsert(dialect: Dialect, row: type[Base]) -> Executable:
    """Insert rows, or give those that are there their new values. Made once: naming every column
    of what is excluded takes as long as the write."""
    new = insert_for(dialect, row)
    key = [column.name for column in row.__table__.primary_key]
    kept = {*key, "tenant", "document"}
    columns = [column.name for column in row.__table__.columns if column.name not in kept]
    return new.on_conflict_do_update(
        index_elements=key, set_={name: new.excluded[name] for name in columns}
    )


def _row_of_chunk(chunk: Chunk, generation: GenerationId) -> dict[str, Any]:
    return {
        "generation": generation,
        "id": chunk.id,
        "tenant": chunk.document.tenant,
        "document": chunk.document.id,
        "version": chunk.version,
        "ordinal": chunk.ordinal,
        "text": chunk.text,
        "heading_path": [storable(heading) for heading in chunk.heading_path],
        "kind": chunk.kind,
        "span_start": chunk.span.start,
        "span_end": chunk.span.end,
        "page": chunk.page,
        "embedded_hash": fingerprint_of(chunk.embedded_text),
    }


def _row_of_tokens(
    chunk: ChunkId, tokens: TokenVectors, generation: GenerationId
) -> dict[str, Any]:
    return {
        "generation": generation,
        "chunk": chunk,
        "dimensions": tokens.shape[1],
        "vectors": tokens.tobytes(),
    }
