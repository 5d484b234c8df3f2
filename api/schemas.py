"""The shapes that cross the wire. The domain's types never do."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    Tag,
    model_validator,
)

from rag.access import TenantId
from rag.errors import UnknownFilter
from rag.protocols import PassageStore
from rag.types import (
    Answer,
    AnyOf,
    Between,
    Citation,
    Filters,
    Mode,
    Refusal,
    RefusalReason,
    Retrieved,
    RetrievedChunk,
)

MAX_QUERY_CHARACTERS = 4_000
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


def without_control_characters(text: str) -> str:
    """`text` with each control character but tab and line feed as a space, and none at its ends."""
    return CONTROL.sub(" ", text).strip()


def _said(text: str) -> str:
    cleaned = without_control_characters(text)
    if not cleaned:
        raise ValueError("there is no text in it")
    return cleaned


QueryText = Annotated[
    str, StringConstraints(max_length=MAX_QUERY_CHARACTERS), AfterValidator(_said)
]
ShortText = Annotated[
    str, StringConstraints(max_length=500), AfterValidator(without_control_characters)
]
LongText = Annotated[
    str, StringConstraints(max_length=10_000), AfterValidator(without_control_characters)
]
GroupText = Annotated[str, StringConstraints(pattern=r"^group:[!-~]{1,249}$")]
PrincipalText = Annotated[
    str, StringConstraints(pattern=r"^(everyone|(user|group|app):[!-~]{1,248})$")
]
"""`user:…`, `group:…`, `app:…` or `everyone`."""
FieldName = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]


def _shape_of(sent: object) -> str:
    match sent:
        case dict():
            return "range"
        case list():
            return "list"
        case str():
            return "text"
        case bool():
            return "truth"
        case float():
            return "number"
        case _:
            return "integer"


Integer = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
Number = Annotated[StrictFloat, Field(allow_inf_nan=False)]
FilterText = Annotated[str, StringConstraints(max_length=1_000)]
Bound = Annotated[
    Annotated[Integer, Tag("integer")]
    | Annotated[Number, Tag("number")]
    | Annotated[FilterText, Tag("text")],
    Discriminator(_shape_of),
]


class Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Range(Schema):
    """Bounds of a number or of an ISO date; at least one, all of one kind."""

    gte: Bound | None = None
    lte: Bound | None = None
    gt: Bound | None = None
    lt: Bound | None = None

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        kinds = {isinstance(bound, str) for bound in self.bounds.values()}
        if not kinds:
            raise ValueError("a range needs one of gte, lte, gt, lt")
        if len(kinds) > 1:
            raise ValueError("a range is between numbers or between dates, not both")
        return self

    @property
    def bounds(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


Scalar = Annotated[
    Annotated[StrictBool, Tag("truth")]
    | Annotated[Integer, Tag("integer")]
    | Annotated[Number, Tag("number")]
    | Annotated[FilterText, Tag("text")],
    Discriminator(_shape_of),
]
Condition = Annotated[
    Annotated[StrictBool, Tag("truth")]
    | Annotated[Integer, Tag("integer")]
    | Annotated[Number, Tag("number")]
    | Annotated[FilterText, Tag("text")]
    | Annotated[list[Scalar], Field(min_length=1, max_length=100), Tag("list")]
    | Annotated[Range, Tag("range")],
    Discriminator(_shape_of),
]
"""A value, a list of values of which one must match, or bounds. Told apart by their JSON type, so
that a mistake is explained once."""
FilterMap = Annotated[dict[FieldName, Condition], Field(max_length=20)]


async def filters_of(
    sent: dict[str, Condition], *, tenant: TenantId, store: PassageStore
) -> Filters:
    """The filters that retrieval understands. Raises `UnknownFilter`, naming the known fields."""
    if not sent:
        return {}
    known = await store.fields(tenant)
    unknown = sorted(set(sent) - known)
    if unknown:
        raise UnknownFilter(
            f"unknown filter {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    return {name: _condition(condition) for name, condition in sent.items()}


def _condition(sent: Condition) -> AnyOf | Between:
    match sent:
        case Range():
            return Between(**sent.bounds)
        case list():
            return AnyOf(tuple(sent))
        case _:
            return AnyOf((sent,))


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


class UsageOut(Schema):
    input_tokens: int
    output_tokens: int


class AnswerOut(Schema):
    kind: Literal["answer"] = "answer"
    text: str
    citations: list[CitationOut]
    confidence: float
    model: str
    prompt: str
    usage: UsageOut
    trace_id: str


class RefusalOut(Schema):
    kind: Literal["refusal"] = "refusal"
    reason: RefusalReason
    detail: str
    trace_id: str


AskResponse = Annotated[AnswerOut | RefusalOut, Field(discriminator="kind")]


def ask_response(outcome: Answer | Refusal, *, trace_id: str) -> AnswerOut | RefusalOut:
    match outcome:
        case Refusal():
            return RefusalOut(reason=outcome.reason, detail=outcome.detail, trace_id=trace_id)
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
            )


class JobAccepted(Schema):
    """The work is durable and will be done."""

    job_id: str
