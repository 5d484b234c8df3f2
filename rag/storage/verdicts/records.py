"""What validating a document found, as the ledger keeps it. No database is needed to speak of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from rag.access import PrincipalId
from rag.types import DocumentId, SourceId


class Result(StrEnum):
    """What one check says of a document."""

    PASSED = "passed"
    WARNED = "warned"
    QUARANTINED = "quarantined"


class Standing(StrEnum):
    """What all checks together say of one version of a document."""

    ACCEPTED = "accepted"
    WARNED = "accepted_with_warnings"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    """It could not be read at all, so that there was no more to check."""


def no_counts() -> Mapping[str, int]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one check said. Nothing of the document's text is in it: administrators read it, and
    they need not be among the document's readers."""

    check: str
    """The check's name and version, such as `secrets 1`."""
    result: Result = Result.PASSED
    reason: str = ""
    """A code of `docs/validation.md`; empty where the check passed and has nothing to say."""
    detail: str = ""
    counts: Mapping[str, int] = field(default_factory=no_counts)
    """How often each kind of thing was found."""
    other: DocumentId | None = None
    """The document that this one is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All verdicts on one version of a document, and what came of them."""

    content_hash: str
    """SHA-256 of the bytes that were checked."""
    media_type: str
    size: int
    revision: str
    standing: Standing
    reason: str
    """Why it is in quarantine, or failed; else empty."""
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class RecordedValidation:
    validation: Validation
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What later documents, and later versions of this one, are compared with."""

    signature: tuple[int, ...] = ()
    """MinHash of the text: equal numbers at the same places estimate how much is alike. Empty
    where the text is too short to compare."""
    bands: tuple[int, ...] = ()
    """Hashes of stretches of the signature. Documents that are alike share one of them."""
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Of tabular documents: each column and the type of what stands in it."""


class Accept(StrEnum):
    """What an administrator lets out of quarantine."""

    NOTHING = "nothing"
    """It is only checked again, as the settings are now."""
    VERSION = "version"
    """These very bytes."""
    DOCUMENT = "document"
    """This document, whatever its later versions hold, as far as the reason is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An administrator's word that a document is to be taken in all the same."""

    accept: Accept
    content_hash: str
    reasons: frozenset[str]
    by: PrincipalId
    at: datetime

    def covers(self, reason: str, content_hash: str) -> bool:
        if reason not in self.reasons:
            return False
        return self.accept is Accept.DOCUMENT or (
            self.accept is Accept.VERSION and self.content_hash == content_hash
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A document whose newest version waits for an administrator."""

    document: DocumentId
    source: SourceId
    uri: str
    reason: str
    detail: str
    is_shown: bool
    """Whether its last good version is still shown to those who may read it."""
    since: datetime


# --- as JSON -----------------------------------------------------------------------------------


def json_of_verdicts(verdicts: Sequence[Verdict]) -> list[Any]:
    """Short, for most say nothing: a name for a check that passed, else all there is."""
    return [_json_of_verdict(verdict) for verdict in verdicts]


def _json_of_verdict(verdict: Verdict) -> Any:
    if verdict == Verdict(check=verdict.check):
        return verdict.check
    return {
        "check": verdict.check,
        "result": verdict.result.value,
        "reason": verdict.reason,
        "detail": verdict.detail,
        "counts": dict(verdict.counts),
        "other": verdict.other,
    }


def verdicts_of_json(value: Sequence[Any]) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(check=each) if isinstance(each, str) else _verdict_of(each) for each in value
    )


def _verdict_of(value: Mapping[str, Any]) -> Verdict:
    return Verdict(
        check=value["check"],
        result=Result(value["result"]),
        reason=value["reason"],
        detail=value["detail"],
        counts=value["counts"],
        other=None if value["other"] is None else DocumentId(value["other"]),
    )


def json_of_release(release: Release) -> dict[str, Any]:
    return {
        "accept": release.accept.value,
        "content_hash": release.content_hash,
        "reasons": sorted(release.reasons),
        "by": release.by,
        "at": release.at.isoformat(),
    }


def release_of_json(value: Mapping[str, Any] | None) -> Release | None:
    if value is None:
        return None
    return Release(
        accept=Accept(value["accept"]),
        content_hash=value["content_hash"],
        reasons=frozenset(value["reasons"]),
        by=PrincipalId(value["by"]),
        at=datetime.fromisoformat(value["at"]),
    )
