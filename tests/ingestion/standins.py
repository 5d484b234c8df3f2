"""Small parts that behave like the real ones: enough of each to ingest text."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from connectors.protocols import Delta, Listed, Problem, Resource, Seen
from ingestion.protocols import ParsedDocument
from rag.access import AccessList, AccessScope, TenantId, readable_by
from rag.bodies import Body
from rag.errors import (
    IndexUnavailable,
    LimitExceeded,
    ParseError,
    SourceGone,
    SourceUnavailable,
)
from rag.protocols import IndexPoint
from rag.types import (
    Chunk,
    ChunkId,
    Document,
    DocumentId,
    Embedding,
    Filters,
    IndexHit,
    Metadata,
    Prose,
    Section,
    SourceId,
    Span,
    Vector,
    no_metadata,
)

FINANCE = readable_by(["group:finance"])


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


class FolderInMemory:
    """A connector whose files are in a dictionary; a body that starts with `!` is trouble."""

    def __init__(self, source: SourceId) -> None:
        self.source = source
        self.files: dict[str, Resource] = {}
        self.problems: list[Problem] = []
        self.down = False
        self.fetched: list[str] = []

    def put(
        self,
        uri: str,
        text: str | bytes,
        *,
        access: AccessList = FINANCE,
        metadata: Metadata | None = None,
        title: str | None = None,
    ) -> None:
        body = text.encode() if isinstance(text, str) else text
        fields: Metadata = metadata or no_metadata()
        self.files[uri] = Resource(
            uri=uri,
            title=title or uri,
            body=Body.of(body),
            media_type="text/plain",
            access=access,
            seen=Seen(digest(body, title), digest(_readers(access), sorted(fields.items()))),
            metadata=fields,
        )

    @property
    def delta(self) -> Delta | None:
        return None

    async def listing(self) -> AsyncGenerator[Listed | Problem]:
        if self.down:
            raise SourceUnavailable("the folder does not answer")
        for problem in self.problems:
            yield problem
        for uri in list(self.files):
            yield self.listed(uri)

    def listed(self, uri: str) -> Listed:
        """How a listing shows it."""
        file = self.files[uri]
        return Listed(
            uri=uri,
            seen=file.seen,
            access=file.access,
            metadata=file.metadata,
            size=file.body.size,
        )

    async def fetch(self, uri: str) -> Resource:
        await asyncio.sleep(0)
        self.fetched.append(uri)
        if self.down:
            raise SourceUnavailable("the folder does not answer")
        if uri not in self.files:
            raise SourceGone(uri)
        if self.files[uri].body.read().startswith(b"!huge"):
            raise LimitExceeded("larger than the connector was told to read")
        return self.files[uri]

    async def aclose(self) -> None:
        pass


def _readers(access: AccessList) -> object:
    return [sorted(clause) for clause in access.clauses], sorted(access.denied)


class LineParser:
    """`# heading` starts a section; `key: value` in front of the first is metadata."""

    def __init__(self, name: str = "lines 1") -> None:
        self.name = name

    def name_for(self, resource: Resource) -> str:
        del resource
        return self.name

    async def parse(self, resource: Resource) -> ParsedDocument:
        body = resource.body.read()
        if body.startswith(b"!broken"):
            raise ParseError("it makes no sense")
        if body.startswith(b"!bug"):
            raise ZeroDivisionError("with a secret in it")
        metadata: dict[str, str] = {}
        sections: list[Section] = []
        path: tuple[str, ...] = ()
        for line in body.decode().splitlines():
            if line.startswith("# "):
                path = (line[2:],)
            elif not sections and not path and ": " in line:
                key, _, value = line.partition(": ")
                metadata[key] = value
            elif line:
                sections.append(Section(path, Prose(line)))
        return ParsedDocument(
            title=resource.title, sections=tuple(sections), parser=self.name, metadata=metadata
        )


class SectionChunker:
    """A chunk a section."""

    name = "sections 1"

    async def chunk(self, document: Document) -> Sequence[Chunk]:
        chunks: list[Chunk] = []
        seen: dict[str, int] = {}
        start = 0
        for ordinal, section in enumerate(document.sections):
            key = f"{document.ref.title}{section.heading_path}{section.text}"
            seen[key] = seen.get(key, 0) + 1
            chunks.append(
                Chunk(
                    id=ChunkId(digest(document.ref.id, key, seen[key])),
                    document=document.ref,
                    version=document.version,
                    ordinal=ordinal,
                    text=section.text,
                    heading_path=section.heading_path,
                    kind="prose",
                    span=Span(start, start + len(section.text)),
                )
            )
            start += len(section.text) + 2
        return chunks


class HashEmbedder:
    """Vectors that depend on the text alone; remembers what it was asked to embed."""

    dimensions = 8
    max_tokens = 256

    def __init__(self, name: str = "hash 1") -> None:
        self.name = name
        self.embedded: list[str] = []

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def embed_query(self, text: str) -> Embedding:
        return Embedding(self._vector(text))

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        self.embedded += texts
        await asyncio.sleep(0)
        return [
            Embedding(self._vector(text), np.full((3, 4), len(text) % 100, np.int8))
            for text in texts
        ]

    def _vector(self, text: str) -> Vector:
        raw = np.frombuffer(hashlib.sha256(f"{self.name}{text}".encode()).digest()[:8], np.uint8)
        vector = raw.astype(np.float32) + 1
        return (vector / np.linalg.norm(vector)).astype(np.float32)


class DictIndex:
    """An index in a dictionary; searching it gives every admitted chunk of the tenant."""

    def __init__(self) -> None:
        self.points: dict[ChunkId, IndexPoint] = {}
        self.down = False

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        self._check()
        await asyncio.sleep(0)
        self.points |= {point.chunk.id: point for point in points}

    async def describe(
        self, tenant: TenantId, document: DocumentId, *, access: AccessList, metadata: Metadata
    ) -> None:
        self._check()
        for chunk in await self.chunk_ids(tenant, document):
            point = self.points[chunk]
            self.points[chunk] = IndexPoint(point.chunk, access, metadata, point.vector)

    async def delete(self, tenant: TenantId, chunks: Collection[ChunkId]) -> None:
        self._check()
        for chunk in chunks:
            if chunk in self.points and self.points[chunk].chunk.document.tenant == tenant:
                del self.points[chunk]

    async def delete_document(self, tenant: TenantId, document: DocumentId) -> None:
        await self.delete(tenant, await self.chunk_ids(tenant, document))

    async def chunk_ids(self, tenant: TenantId, document: DocumentId) -> set[ChunkId]:
        self._check()
        return {
            chunk
            for chunk, point in self.points.items()
            if (point.chunk.document.tenant, point.chunk.document.id) == (tenant, document)
        }

    async def search_dense(
        self, vector: Vector, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        del vector, filters
        return [
            IndexHit(chunk, 1.0)
            for chunk, point in sorted(self.points.items())
            if scope.admits(point.chunk.document.tenant, point.access, at=datetime.now(UTC))
        ][:limit]

    async def search_sparse(
        self, text: str, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        del text
        return await self.search_dense(
            np.zeros(8, np.float32), scope=scope, filters=filters, limit=limit
        )

    async def count(self, tenant: TenantId) -> int:
        return sum(point.chunk.document.tenant == tenant for point in self.points.values())

    async def aclose(self) -> None:
        pass

    def _check(self) -> None:
        if self.down:
            raise IndexUnavailable("the index does not answer")


def texts_of(points: Mapping[ChunkId, IndexPoint]) -> list[str]:
    return sorted(point.chunk.text for point in points.values())
