"""The answer cache: look an answer up for somebody, keep one, forget some.

A cached answer is given only to who may read, at this moment, every passage that the model was
shown when it was made, each unchanged; and only while no other document of the tenant has changed.
Whatever went wrong between an answer's making and its keeping is therefore found when it is asked for.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Literal

from rag.access import AccessScope, TenantId
from rag.gateway.answer_cache.entries import (
    AnswerStore,
    CachedAnswer,
    EvidenceMark,
    KeptAnswer,
    KeptAnswerId,
    KeptCitation,
    KeptPassage,
    KeptQuestion,
    mark_of,
)
from rag.gateway.answer_cache.keeping import NotKept, why_not_asked, why_not_kept
from rag.gateway.answer_cache.questions import CacheQuestion
from rag.gateway.answer_cache.slots import ask_the_same
from rag.gateway.answer_cache.tally import CacheTally
from rag.gateway.answer_cache.vectors import PartitionsInMemory, QuestionVectors
from rag.gateway.money import FREE, Micro
from rag.packing import merged_text
from rag.protocols import Embedder, PassageStore
from rag.trail import Trail
from rag.types import (
    Answer,
    ChunkId,
    Citation,
    DocumentId,
    Evidence,
    Refusal,
    RetrievedChunk,
    Vector,
)

_OF_ONE_MOMENT = timedelta(seconds=5)
"""Clocks differ, and a change is dated before it is committed: so much earlier it may be seen."""
_TRIED = 8
"""Answers of one look-up that are checked against the ledger."""
_USED_PRECISION = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLimits:
    enabled: bool = True
    threshold: float
    """The least cosine of two questions that may share an answer, beside their words."""
    ttl: timedelta = timedelta(hours=1)
    max_answers: int = 2_000
    """Of one tenant."""
    changes_ignored_s: float = 0.0
    """For so long a change to documents that the answer does not rest on may go unnoticed."""
    shared: bool = True
    """Whether anybody but the asker is ever given an answer."""
    refresh_s: float = 1.0
    """After so long the answers that other processes kept are found too."""


@dataclass(slots=True, kw_only=True)
class AnswerCache:
    """Errors of its methods: `StorageUnavailable`, and the embedder's own."""

    store: AnswerStore
    limits: CacheLimits
    clock: Callable[[], datetime]
    tally: CacheTally = field(default_factory=CacheTally)
    _partitions: PartitionsInMemory = field(default_factory=PartitionsInMemory)
    _changes: dict[TenantId, tuple[float, datetime | None]] = field(
        default_factory=dict[TenantId, tuple[float, datetime | None]]
    )

    async def look_up(
        self,
        question: CacheQuestion,
        scope: AccessScope,
        trail: Trail,
        *,
        passages: PassageStore,
        embedder: Embedder,
    ) -> CachedAnswer | None:
        """An answer made before that `scope` admits now; None where there is none. Which it was is
        written to `trail`.

        `passages` and `embedder` are those of the partition's generation.
        """
        is_own = scope.tenant == question.partition.tenant
        if not self.limits.enabled or not is_own or why_not_asked(question) is not None:
            self.tally.outcomes["off"] += 1
            trail.cache = "off"
            return None
        changed_at = await self._changed_at(scope.tenant)
        partition = question.partition.key
        lookup = _Lookup(question, scope, passages, changed_at)
        exact = await self.store.asked(partition, question.normalised)
        found = await self._first_standing(exact, lookup, "exact")
        if found is None:
            known = {kept.id for kept in exact}
            near = await self._near(question, partition, embedder, without=known)
            found = await self._first_standing(near, lookup, "semantic")
        trail.cache = "miss" if found is None else found.how
        trail.saved = FREE if found is None else found.saved
        self.tally.outcomes[trail.cache] += 1
        self.tally.saved += trail.saved
        return found

    async def keep(
        self,
        question: CacheQuestion,
        outcome: Answer | Refusal,
        evidence: Sequence[Evidence],
        trail: Trail,
        *,
        asked_at: datetime,
        finish_reason: str,
        embedder: Embedder,
        shareable: bool = True,
    ) -> NotKept | None:
        """Keep an answer for the next who asks; why it is not kept, or None where it is.

        `asked_at` is a moment before retrieval began: what changed after it is not in the answer.
        """
        off = None if self.limits.enabled else NotKept.OFF
        reason = off or why_not_kept(question, outcome, trail, finish_reason=finish_reason)
        if reason is not None or isinstance(outcome, Refusal):
            self.tally.not_kept[(reason or NotKept.REFUSAL).name.lower()] += 1
            return reason
        marks = {part.chunk.id: mark_of(part) for each in evidence for part in each.parts}
        if not marks.keys() >= {citation.chunk.id for citation in outcome.citations}:
            self.tally.not_kept[NotKept.UNGROUNDED.name.lower()] += 1
            return NotKept.UNGROUNDED
        vector = (await embedder.embed_query(question.text)).vector
        kept = _kept_of(
            question,
            outcome,
            evidence,
            trail.cost,
            tuple(marks.values()),
            vector=vector,
            asked_at=asked_at,
            now=self.clock(),
            ttl=self.limits.ttl,
            shareable=shareable and self.limits.shared,
        )
        await self.store.keep(kept, at_most=self.limits.max_answers)
        held = self._partitions.of(kept.partition)
        if held.looked_at is not None:
            held.add([KeptQuestion(kept.id, kept.question, vector, kept.kept_at)])
        self.tally.kept += 1
        return None

    async def clear(
        self,
        tenant: TenantId | None,
        *,
        document: DocumentId | None = None,
        prompt: str | None = None,
        generation: int | None = None,
    ) -> int:
        """Forget the answers that are made of all that is named, of one tenant or, where None is
        named, of every tenant; how many there were.

        Other processes give none of them from this moment on either: each answer is read from the
        store when it is given.
        """
        return await self.store.clear(
            tenant, document=document, prompt=prompt, generation=generation
        )

    async def _changed_at(self, tenant: TenantId) -> datetime | None:
        known = self._changes.get(tenant)
        if known is not None and monotonic() - known[0] < self.limits.changes_ignored_s:
            return known[1]
        asked = monotonic()
        changed_at = await self.store.changed_at(tenant)
        self._changes[tenant] = asked, changed_at
        return changed_at

    async def _near(
        self,
        question: CacheQuestion,
        partition: str,
        embedder: Embedder,
        *,
        without: set[KeptAnswerId],
    ) -> list[KeptAnswer]:
        held = self._partitions.of(partition)
        if held.looked_at is None or monotonic() - held.looked_at >= self.limits.refresh_s:
            await self._refresh(held, partition)
        if not held.rows:
            return []
        vector = (await embedder.embed_query(question.text)).vector
        same = [
            near.id
            for near in held.near(vector, threshold=self.limits.threshold)
            if near.id not in without and ask_the_same(question.text, near.question)
        ]
        if not same:
            return []
        stored = {kept.id: kept for kept in await self.store.get(same[:_TRIED])}
        held.remove([answer for answer in same[:_TRIED] if answer not in stored])
        return [stored[answer] for answer in same if answer in stored]

    async def _refresh(self, held: QuestionVectors, partition: str) -> None:
        """What other processes kept is found too, and what has expired is held no longer."""
        # Of two processes' answers the later may be seen first.
        since = None if held.latest is None else held.latest - _OF_ONE_MOMENT
        before, held.looked_at = held.looked_at, monotonic()
        try:
            found = await self.store.questions(partition, since=since)
        except BaseException:
            held.looked_at = before  # nobody has looked
            raise
        held.add(found)
        held.forget_before(self.clock() - self.limits.ttl)

    async def _first_standing(
        self, candidates: Sequence[KeptAnswer], lookup: "_Lookup", how: Literal["exact", "semantic"]
    ) -> CachedAnswer | None:
        """The first of `candidates` that may be given now. Those that nobody may be given any more
        are forgotten, and so are those that their own asker may not."""
        now = self.clock()
        fresh = [kept for kept in candidates if lookup.is_fresh(kept, now)]
        dead = [kept.id for kept in candidates if not lookup.is_fresh(kept, now)]
        self.tally.dropped["changed"] += len(dead)
        mine = [kept for kept in fresh if self._may_be_shared(kept, lookup)][:_TRIED]
        self.tally.dropped["not_shared"] += len(fresh) - len(mine)
        readable: Mapping[ChunkId, RetrievedChunk] = {}
        if mine:
            chunks = {mark.chunk for kept in mine for mark in kept.marks}
            readable = await lookup.passages.readable(chunks, scope=lookup.scope)
        given = next((kept for kept in mine if _stands(kept, readable)), None)
        dead += await self._dead_among(
            [kept for kept in mine if not _stands(kept, readable)], lookup
        )
        if dead:
            await self.store.forget(dead)
        if given is None:
            return None
        if now - given.used_at > _USED_PRECISION:
            await self.store.touch(given.id, now)
        return _cached_of(given, readable, how)

    def _may_be_shared(self, kept: KeptAnswer, lookup: "_Lookup") -> bool:
        return kept.asker == lookup.question.asker or (kept.shareable and self.limits.shared)

    async def _dead_among(
        self, refused: Sequence[KeptAnswer], lookup: "_Lookup"
    ) -> list[KeptAnswerId]:
        """Of those that were not for this asker: the ones that are for nobody any more.

        What is merely somebody else's stays: else anybody could empty a colleague's cache.
        """
        if not refused:
            return []
        chunks = {mark.chunk for kept in refused for mark in kept.marks}
        partition = lookup.question.partition
        current = await self.store.current_marks(partition.tenant, partition.generation, chunks)
        dead = [
            kept.id
            for kept in refused
            if kept.asker == lookup.question.asker
            or any(current.get(mark.chunk) != mark.version for mark in kept.marks)
        ]
        self.tally.dropped["changed"] += len(dead)
        self.tally.dropped["not_admitted"] += len(refused) - len(dead)
        return dead


