"""What searching and asking send and get. The domain's types never cross the wire."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from api.filters import FilterMap
from api.shapes import QueryText, Schema
from rag.trail import Trail
from rag.types import (
    Answer,
    Citation,
    Evidence,
    Mode,
    Refusal,
    RefusalReason,
    Retrieved,
    RetrievedChunk,
)


class SearchRequest(Schema):
    query: QueryText
    limit: int = Field(default=10, ge=1, le=100)
    mode: Mode = Mode.HYBRID
    rerank: bool = True
    filters: FilterMap = Field(default_factory=dict)
    explain: bool = Field(default=False, description="Adds each stage's score to every hit.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": "torque of the AP-450X flange bolts",
                    "limit": 5,
                    "mode": "hybrid",
                    "rerank": True,
                    "filters": {
                        "department": ["engineering", "service"],
                        "date": {"gte": "2025-01-01"},
                    },
                    "explain": False,
                }
            ]
        }
    )


class RanksOut(Schema):
    dense: int | None
    sparse: int | None
    fused: int | None
    rerank: int | None


class HitOut(Schema):
    chunk_id: str
    document_id: str
    uri: str
    title: str
    heading_path: list[str]
    page: int | None
    text: str
    score: float
    ranks: RanksOut
    scores: dict[str, float] | None = None
    metadata: dict[str, str | int | float | bool]
    version: str
    acl_as_of: datetime

    @classmethod
    def of(cls, hit: RetrievedChunk, *, explain: bool) -> Self:
        chunk = hit.chunk
        return cls(
            chunk_id=chunk.id,
            document_id=chunk.document.id,
            uri=chunk.document.uri,
            title=chunk.document.title,
            heading_path=list(chunk.heading_path),
            page=chunk.page,
            text=chunk.text,
            score=hit.score,
            ranks=RanksOut(
                dense=hit.ranks.dense,
                sparse=hit.ranks.sparse,
                fused=hit.ranks.fused,
                rerank=hit.ranks.rerank,
            ),
            scores=dict(hit.stage_scores) if explain else None,
            metadata=dict(hit.metadata),
            version=chunk.version,
            acl_as_of=hit.acl_as_of,
        )


class SearchResponse(Schema):
    hits: list[HitOut]
    rerank: Literal["complete", "budget_spent", "skipped"]
    timings_ms: dict[str, float]
    trace_id: str

    @classmethod
    def of(cls, retrieved: Retrieved, *, explain: bool, trace_id: str) -> Self:
        return cls(
            hits=[HitOut.of(hit, explain=explain) for hit in retrieved.hits],
            rerank=retrieved.rerank,
            timings_ms=dict(retrieved.timings_ms),
            trace_id=trace_id,
        )


class AskRequest(Schema):
    question: QueryText
    conversation_id: str | None = Field(
        default=None,
        pattern=r"^(new|[0-9a-f]{32})$",
        description="`new`, or the id of a conversation of the caller's: what was said there tells "
        "what a question such as `And in Kassel?` means.",
    )
    quality: Literal["fast", "balanced", "best"] = "balanced"
    filters: FilterMap = Field(default_factory=dict)
    stream: bool = Field(default=False, description="Answer as server-sent events.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "question": "How long may a distributor take to return unsold seals?",
                    "quality": "balanced",
                    "filters": {"department": "sales"},
                    "stream": False,
                }
            ]
        }
    )


class CitationOut(Schema):
    number: int
    chunk_id: str
    document_id: str
    uri: str
    title: str
    quote: str
    span: tuple[int, int] = Field(description="Where `quote` stands in the chunk's text.")
    verified: bool

    @classmethod
    def of(cls, citation: Citation) -> Self:
        document = citation.chunk.document
        return cls(
            number=citation.number,
            chunk_id=citation.chunk.id,
            document_id=document.id,
            uri=document.uri,
            title=document.title,
            quote=citation.quote,
            span=(citation.span.start, citation.span.end),
            verified=citation.verified,
        )


class EvidenceOut(Schema):
    number: int
    chunk_id: str
    document_id: str
    uri: str
    title: str
    heading_path: list[str]
    page: int | None
    text: str

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        chunk = evidence.hit.chunk
        return cls(
            number=evidence.number,
            chunk_id=chunk.id,
            document_id=chunk.document.id,
            uri=chunk.document.uri,
            title=chunk.document.title,
            heading_path=list(chunk.heading_path),
            page=chunk.page,
            text=evidence.text,
        )


class UsageOut(Schema):
    input_tokens: int
    output_tokens: int


ConversationIdOut = Annotated[
    str | None,
    Field(
        exclude_if=lambda value: value is None,
        description="Only where the question was asked in one.",
    ),
]


NoticeOut = Annotated[
    str | None,
    Field(
        exclude_if=lambda value: value is None,
        description="What is to be known of how it was made; only where there is something.",
    ),
]
BUDGET_SPENT = "A budget is spent, so no language model was asked: this is made of quotes alone."


class AnswerOut(Schema):
    kind: Literal["answer"] = "answer"
    text: str
    citations: list[CitationOut]
    confidence: float
    model: str
    prompt: str
    usage: UsageOut
    trace_id: str
    conversation_id: ConversationIdOut = None
    notice: NoticeOut = None


class RefusalOut(Schema):
    kind: Literal["refusal"] = "refusal"
    reason: RefusalReason
    detail: str
    trace_id: str
    conversation_id: ConversationIdOut = None
    notice: NoticeOut = None


AskResponse = Annotated[AnswerOut | RefusalOut, Field(discriminator="kind")]


def notice_of(trail: Trail) -> str | None:
    """What whoever asked is to know of how their answer was made."""
    return BUDGET_SPENT if trail.budget_spent else None


def ask_response(
    outcome: Answer | Refusal, trail: Trail, *, conversation: str | None = None
) -> AnswerOut | RefusalOut:
    trace_id, notice = trail.request, notice_of(trail)
    match outcome:
        case Refusal():
            return RefusalOut(
                reason=outcome.reason,
                detail=outcome.detail,
                trace_id=trace_id,
                conversation_id=conversation,
                notice=notice,
            )
        case Answer():
            return AnswerOut(
                text=outcome.text,
                citations=[CitationOut.of(citation) for citation in outcome.citations],
                confidence=outcome.confidence,
                model=outcome.model,
                prompt=outcome.prompt,
                usage=UsageOut(
                    input_tokens=outcome.usage.input_tokens,
                    output_tokens=outcome.usage.output_tokens,
                ),
                trace_id=trace_id,
                conversation_id=conversation,
                notice=notice,
            )
