"""The audit of the caller's own tenant: reading it, verifying it, erasing a person from it."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, ConfigDict, Field

from api.auth import Caller
from api.deps import PlatformDep, TraceId, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.routers.keys import KeyPrincipal
from api.shapes import Schema
from rag.access import Principal, PrincipalId
from rag.audit import AuditEvent
from rag.errors import NotFound
from rag.storage.audit.anchors import anchors_in, current_anchors
from rag.storage.audit.reading import AuditQuery, Opened, entries_of
from rag.storage.audit.verifying import Broken, Intact, verify
from rag.trail import RequestId

router = APIRouter(prefix="/v1/admin/audit", tags=["administration"], responses=PROBLEMS)


class AuditEntryOut(Schema):
    sequence: int
    at: datetime
    action: str
    decision: str
    principal: str = Field(description="`(erased)` where the person's key was destroyed.")
    application: str | None
    on_behalf_of: bool
    trace_id: str
    question: str
    answer: str
    versions: dict[str, str]
    shown: list[list[str]] = Field(description="Document, version and chunk of each passage.")
    sent: list[list[str]]
    classification: str
    cost_micros: int
    tokens: list[int] = Field(description="Input, output, cached.")
    verdicts: list[list[str]]
    hash: str

    @classmethod
    def of(cls, opened: Opened) -> Self:
        body = opened.body
        return cls(
            sequence=opened.entry.sequence,
            at=opened.entry.at,
            principal=opened.principal,
            question=opened.question,
            answer=opened.answer,
            trace_id=body["trace"],
            cost_micros=body["cost"],
            hash=opened.entry.hash,
            **{name: body[name] for name in _AS_STORED},
        )


_AS_STORED = (
    "action",
    "decision",
    "application",
    "on_behalf_of",
    "versions",
    "shown",
    "sent",
    "classification",
    "tokens",
    "verdicts",
)


class AuditOut(Schema):
    entries: list[AuditEntryOut]


class AnchorOut(Schema):
    tenant: str
    sequence: int
    hash: str
    at: str
    public_key: str
    signature: str


class AnchorsOut(Schema):
    anchors: list[AnchorOut]


class VerifyRequest(Schema):
    anchors: str = Field(
        default="", max_length=200_000, description="Lines of the anchors' file, to compare with."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"anchors": ""}]})


class VerifiedOut(Schema):
    standing: Literal["intact", "broken"]
    first: int | None = None
    last: int | None = None
    entries: int | None = None
    anchors: int | None = Field(default=None, description="How many anchors bore it out.")
    broken_at: int | None = Field(default=None, description="The first entry that does not fit.")
    reason: str | None = None


@router.get("")
async def list_entries(  # noqa: PLR0917 - each is named in the query
    caller: Annotated[Caller, requires(Permission.AUDIT)],
    platform: PlatformDep,
    principal: Annotated[str | None, Query(max_length=255)] = None,
    trace_id: Annotated[str | None, Query(max_length=64)] = None,
    action: Annotated[str | None, Query(max_length=128)] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> AuditOut:
    """The newest first; `before` is the last sequence of the page before."""
    query = AuditQuery(
        tenant=caller.principal.tenant,
        principal=None if principal is None else PrincipalId(principal),
        trace=None if trace_id is None else RequestId(trace_id),
        action=action,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    return AuditOut(
        entries=[AuditEntryOut.of(each) for each in await entries_of(platform.audit, query)]
    )


@router.get("/anchor")
async def show_anchor(
    caller: Annotated[Caller, requires(Permission.AUDIT)], platform: PlatformDep
) -> AnchorsOut:
    """Where the chain ends now, signed: to be kept elsewhere."""
    anchors = await current_anchors(platform.audit, caller.principal.tenant)
    return AnchorsOut(anchors=[AnchorOut(**asdict(anchor)) for anchor in anchors])


@router.post("/verify")
async def verify_chain(
    request: VerifyRequest,
    caller: Annotated[Caller, requires(Permission.AUDIT)],
    platform: PlatformDep,
) -> VerifiedOut:
    """Whether every entry is as it was written and none is missing."""
    verdict = await verify(
        platform.audit, caller.principal.tenant, anchors=anchors_in(request.anchors)
    )
    match verdict:
        case Intact():
            return VerifiedOut(standing="intact", **_fields(verdict))
        case Broken():
            return VerifiedOut(standing="broken", broken_at=verdict.sequence, reason=verdict.reason)


def _fields(verdict: Intact) -> dict[str, Any]:
    return asdict(verdict)


@router.delete("/persons/{principal_id}", status_code=204, responses=problems(404))
async def erase_person(
    principal_id: KeyPrincipal,
    caller: Annotated[Caller, requires(Permission.AUDIT)],
    platform: PlatformDep,
    trace_id: TraceId,
) -> Response:
    """Destroy a person's key: nobody can read what they wrote, or who they were. Their conversations
    are deleted. For good."""
    tenant, person = caller.principal.tenant, PrincipalId(principal_id)
    erased = await platform.audit.erase(tenant, person)
    forgotten = await platform.conversations.forget_all_of(Principal(tenant, person))
    if not erased and not forgotten:
        raise NotFound("nothing is held of such a person")
    await platform.audit.record(
        AuditEvent(
            tenant=tenant,
            action="audit.erase",
            decision="done",
            principal=caller.principal.id,
            application=caller.key,
            trace=RequestId(trace_id),
        )
    )
    return Response(status_code=204)
