"""Asking, from the question to the cited answer. Read this file to know what `ask` does.

A sentence of the model is checked against the evidence before it is released, so nothing that was
streamed is ever taken back.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from rag.access import Principal, scope_of
from rag.citation import Sentence, SentenceStream, Supported, verify
from rag.grounding import GroundingCheck
from rag.packing import CountTokens, pack_evidence
from rag.prompts.registry import NO_ANSWER, Prompt, render
from rag.protocols import Blocked, Completion, Guardrail, LanguageModel, ModelPrompt
from rag.statements import Statement, statements_of
from rag.types import (
    Answer,
    Citation,
    Evidence,
    Filters,
    Quality,
    Query,
    Refusal,
    RefusalReason,
    Retrieved,
    Usage,
    no_filters,
)

NO_EVIDENCE = Refusal(RefusalReason.NO_EVIDENCE, "Nothing that you may read answers this question.")
"""Said word for word the same whether the answer is hidden from the asker or does not exist."""

UNGROUNDED = Refusal(
    RefusalReason.UNGROUNDED, "What was found does not support an answer to this question."
)

# --- what happens while an answer is made ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """The numbered passages that the answer will be made from."""

    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class TextReleased:
    """The next piece of the answer; all pieces together are `Answer.text`."""

    text: str


@dataclass(frozen=True, slots=True)
class CitationMade:
    """What the text released just before rests on."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class SentenceJudged:
    """What became of the model's sentence number `sentence` (from 1). Only `supported` is released."""

    sentence: int
    verdict: Literal["supported", "unsupported", "blocked"]
    score: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event."""

    outcome: Answer | Refusal


AskEvent = EvidenceFound | TextReleased | CitationMade | SentenceJudged | Finished

# --- how thorough to be ------------------------------------------------------------------------

_ENDS = (".", "!", "?", "…", "。")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What one quality spends on a question."""

    hits: int
    rerank: bool
    passages: int
    evidence_tokens: int


EFFORTS: Mapping[Quality, Effort] = MappingProxyType(
    {
        "fast": Effort(hits=8, rerank=False, passages=4, evidence_tokens=800),
        "balanced": Effort(hits=16, rerank=True, passages=8, evidence_tokens=1_600),
        "best": Effort(hits=60, rerank=True, passages=14, evidence_tokens=3_200),
    }
)


class Retriever(Protocol):
    async def retrieve(self, query: Query) -> Retrieved: ...


