"""What guardrails flagged, for a person to look at: the queue of the caller's own tenant."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, ConfigDict, Field

from api.auth import Caller
from api.deps import PlatformDep, TraceId, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.routers.audit import AuditEntryOut
from api.shapes import LongText, Schema
from rag.audit import AuditEvent
from rag.reviews import Decision, Review, ReviewQuery, ReviewState, review_id_of
from rag.trail import Direction, RequestId, UseCase

router = APIRouter(prefix="/v1/admin/reviews", tags=["administration"], responses=PROBLEMS)

ID_PATTERN = r"^[1-9][0-9]{0,17}\.[1-9][0-9]{0,3}$"
ReviewPath = Annotated[str, Path(pattern=ID_PATTERN, examples=["42.1"])]


class ReviewOut(Schema):
    review_id: str = Field(description="The sequence of its entry in the audit, and its place.")
    at: datetime
    trace_id: str
    use_case: UseCase
    check: str
    direction: Direction
    score: float
    kinds: list[str]
    policy: str = Field(description="Version of the policy that asked for it.")
    state: ReviewState
    decided_by: str | None
    decided_at: datetime | None
    note: str

    @classmethod
    def of(cls, review: Review) -> Self:
        flag, decided = review.flag, review.decided
        return cls(
            review_id=str(review.id),
            at=review.at,
            trace_id=review.trace,
            use_case=flag.use_case,
            check=flag.check,
            direction=flag.direction,
            score=flag.score,
            kinds=list(flag.kinds),
            policy=flag.policy,
            state=review.state,
            decided_by=None if decided is None else decided.by,
            decided_at=None if decided is None else decided.at,
            note="" if decided is None else decided.note,
        )


class ReviewsOut(Schema):
    reviews: list[ReviewOut]


class ReviewedEntryOut(Schema):
    review: ReviewOut
    entry: AuditEntryOut = Field(description="The request, as far as the audit keeps it.")


class DecisionRequest(Schema):
    decision: Decision = Field(
        description="`confirmed`: the guardrail was right to flag it; `dismissed`: it was not."
    )
    note: LongText = Field(default="", description="Kept without personal data and secrets.")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decision": "dismissed", "note": "A test key."}]}
    )


@router.get("")
async def list_reviews(  # noqa: PLR0917 - each is named in the query
    caller: Annotated[Caller, requires(Permission.AUDIT)],
    platform: PlatformDep,
    state: ReviewState | None = None,
    check: Annotated[str | None, Query(max_length=64)] = None,
    use_case: UseCase | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    before: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> ReviewsOut:
    """The newest first; `before` is the last id of the page before."""
    query = ReviewQuery(
        tenant=caller.principal.tenant,
        state=state,
        check=check,
        use_case=use_case,
        since=since,
        until=until,
        before=None if before is None else review_id_of(before),
        limit=limit,
    )
    return ReviewsOut(reviews=[ReviewOut.of(each) for each in await platform.reviews.listed(query)])


@router.get("/{review_id}", responses=problems(404))
async def show_review(
    review_id: ReviewPath,
    caller: Annotated[Caller, requires(Permission.AUDIT)],
    platform: PlatformDep,
) -> ReviewedEntryOut:
    """One of them, with what the audit keeps of the request."""
    tenant, review = caller.principal.tenant, review_id_of(review_id)
    return ReviewedEntryOut(
        review=ReviewOut.of(await platform.reviews.get(tenant, review)),
        entry=AuditEntryOut.of(await platform.reviews.entry_of(tenant, review)),
    )


@router.post("/{review_id}/decision", responses=problems(404, 409))
async def decide_review(
    review_id: ReviewPath,
    request: DecisionRequest,
    caller: Annotated[Caller, requires(Permission.AUDIT)],
    platform: PlatformDep,
    trace_id: TraceId,
) -> ReviewOut:
    """Say whether the guardrail was right. The same again changes nothing; another decision, or
    another note, is a conflict."""
    decided = await platform.reviews.decide(
        review_id_of(review_id),
        decision=request.decision,
        note=request.note,
        told=AuditEvent(
            tenant=caller.principal.tenant,
            action="review.decide",
            decision=request.decision,
            principal=caller.principal.id,
            application=caller.key,
            on_behalf_of=caller.via == "on_behalf_of",
            trace=RequestId(trace_id),
            question=f"review_id={review_id}",
        ),
    )
    return ReviewOut.of(decided)
