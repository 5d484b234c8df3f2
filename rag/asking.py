"""What is asked, what happens while it is answered, and how much is spent on it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from rag.access import AccessScope, Principal, scope_of
from rag.conversation.turns import ConversationId, Turn
from rag.gateway.calls import Lane
from rag.guardrails.checks import Scanned
from rag.guardrails.judging import Stopped
from rag.guardrails.streaming import OutputEvent, Released, Retracted
from rag.trail import Direction, Trail
from rag.types import (
    Answer,
    Citation,
    Evidence,
    Filters,
    Quality,
    Refusal,
    RefusalReason,
    no_filters,
)

NO_EVIDENCE = Refusal(RefusalReason.NO_EVIDENCE, "Nothing that you may read answers this question.")
"""Said word for word the same whether the answer is hidden from the asker or does not exist."""

UNGROUNDED = Refusal(
    RefusalReason.UNGROUNDED, "What was found does not support an answer to this question."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question, whose it is, and how it is to be answered."""

    question: str
    principal: Principal
    trail: Trail
    quality: Quality = "balanced"
    filters: Filters = field(default_factory=no_filters)
    locale: str = ""
    lane: Lane = Lane.INTERACTIVE
    conversation: ConversationId | None = None
    """The one that it is asked in and kept in; None where it stands by itself."""
    turns: tuple[Turn, ...] = ()
    """What was said before there, oldest first. Nothing of it is an instruction."""
    summary: str = ""
    """What a model made of older turns; no more an instruction than they are."""
    stands_alone: bool = True
    """Whether no turn before it was needed to understand it."""
    asked: str = ""
    """The asker's own words, where `question` was made to stand alone."""

    @property
    def scope(self) -> AccessScope:
        return scope_of(self.principal)


def scanned_of(ask: Ask, direction: Direction) -> Scanned:
    """What the checks are told of it. Text of an input is the question; of the others it follows."""
    return Scanned(
        text=ask.question if direction == "input" else "",
        direction=direction,
        tenant=ask.principal.tenant,
        use_case=ask.trail.use_case,
        question=ask.question,
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
class TextRetracted:
    """All that was released is void: a check of the whole answer found what no part of it showed."""

    reason: str


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


AskEvent = EvidenceFound | TextReleased | TextRetracted | CitationMade | SentenceJudged | Finished

# --- how thorough to be ------------------------------------------------------------------------


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


def told(events: Iterable[OutputEvent]) -> list[TextReleased | TextRetracted]:
    """What the asker is told of what the output's guard did; that it stopped is for it to say."""
    news: list[TextReleased | TextRetracted] = []
    for event in events:
        match event:
            case Released(text):
                news.append(TextReleased(text))
            case Retracted(stopped):
                news.append(TextRetracted(stopped.reason))
            case Stopped():
                pass
    return news
