"""What the core needs from the outside world. Adapters satisfy these by shape.

Each protocol has one suite in `tests/conformance/`; a new adapter joins it.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag.access import AccessList, AccessScope, TenantId
from rag.types import (
    Chunk,
    ChunkId,
    DocumentId,
    Embedding,
    Evidence,
    Filters,
    IndexHit,
    Metadata,
    Query,
    RetrievedChunk,
    TokenVectors,
    Usage,
    Vector,
)


class Embedder(Protocol):
    @property
    def name(self) -> str:
        """Model, revision and settings: two embedders of one name give the same vectors."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a text beyond this many are not seen."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text in the embedder's own vocabulary, special tokens not counted."""
        ...

    async def embed_query(self, text: str) -> Embedding: ...

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        """One embedding a text, in order. Never blocks the event loop."""
        ...


@dataclass(frozen=True, slots=True)
class IndexPoint:
    """A chunk as an index stores it."""

    chunk: Chunk
    access: AccessList
    metadata: Metadata
    vector: Vector


class Index(Protocol):
    """A searchable set of chunks. No search returns a chunk that is outside the scope it is given.

    Access and filters are part of the index's own query: they hold before anything is ranked.
    Errors: `IndexUnavailable`; of a search also `InvalidRequest`, where a filter has no bound or
    one that is neither a number nor an ISO date.
    """

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        """Store `points`, over those of the same chunk id. Durable when this returns."""
        ...

    async def describe(
        self, tenant: TenantId, document: DocumentId, *, access: AccessList, metadata: Metadata
    ) -> None:
        """Give every chunk of `document` this access and metadata; vectors are not touched."""
        ...

    async def delete(self, tenant: TenantId, chunks: Collection[ChunkId]) -> None:
        """Forget `chunks`. Deleting what is not there is no error."""
        ...

    async def delete_document(self, tenant: TenantId, document: DocumentId) -> None: ...

    async def chunk_ids(self, tenant: TenantId, document: DocumentId) -> set[ChunkId]:
        """What the index holds of `document`. For repair, not for reading: it shows no content."""
        ...

    async def search_dense(
        self, vector: Vector, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        """The nearest chunks by cosine, best first; ties by chunk id."""
        ...

    async def search_sparse(
        self, text: str, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        """The best chunks by BM25, best first. Chunks that share no term with `text` are no match."""
        ...

    async def count(self, tenant: TenantId) -> int: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EmbeddedQuery:
    query: Query
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class Reranked:
    """`hits` best first. Where the budget was spent, the rest follow in their fused order."""

    hits: tuple[RetrievedChunk, ...]
    complete: bool


class Reranker(Protocol):
    async def rerank(
        self, query: EmbeddedQuery, candidates: Sequence[RetrievedChunk], *, budget_s: float
    ) -> Reranked:
        """Every candidate exactly once, with `ranks.rerank` set on those that were scored."""
        ...


@dataclass(frozen=True, slots=True)
class Translation:
    """What a query's words are called in other languages. Words, not sentences: for BM25."""

    text: str
    languages: tuple[str, ...]
    """ISO 639-1 codes of the languages that `text` is in."""


class Translator(Protocol):
    def translate(self, text: str) -> Translation | None:
        """None where no word of `text` is known. It is called in a thread, and in many at once."""
        ...


class Lexicon(Protocol):
    """What English and German words may be called instead. A phrase is one word or two."""

    def translations(self, phrase: str, *, german: bool) -> tuple[str, ...]:
        """Phrases of the other language, likeliest first; `german` is the language of `phrase`."""
        ...

    def synonyms(self, phrase: str, *, german: bool) -> tuple[str, ...]:
        """Phrases of the same language, likeliest first."""
        ...

    def parts(self, word: str) -> tuple[str, ...]:
        """The two words that a German compound is made of; none where it is no known compound."""
        ...


class TokenVectorStore(Protocol):
    """Where late interaction finds the token vectors that were stored when a chunk was embedded."""

    async def token_vectors(
        self, tenant: TenantId, chunks: Collection[ChunkId]
    ) -> Mapping[ChunkId, TokenVectors]: ...


class PassageStore(Protocol):
    """The ledger, as retrieval sees it: what is alive, current and admitted at this moment."""

    async def readable(
        self, chunks: Collection[ChunkId], *, scope: AccessScope
    ) -> Mapping[ChunkId, RetrievedChunk]:
        """The chunks of `chunks` whose document is alive, in its current version, and admitted by
        the access list the ledger holds now. Scores and ranks are left at zero and None."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The end of a stream of tokens."""

    model: str
    usage: Usage
    finish_reason: str
    deployment: str = ""
    """Which serving instance of the model it was; empty where there is but one."""
    confidence: float | None = None
    """0 to 1: how sure the model is that this answers the question, where it can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrompt:
    """What a model is asked: messages, and where a cited answer is wanted, what they were made of."""

    messages: tuple[Message, ...]
    question: str = ""
    evidence: tuple[Evidence, ...] = ()
    prompt: str = ""
    """The prompt's name and version; empty where an app brought its own messages."""
    max_output_tokens: int = 512
    temperature: float = 0.0
    response_schema: Mapping[str, Any] | None = None
    """JSON Schema that the whole text must satisfy."""
    cache_scope: str = ""
    """With whose prompts a provider may share what it remembers of their beginnings; empty: it is
    told nothing."""


class LanguageModel(Protocol):
    @property
    def name(self) -> str: ...

    def stream(self, prompt: ModelPrompt) -> AsyncGenerator[str | Completion]:
        """Pieces of the text as they come, then one `Completion`. Closing it stops the model.

        Errors: `ModelUnavailable`, also on a timeout; `PermanentError` where the endpoint says
        that the request itself is at fault.
        """
        ...

    async def aclose(self) -> None: ...
