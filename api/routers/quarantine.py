"""What validation found: every version's verdicts, and the documents that wait in quarantine."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from pydantic import ConfigDict, Field

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.shapes import JobAccepted, Schema
from ingestion.releasing import release_from_quarantine
from ingestion.validation.reasons import EXPLAINED, Reason
from rag.storage.verdicts.records import (
    Accept,
    Quarantined,
    RecordedValidation,
    Result,
    Standing,
    Verdict,
)
from rag.types import DocumentId, SourceId

router = APIRouter(prefix="/v1/admin", tags=["administration"], responses=PROBLEMS)

DocumentPath = Annotated[str, Path(max_length=64)]


class VerdictOut(Schema):
    check: str = Field(description="Its name and version.")
    result: Result
    reason: str
    detail: str
    counts: dict[str, int]
    other_document: str | None

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        return cls(
            check=verdict.check,
            result=verdict.result,
            reason=verdict.reason,
            detail=verdict.detail,
            counts=dict(verdict.counts),
            other_document=verdict.other,
        )


class ValidationOut(Schema):
    content_hash: str
    media_type: str
    size: int
    revision: str
    standing: Standing
    reason: str
    recorded_at: datetime
    verdicts: list[VerdictOut]

    @classmethod
    def of(cls, recorded: RecordedValidation) -> Self:
        found = recorded.validation
        return cls(
            content_hash=found.content_hash,
            media_type=found.media_type,
            size=found.size,
            revision=found.revision,
            standing=found.standing,
            reason=found.reason,
            recorded_at=recorded.recorded_at,
            verdicts=[VerdictOut.of(verdict) for verdict in found.verdicts],
        )


class ValidationsOut(Schema):
    validations: list[ValidationOut] = Field(description="The newest first.")


class QuarantinedOut(Schema):
    document_id: str
    connector: str
    uri: str
    reason: str
    explanation: str
    detail: str
    last_version_shown: bool
    since: datetime

    @classmethod
    def of(cls, waiting: Quarantined) -> Self:
        return cls(
            document_id=waiting.document,
            connector=waiting.source,
            uri=waiting.uri,
            reason=waiting.reason,
            explanation=EXPLAINED[Reason(waiting.reason)],
            detail=waiting.detail,
            last_version_shown=waiting.is_shown,
            since=waiting.since,
        )


class QuarantineOut(Schema):
    documents: list[QuarantinedOut] = Field(description="In the order of their ids.")


class ReleaseRequest(Schema):
    accept: Accept = Field(
        default=Accept.VERSION,
        description="`version`: these very bytes; `document`: later versions too, for the same "
        "reasons; `nothing`: only check it again, as the settings are now.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"accept": "version"}]})


@router.get("/documents/{document_id}/validations", responses=problems(404))
async def list_validations(
    document_id: DocumentPath,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> ValidationsOut:
    """What was checked of the document's last versions, and what was found. Never its text."""
    found = await platform.verdicts.of_document(caller.principal.tenant, DocumentId(document_id))
    return ValidationsOut(validations=[ValidationOut.of(each) for each in found])


@router.get("/quarantine")
async def list_quarantine(
    *,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    connector: Annotated[str | None, Query(max_length=64)] = None,
    reason: Reason | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str | None, Query(max_length=64)] = None,
) -> QuarantineOut:
    """Documents whose newest version waits for an administrator; `after` is the last id seen."""
    waiting = await platform.verdicts.quarantined(
        caller.principal.tenant,
        source=None if connector is None else SourceId(connector),
        reason=None if reason is None else reason.value,
        limit=limit,
        after=None if after is None else DocumentId(after),
    )
    return QuarantineOut(documents=[QuarantinedOut.of(each) for each in waiting])


@router.post("/quarantine/{document_id}/release", status_code=202, responses=problems(404))
async def release(
    document_id: DocumentPath,
    request: ReleaseRequest,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> JobAccepted:
    """Take the document in all the same. Who may read it stays as its source says."""
    job = await release_from_quarantine(
        caller.principal.tenant,
        DocumentId(document_id),
        accept=request.accept,
        by=caller.principal.id,
        verdicts=platform.verdicts,
        documents=platform.documents,
        sources=platform.sources,
        jobs=platform.jobs,
    )
    return JobAccepted(job_id=job)
