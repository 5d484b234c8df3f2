"""What is kept of an answer, what is given again of it, and where both are stored."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType, Protocol

from rag.access import PrincipalId, TenantId
from rag.gateway.money import Micro
from rag.types import (
    Answer,
    ChunkId,
    DocumentId,
    Evidence,
    Metadata,
    RetrievedChunk,
    Span,
    Vector,
    VersionId,
)

KeptAnswerId = NewType("KeptAnswerId", str)


@dataclass(frozen=True, slots=True)
class EvidenceMark:
    """A chunk that the model was shown, as it was then. Any difference now makes the answer old."""

    chunk: ChunkId
    document: DocumentId
    version: VersionId
    described: str
    """Digest of the document's metadata: filters and classification go by them."""
    superseded_by: DocumentId | None

    def still_describes(self, hit: RetrievedChunk) -> bool:
        return self == mark_of(hit)


def mark_of(hit: RetrievedChunk) -> EvidenceMark:
    return EvidenceMark(
        chunk=hit.chunk.id,
        document=hit.chunk.document.id,
        version=hit.chunk.version,
        described=_digest_of(hit.metadata),
        superseded_by=hit.superseded_by,
    )


def _digest_of(metadata: Metadata) -> str:
    return hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class KeptPassage:
    """A numbered passage of the evidence. Its text is the ledger's to tell, and not kept here."""

    number: int
    best: ChunkId
    parts: tuple[ChunkId, ...]


@dataclass(frozen=True, slots=True)
class KeptCitation:
    """A verified citation; the words it quotes are those of the chunk at `span`."""

    number: int
    chunk: ChunkId
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """An answer, and everything that must still hold before it is given again."""

    id: KeptAnswerId
    tenant: TenantId
    partition: str
    generation: int
    prompt: str
    question: str
    """As it was asked."""
    normalised: str
    vector: Vector
    text: str
    confidence: float
    model: str
    cost: Micro
    passages: tuple[KeptPassage, ...]
    citations: tuple[KeptCitation, ...]
    marks: tuple[EvidenceMark, ...]
    """Of every chunk that the model was shown, cited or not."""
    asker: PrincipalId
    shareable: bool
    """Whether others than the asker may be given it, as far as they may read all of its evidence."""
    made_at: datetime
    """When the question came: nothing that changed later can be in the answer."""
    expires_at: datetime
    kept_at: datetime
    used_at: datetime
    """To within a few minutes: giving an answer is a read, and seldom worth a write."""


@dataclass(frozen=True, slots=True)
class KeptQuestion:
    """What is held in memory of a kept answer, to find it by."""

    id: KeptAnswerId
    question: str
    vector: Vector
    kept_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAnswer:
    """An answer that this asker may be given now: what it rests on was checked this moment."""

    id: KeptAnswerId
    how: Literal["exact", "semantic"]
    answer: Answer
    """Its `usage` is none: no model was asked."""
    evidence: tuple[Evidence, ...]
    """As the ledger has it now."""
    made_at: datetime
    saved: Micro
    """What the answer cost when it was made."""


class AnswerStore(Protocol):
    """Kept answers on disk, shared by all processes. Errors: `StorageUnavailable`."""

    async def keep(self, kept: KeptAnswer, *, at_most: int) -> None:
        """Those of the tenant that were unused for longest make room beyond `at_most`, and what
        has expired goes in any case."""
        ...

    async def asked(self, partition: str, normalised: str) -> Sequence[KeptAnswer]:
        """Answers to this very question, the newest first."""
        ...

    async def get(self, answers: Collection[KeptAnswerId]) -> Sequence[KeptAnswer]:
        """Those that are still there, in no order."""
        ...

    async def questions(self, partition: str, *, since: datetime | None) -> Sequence[KeptQuestion]:
        """What the partition holds that was kept since then, the oldest first."""
        ...

    async def touch(self, answer: KeptAnswerId, at: datetime) -> None:
        """It was used."""
        ...

    async def forget(self, answers: Collection[KeptAnswerId]) -> None: ...

    async def clear(
        self,
        tenant: TenantId | None,
        *,
        document: DocumentId | None = None,
        prompt: str | None = None,
        generation: int | None = None,
    ) -> int:
        """Forget those that are made of all that is named, of one tenant or, where None is named,
        of every tenant; how many there were."""
        ...

    async def count(self, tenant: TenantId) -> int: ...

    async def changed_at(self, tenant: TenantId) -> datetime | None:
        """When any document of the tenant last changed, in content, access or metadata."""
        ...

    async def current_marks(
        self, tenant: TenantId, generation: int, chunks: Collection[ChunkId]
    ) -> Mapping[ChunkId, VersionId]:
        """The version of each of `chunks` that is shown to anybody at all. It tells no content,
        and is asked only to know which answers are dead for everybody."""
        ...
