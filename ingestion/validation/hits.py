"""What was found in a document's text, counted, and what is said of it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ingestion.validation.checking import Finding
from ingestion.validation.policy import Handling
from ingestion.validation.reasons import Reason
from rag.guardrails.hits import Find, apart
from rag.storage.verdicts.records import Result


def counted(pieces: Sequence[str], find: Find, *, prefix: str) -> Mapping[str, int]:
    """How often each kind occurs, `prefix` before its name."""
    counts: Counter[str] = Counter()
    for piece in pieces:
        counts.update(f"{prefix}{hit.kind}" for hit in apart(find(piece)))
    return dict(sorted(counts.items()))


def told(
    counts: Mapping[str, int], *, reason: Reason, handling: Handling, allowed: Result
) -> Finding | None:
    """What is said where something was counted; `allowed` is the result where it may be there."""
    if not counts:
        return None
    detail = ", ".join(f"{kind}: {count}" for kind, count in counts.items())
    match handling:
        case Handling.ALLOW:
            return Finding(reason=reason, detail=detail, result=allowed, counts=counts)
        case Handling.MASK:
            return Finding(reason=Reason.MASKED, detail=detail, counts=counts)
        case Handling.QUARANTINE:
            return Finding(reason=reason, detail=detail, result=Result.QUARANTINED, counts=counts)
