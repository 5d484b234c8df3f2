"""What a check is, and how one is made on a document: it gives a verdict whatever happens."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ingestion.validation.policy import Policy
from ingestion.validation.reasons import Reason
from rag.storage.verdicts.records import Result, Verdict, no_counts
from rag.types import DocumentId

log = logging.getLogger(__name__)

Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check has to say. `detail` names kinds, numbers and columns, never a value."""

    reason: Reason
    detail: str = ""
    result: Result = Result.WARNED
    counts: Mapping[str, int] = field(default_factory=no_counts)
    other: DocumentId | None = None


def never(_policy: Policy) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Generic[Subject]):
    """A named question to a document. A new `version` says that its answers may differ."""

    name: str
    version: int
    run: Callable[[Subject], Finding | None]
    """None: nothing to say, it passed."""
    protects: Callable[[Policy], bool] = never
    """Whether, under a policy, a document must not pass where this check could not be made."""


def judged(check: Check[Subject], subject: Subject, policy: Policy) -> Verdict:
    """The verdict of `check`. One that fails on a document is a verdict too, and keeps the document
    back where somebody relies on it."""
    name = f"{check.name} {check.version}"
    try:
        found = check.run(subject)
    except Exception as error:  # noqa: BLE001 - whatever a check does wrong is its verdict
        # Only the error's name: its text may hold what the check was looking for.
        log.error("the check %s failed: %s", name, type(error).__name__)  # noqa: TRY400
        protects = check.protects(policy)
        return Verdict(
            check=name,
            result=Result.QUARANTINED if protects else Result.WARNED,
            reason=Reason.PROTECTION_FAILED if protects else Reason.CHECK_FAILED,
            detail=f"{check.name}: {type(error).__name__}",
        )
    return passed(name) if found is None else verdict_of(name, found)


def passed(check: str) -> Verdict:
    return Verdict(check=check)


def verdict_of(check: str, found: Finding) -> Verdict:
    return Verdict(
        check=check,
        result=found.result,
        reason=found.reason.value,
        detail=found.detail,
        counts=found.counts,
        other=found.other,
    )
