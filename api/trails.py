"""The trail of a request: who pays for it, and who is told what when it is over."""

import uuid
from dataclasses import dataclass

from api.accounts import account_of
from api.auth import Caller
from api.metrics import Metrics
from api.platform import Platform
from rag.access import Principal, PrincipalId
from rag.asking import Ask
from rag.audit import event_of
from rag.gateway.calls import Lane
from rag.gateway.usage import used_of_request
from rag.trail import Account, RequestId, Trail, UseCase
from rag.types import Answer, Quality, Refusal, RefusalReason


async def trail_of(
    platform: Platform, caller: Caller, use_case: UseCase, *, endpoint: str, trace_id: str
) -> Trail:
    """Errors: `StorageUnavailable`."""
    account = await account_of(
        caller,
        known=platform.money.known,
        teams=[PrincipalId(team) for team in platform.settings.budgets.teams],
    )
    return Trail(
        request=RequestId(trace_id),
        account=account,
        use_case=use_case,
        endpoint=endpoint,
        on_behalf_of=caller.via == "on_behalf_of",
    )


def decision_of(outcome: Answer | Refusal) -> str:
    match outcome:
        case Answer():
            return "answered"
        case Refusal(RefusalReason.BLOCKED):
            return "blocked"
        case Refusal():
            return f"refused:{outcome.reason.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """A request that came to its end, whichever that was."""

    trail: Trail
    question: str
    decision: str
    """`broken_off` where the asker went away or an error came."""
    answer: str = ""
    outcome: Answer | Refusal | None = None
    quality: Quality = "balanced"


async def tell(platform: Platform, metrics: Metrics, over: Over) -> None:
    """The usage ledger, the log of routes and the metrics soon; the audit before this returns,
    also where whoever asked goes away meanwhile. Errors: `StorageUnavailable`."""
    trail = over.trail
    platform.route_recorder.record(trail, over.outcome, quality=over.quality)
    answered = over.decision in {"answered", "done"}
    platform.money.batched.note(used_of_request(trail, answered=answered))
    metrics.trail(trail)
    platform.spans.told(trail, decision=over.decision)
    event = event_of(
        trail,
        action=trail.use_case.value,
        decision=over.decision,
        question=over.question,
        answer=over.answer,
    )
    await platform.audit.record(event)


def evaluated(question: str, principal: Principal) -> Ask:
    """`question` as an evaluation asks it: behind everybody who waits for an answer."""
    trail = Trail(
        request=RequestId(uuid.uuid4().hex),
        account=Account(tenant=principal.tenant, user=principal.id),
        use_case=UseCase.EVALUATE,
        endpoint="evaluation",
    )
    return Ask(question=question, principal=principal, trail=trail, lane=Lane.BATCH)
