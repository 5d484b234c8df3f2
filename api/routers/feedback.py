"""What people say about an answer."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field, StringConstraints

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS
from api.permissions import Permission
from api.platform import Platform
from api.shapes import LongText, Schema
from rag.storage.audit.reading import AuditQuery, entries_of
from rag.storage.feedback import Rating
from rag.trail import RequestId

_ENTRIES = 10
"""Of one trace, no more are looked through."""

router = APIRouter(prefix="/v1", tags=["feedback"], responses=PROBLEMS)


class FeedbackRequest(Schema):
    trace_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{8,64}$")]
    rating: Rating
    comment: LongText | None = Field(default=None, description="What it should have said.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "trace_id": "6f2c1f0a9d4e4a0c8f6f0d9a3b1c2e4d",
                    "rating": "correction",
                    "comment": "The limit is 30 days since March.",
                }
            ]
        }
    )


class FeedbackOut(Schema):
    id: str


@router.post("/feedback", status_code=201)
async def give_feedback(
    request: FeedbackRequest,
    caller: Annotated[Caller, requires(Permission.FEEDBACK)],
    platform: PlatformDep,
) -> FeedbackOut:
    """Thumbs, a wish for another answer, or a correction, on the answer of a trace."""
    feedback = await platform.feedback.record(
        caller.principal,
        trace_id=request.trace_id,
        rating=request.rating,
        comment=request.comment,
        prompt=await _prompt_of(platform, caller, request.trace_id),
    )
    return FeedbackOut(id=feedback)


async def _prompt_of(platform: Platform, caller: Caller, trace: str) -> str | None:
    """The prompt that made the answer, as the audit has it; None where it has none of the trace."""
    query = AuditQuery(tenant=caller.principal.tenant, trace=RequestId(trace), limit=_ENTRIES)
    for opened in await entries_of(platform.audit, query):
        if prompt := opened.body["versions"].get("prompt"):
            return str(prompt)
    return None
