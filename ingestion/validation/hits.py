"""Places in a text where something stands that is counted, and may be masked."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingestion.validation.checking import Finding
from ingestion.validation.policy import Handling
from ingestion.validation.reasons import Reason
from rag.storage.verdicts.records import Result


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    start: int
    end: int
    kind: str


Find = Callable[[str], Iterable[Hit]]


def apart(hits: Iterable[Hit]) -> list[Hit]:
    """In order, without those that overlap an earlier or longer one."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
    return kept


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


def masked(text: str, find: Find) -> str:
    """`text` with a placeholder such as `[iban]` at every place that `find` names."""
    return "".join(_masked(text, apart(find(text))))


def placeholder(kind: str) -> str:
    return f"[{kind}]"


def _masked(text: str, hits: Sequence[Hit]) -> Iterator[str]:
    at = 0
    for hit in hits:
        yield text[at : hit.start]
        yield placeholder(hit.kind)
        at = hit.end
    yield text[at:]
