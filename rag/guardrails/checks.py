"""What a guardrail is: it scans a text and reports; a policy decides what follows."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rag.access import TenantId
from rag.trail import Direction, Trail, UseCase
from rag.types import Evidence, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """A text to be checked, and what a check may compare it with."""

    text: str
    direction: Direction
    tenant: TenantId
    use_case: UseCase
    question: str = ""
    """What the asker wrote; of an output check, to know what the asker supplied."""
    evidence: Sequence[Evidence] = ()
    system: str = ""
    """The system prompt as it was sent, canary and all, for checks of what leaks."""
    repeated: bool = False
    """Whether all of it was said, and looked at, in earlier requests."""
    trail: Trail | None = field(default=None, compare=False, repr=False)
    """Of the request that the text belongs to, which pays for what a check spends; the guardrails
    put it here. No check goes by it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. It names the kind and the place, and never repeats the text."""

    kind: str
    score: float
    span: Span | None = None
    """In the text scanned."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found: 0 nothing, 1 certain."""

    score: float
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class NotRun:
    """The check could not look, or there was nothing to look at. This is never a pass."""

    reason: str


Said = Report | NotRun


class Check(Protocol):
    @property
    def name(self) -> str:
        """What policies call it: `injection`, `pii`, `secrets`, …"""
        ...

    def scan(self, scanned: Scanned) -> Said | Coroutine[Any, Any, Said]:
        """What it found, at once where that takes less than 2 ms of the event loop. What takes
        longer, or asks somebody, is a coroutine: of an `async def`, or of a thread."""
        ...


async def asked(check: Check, scanned: Scanned) -> Said:
    """What `check` says, however it comes by it."""
    said = check.scan(scanned)
    return said if isinstance(said, Report | NotRun) else await said