@dataclass(frozen=True, slots=True)
class _Lookup:
    question: CacheQuestion
    scope: AccessScope
    passages: PassageStore
    changed_at: datetime | None

    def is_fresh(self, kept: KeptAnswer, now: datetime) -> bool:
        unchanged = self.changed_at is None or self.changed_at <= kept.made_at - _OF_ONE_MOMENT
        return now < kept.expires_at and unchanged


def _stands(kept: KeptAnswer, readable: Mapping[ChunkId, RetrievedChunk]) -> bool:
    """Whether all that the answer was made of may be read, and is what it was."""
    return bool(kept.marks) and all(
        mark.chunk in readable and mark.still_describes(readable[mark.chunk]) for mark in kept.marks
    )


def _kept_of(
    question: CacheQuestion,
    answer: Answer,
    evidence: Sequence[Evidence],
    cost: Micro,
    marks: tuple[EvidenceMark, ...],
    *,
    vector: Vector,
    asked_at: datetime,
    now: datetime,
    ttl: timedelta,
    shareable: bool,
) -> KeptAnswer:
    return KeptAnswer(
        id=KeptAnswerId(uuid.uuid4().hex),
        tenant=question.partition.tenant,
        partition=question.partition.key,
        generation=question.partition.generation,
        prompt=question.partition.prompt,
        question=question.text,
        normalised=question.normalised,
        vector=vector,
        text=answer.text,
        confidence=answer.confidence,
        model=answer.model,
        cost=cost,
        passages=tuple(
            KeptPassage(each.number, each.hit.chunk.id, tuple(p.chunk.id for p in each.parts))
            for each in evidence
        ),
        citations=tuple(
            KeptCitation(each.number, each.chunk.id, each.span) for each in answer.citations
        ),
        marks=marks,
        asker=question.asker,
        shareable=shareable,
        made_at=asked_at,
        expires_at=asked_at + ttl,
        kept_at=now,
        used_at=now,
    )


def _cached_of(
    kept: KeptAnswer,
    readable: Mapping[ChunkId, RetrievedChunk],
    how: Literal["exact", "semantic"],
) -> CachedAnswer:
    evidence = tuple(
        Evidence(
            number=passage.number,
            hit=readable[passage.best],
            text=merged_text([readable[part] for part in passage.parts]),
            parts=tuple(readable[part] for part in passage.parts),
        )
        for passage in kept.passages
    )
    citations = tuple(
        Citation(
            number=cited.number,
            chunk=readable[cited.chunk].chunk,
            quote=readable[cited.chunk].chunk.text[cited.span.start : cited.span.end],
            span=cited.span,
            verified=True,
        )
        for cited in kept.citations
    )
    answer = Answer(
        text=kept.text,
        citations=citations,
        confidence=kept.confidence,
        model=kept.model,
        prompt=kept.prompt,
    )
    return CachedAnswer(
        id=kept.id,
        how=how,
        answer=answer,
        evidence=evidence,
        made_at=kept.made_at,
        saved=kept.cost,
    )
