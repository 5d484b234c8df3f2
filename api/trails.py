"""The trail of a request: who pays for it, and what its end tells the audit."""

from api.auth import Caller
from rag.audit import AuditLog, event_of
from rag.trail import Account, RequestId, Sent, Trail, UseCase
from rag.types import Answer, Refusal, RefusalReason, RetrievedChunk


def trail_of(caller: Caller, use_case: UseCase, *, endpoint: str, trace_id: str) -> Trail:
    return Trail(
        request=RequestId(trace_id),
        account=Account(
            tenant=caller.principal.tenant, user=caller.principal.id, application=caller.key
        ),
        use_case=use_case,
        endpoint=endpoint,
        on_behalf_of=caller.via == "on_behalf_of",
    )


def sent_of(hit: RetrievedChunk) -> Sent:
    return Sent(hit.chunk.document.id, hit.chunk.version, hit.chunk.id)


def decision_of(outcome: Answer | Refusal) -> str:
    match outcome:
        case Answer():
            return "answered"
        case Refusal(RefusalReason.BLOCKED):
            return "blocked"
        case Refusal():
            return f"refused:{outcome.reason.value}"


async def record_outcome(
    audit: AuditLog, trail: Trail, question: str, outcome: Answer | Refusal | None
) -> None:
    """`outcome` is None where the asker went away, or an error came, before there was any.

    Errors: `StorageUnavailable`.
    """
    await audit.record(
        event_of(
            trail,
            action=trail.use_case.value,
            decision="broken_off" if outcome is None else decision_of(outcome),
            question=question,
            answer=outcome.text if isinstance(outcome, Answer) else "",
        )
    )