class RelevanceGate(Protocol):
    async def may_answer(self, question: str, evidence: Sequence[Evidence]) -> bool:
        """Whether it is worth asking a model: false where no statement bears on the question."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    retriever: Retriever
    language_model: LanguageModel
    grounding: GroundingCheck
    prompt: Prompt
    count_tokens: CountTokens
    relevance: RelevanceGate | None = None
    """None where the model itself abstains, as the extractive one does."""
    input_guardrails: tuple[Guardrail, ...] = ()
    output_guardrails: tuple[Guardrail, ...] = ()
    efforts: Mapping[Quality, Effort] = field(default_factory=lambda: EFFORTS)

    async def ask(
        self,
        question: str,
        principal: Principal,
        *,
        quality: Quality = "balanced",
        filters: Filters | None = None,
    ) -> Answer | Refusal:
        """The answer to `question` from what `principal` may read, or an honest refusal.

        Errors: those of retrieval and of the language model.
        """
        async with aclosing(
            self.stream(question, principal, quality=quality, filters=filters)
        ) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.outcome
        raise AssertionError("a stream of events ends with Finished")

    async def stream(
        self,
        question: str,
        principal: Principal,
        *,
        quality: Quality = "balanced",
        filters: Filters | None = None,
    ) -> AsyncGenerator[AskEvent]:
        """What happens while `question` is answered; the last event is `Finished`.

        Closing the generator stops the model.
        """
        if blocked := await _first_block(self.input_guardrails, question):
            yield Finished(Refusal(RefusalReason.BLOCKED, blocked.reason))
            return

        evidence = await self._evidence(question, principal, self.efforts[quality], filters)
        if not evidence or not await self._may_answer(question, evidence):
            yield Finished(NO_EVIDENCE)
            return
        yield EvidenceFound(evidence)

        draft = _Draft(statements_of(evidence), self.grounding, self.output_guardrails)
        prompt = ModelPrompt(
            question=question,
            evidence=evidence,
            messages=render(self.prompt, question, evidence),
            prompt=self.prompt.id,
        )
        completion: Completion | None = None
        pieces = self.language_model.stream(prompt)
        sentences = SentenceStream()
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, Completion):
                    completion = piece
                    break
                for sentence in sentences.push(piece):
                    for event in await draft.add(sentence):
                        yield event
        cut_short = completion is not None and completion.finish_reason == "length"
        for sentence in sentences.end():
            # Half a sentence may say the opposite of the whole one.
            if not cut_short or sentence.text.endswith(_ENDS):
                for event in await draft.add(sentence):
                    yield event
        yield Finished(draft.outcome(completion, self.language_model.name, self.prompt.id))

    async def _evidence(
        self, question: str, principal: Principal, effort: Effort, filters: Filters | None
    ) -> tuple[Evidence, ...]:
        retrieved = await self.retriever.retrieve(
            Query(
                text=question,
                scope=scope_of(principal),
                limit=effort.hits,
                rerank=effort.rerank,
                filters=no_filters() if filters is None else filters,
            )
        )
        return pack_evidence(
            retrieved.hits,
            count_tokens=self.count_tokens,
            budget_tokens=effort.evidence_tokens,
            passages=effort.passages,
        )

    async def _may_answer(self, question: str, evidence: Sequence[Evidence]) -> bool:
        return self.relevance is None or await self.relevance.may_answer(question, evidence)


@dataclass(slots=True)
class _Draft:
    """The answer as far as it has been released."""

    statements: tuple[Statement, ...]
    grounding: GroundingCheck
    guardrails: tuple[Guardrail, ...]
    text: str = ""
    citations: list[Citation] = field(default_factory=list[Citation])
    lowest: float = 1.0
    seen: int = 0
    blocked: Blocked | None = None
    abstained: bool = False

    async def add(self, sentence: Sentence) -> list[AskEvent]:
        """What follows from the model's next sentence. After a blocked one, nothing does."""
        if self.blocked is not None:
            return []
        if sentence.text.strip(" .*\"'").upper().startswith(NO_ANSWER):
            self.abstained = True
            return []
        self.seen += 1
        judged = await verify(sentence, self.statements, self.grounding)
        if not isinstance(judged, Supported):
            return [SentenceJudged(self.seen, "unsupported", 0.0)]
        gap = "" if not self.text else "\n" if _is_line(judged.text) else " "
        piece = f"{gap}{judged.text} [{judged.citation.number}]"
        self.blocked = await _first_block(self.guardrails, self.text + piece)
        if self.blocked is not None:
            return [SentenceJudged(self.seen, "blocked", judged.score)]
        self.text += piece
        self.lowest = min(self.lowest, judged.score)
        events: list[AskEvent] = [
            SentenceJudged(self.seen, "supported", judged.score),
            TextReleased(piece),
        ]
        if judged.citation not in self.citations:
            self.citations.append(judged.citation)
            events.append(CitationMade(judged.citation))
        return events

    def outcome(self, completion: Completion | None, model: str, prompt: str) -> Answer | Refusal:
        if not self.text:
            if self.blocked is not None:
                return Refusal(RefusalReason.BLOCKED, self.blocked.reason)
            return UNGROUNDED if self.seen else NO_EVIDENCE
        sure = completion.confidence if completion is not None else None
        return Answer(
            text=self.text,
            citations=tuple(self.citations),
            confidence=self.lowest if sure is None else min(self.lowest, sure),
            model=completion.model if completion is not None else model,
            prompt=prompt,
            usage=completion.usage if completion is not None else Usage(),
        )


def _is_line(text: str) -> bool:
    """Whether `text` was an item of a list or a row of a table, and stands on a line of its own."""
    return text.startswith(("- ", "* ", "• ", "|"))


async def _first_block(guardrails: Sequence[Guardrail], text: str) -> Blocked | None:
    for guardrail in guardrails:
        if isinstance(verdict := await guardrail.check(text), Blocked):
            return verdict
    return None
