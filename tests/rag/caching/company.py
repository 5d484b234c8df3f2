"""A small company over the real ledger: documents that change, people who ask, answers that are kept."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rag.access import Principal, PrincipalId, TenantId, readable_by, scope_of
from rag.gateway.answer_cache.cache import AnswerCache, CacheLimits
from rag.gateway.answer_cache.entries import CachedAnswer
from rag.gateway.answer_cache.keeping import NotKept
from rag.gateway.answer_cache.questions import CachePartition, CacheQuestion
from rag.protocols import Embedder
from rag.storage.answers.ledger import KeptAnswers
from rag.storage.database import Database
from rag.storage.documents.ledger import Documents
from rag.storage.documents.passages import Passages
from rag.storage.documents.records import NewVersion
from rag.storage.generations.records import FIRST, NewChunk, NewRendition, Rendition
from rag.storage.records import Digest, document_id_of
from rag.storage.sources.ledger import Sources
from rag.testing import HashEmbedder
from rag.trail import Account, RequestId, Trail, UseCase
from rag.types import (
    Answer,
    Chunk,
    ChunkId,
    Citation,
    DocumentId,
    DocumentRef,
    Evidence,
    Filters,
    Metadata,
    RetrievedChunk,
    SourceId,
    Span,
    VersionId,
    no_filters,
)

ACME, OTHER = TenantId("acme"), TenantId("other")


@dataclass(slots=True)
class Clock:
    """A moment that a test moves on."""

    moment: datetime = datetime(2026, 11, 21, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def passes(self, **much: float) -> None:
        self.moment += timedelta(**much)


def principal(user: str, *groups: str, tenant: TenantId = ACME) -> Principal:
    return Principal(tenant, PrincipalId(user), frozenset(map(PrincipalId, groups)))


def trail_of(who: Principal) -> Trail:
    return Trail(
        request=RequestId("r"),
        account=Account(tenant=who.tenant, user=who.id),
        use_case=UseCase.ASK,
        endpoint="/v1/ask",
    )


@dataclass(slots=True)
class Made:
    """An answer on its way: made, and not kept yet."""

    question: CacheQuestion
    answer: Answer
    evidence: tuple[Evidence, ...]
    trail: Trail
    asked_at: datetime


@dataclass(slots=True)
class Company:
    database: Database
    clock: Clock = field(default_factory=Clock)
    limits: CacheLimits = field(default_factory=lambda: CacheLimits(threshold=0.5))
    embedder: Embedder = field(default_factory=HashEmbedder)
    revisions: dict[DocumentId, int] = field(default_factory=dict[DocumentId, int])
    documents: Documents = field(init=False)
    passages: Passages = field(init=False)
    answers: KeptAnswers = field(init=False)
    cache: AnswerCache = field(init=False)

    def __post_init__(self) -> None:
        self.documents = Documents(self.database, clock=self.clock)
        self.passages = Passages(self.database, clock=self.clock)
        self.answers = KeptAnswers(self.database, self.clock)
        self.cache = self.another_process()

    def another_process(self) -> AnswerCache:
        return AnswerCache(store=self.answers, limits=self.limits, clock=self.clock)

    async def open(self) -> None:
        sources = Sources(self.database)
        for tenant in (ACME, OTHER):
            await sources.add_tenant(tenant)
            await sources.register(
                tenant, kind="memory", name="files", settings={}, source=_source(tenant)
            )

    # --- documents -------------------------------------------------------------------------------

    def ref(self, uri: str, tenant: TenantId = ACME) -> DocumentRef:
        source = _source(tenant)
        return DocumentRef(document_id_of(tenant, source, uri), tenant, source, uri, uri.title())

    async def publish(
        self,
        uri: str,
        texts: Sequence[str],
        *,
        readers: Iterable[str] = ("everyone",),
        denied: Iterable[str] = (),
        tenant: TenantId = ACME,
        metadata: Metadata | None = None,
        supersedes: DocumentId | None = None,
    ) -> list[ChunkId]:
        """The document is there in a new version, of one chunk for each text."""
        of, access = self.ref(uri, tenant), readable_by(readers, denied=denied)
        revision = self.revisions[of.id] = self.revisions.get(of.id, 0) + 1
        version = VersionId(f"v{revision}")
        begun = await self.documents.begin(of, access=access)
        chunks = [
            Chunk(
                id=ChunkId(f"{of.id}-{ordinal}"),
                document=of,
                version=version,
                ordinal=ordinal,
                text=text,
                heading_path=(),
                kind="prose",
                span=Span(0, len(text)),
            )
            for ordinal, text in enumerate(texts)
        ]
        new = NewVersion(
            ref=of,
            source_title=of.title,
            version=version,
            revision=str(revision),
            access_fingerprint="1",
            access=access,
            metadata=metadata or {},
            source_metadata=metadata or {},
            parsed_metadata={},
            content_hash="0" * 64,
            original=Digest("0" * 64),
            media_type="text/plain",
            size=7,
            supersedes=supersedes,
        )
        made = Rendition(
            generation=FIRST,
            content=version,
            version=version,
            parser="p",
            chunker="c",
            embedder="e",
        )
        fresh = tuple(NewChunk(chunk=each, tokens=None) for each in chunks)
        rendition = NewRendition(rendition=made, chunks=tuple(chunks), fresh=fresh)
        await self.documents.switch(new, [rendition], fence=begun.fence)
        await self.documents.settle(of.id, fence=begun.fence, settled_in=[FIRST])
        return [each.id for each in chunks]

    async def permit(
        self,
        uri: str,
        readers: Iterable[str],
        *,
        denied: Iterable[str] = (),
        tenant: TenantId = ACME,
        metadata: Metadata | None = None,
    ) -> None:
        of = self.ref(uri, tenant)
        begun = await self.documents.take(tenant, of.id)
        assert begun is not None
        await self.documents.describe(
            tenant,
            of.id,
            fence=begun.fence,
            access=readable_by(readers, denied=denied),
            metadata=metadata,
        )

    async def delete(self, uri: str, tenant: TenantId = ACME) -> None:
        await self.documents.tombstone(tenant, self.ref(uri, tenant).id)

    # --- questions -------------------------------------------------------------------------------

    def partition(
        self, tenant: TenantId = ACME, *, prompt: str = "answer/v1", filters: Filters | None = None
    ) -> CachePartition:
        return CachePartition(
            tenant=tenant,
            generation=FIRST,
            prompt=prompt,
            model_class="balanced",
            guard_policy="default/1",
            filters=filters or no_filters(),
        )

    def question(
        self, text: str, who: Principal, partition: CachePartition | None = None
    ) -> CacheQuestion:
        return CacheQuestion(
            text=text, partition=partition or self.partition(who.tenant), asker=who.id
        )

    async def look_up(
        self,
        text: str,
        who: Principal,
        *,
        partition: CachePartition | None = None,
        cache: AnswerCache | None = None,
    ) -> CachedAnswer | None:
        return await (cache or self.cache).look_up(
            self.question(text, who, partition),
            scope_of(who),
            trail_of(who),
            passages=self.passages,
            embedder=self.embedder,
        )

    async def make(
        self,
        text: str,
        who: Principal,
        chunks: Collection[ChunkId],
        *,
        partition: CachePartition | None = None,
    ) -> Made | None:
        """An answer from those of `chunks` that may be read now; it says all that they say."""
        readable = await self.passages.readable(chunks, scope=scope_of(who))
        if not readable:
            return None
        hits = [readable[chunk] for chunk in sorted(readable)]
        return Made(
            self.question(text, who, partition),
            answer_from(hits),
            tuple(
                Evidence(number=number, hit=hit, text=hit.chunk.text, parts=(hit,))
                for number, hit in enumerate(hits, start=1)
            ),
            trail_of(who),
            self.clock(),
        )

    async def keep(self, made: Made, *, cache: AnswerCache | None = None) -> NotKept | None:
        return await (cache or self.cache).keep(
            made.question,
            made.answer,
            made.evidence,
            made.trail,
            asked_at=made.asked_at,
            finish_reason="stop",
            embedder=self.embedder,
        )

    async def ask(
        self,
        text: str,
        who: Principal,
        chunks: Collection[ChunkId],
        *,
        partition: CachePartition | None = None,
    ) -> CachedAnswer | None:
        """What the cache has; if it has nothing, an answer is made and kept."""
        found = await self.look_up(text, who, partition=partition)
        if found is None and (made := await self.make(text, who, chunks, partition=partition)):
            await self.keep(made)
        return found


def _source(tenant: TenantId) -> SourceId:
    return SourceId(f"files of {tenant}")


def answer_from(hits: Sequence[RetrievedChunk]) -> Answer:
    citations = tuple(
        Citation(
            number=number,
            chunk=hit.chunk,
            quote=hit.chunk.text,
            span=Span(0, len(hit.chunk.text)),
            verified=True,
        )
        for number, hit in enumerate(hits, start=1)
    )
    text = " ".join(f"{hit.chunk.text} [{number}]" for number, hit in enumerate(hits, start=1))
    return Answer(
        text=text, citations=citations, confidence=0.9, model="scripted", prompt="answer/v1"
    )
