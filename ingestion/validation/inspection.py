"""One version of a document on its way through the checks, and who makes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from connectors.protocols import Resource
from ingestion.protocols import ParsedDocument
from ingestion.validation.policy import Policy
from ingestion.validation.reasons import HIDING, Reason, reason_of
from rag.access import TenantId
from rag.errors import PermanentError
from rag.storage.documents.records import StoredDocument
from rag.storage.verdicts.records import (
    Profile,
    Release,
    Result,
    Standing,
    Validation,
    Verdict,
)
from rag.types import DocumentId, DocumentRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is known of a version so far."""

    resource: Resource
    policy: Policy
    content_hash: str
    release: Release | None = None
    """What an administrator has accepted of this document."""
    verdicts: tuple[Verdict, ...] = ()
    profile: Profile = field(default_factory=Profile)

    def with_verdicts(self, *verdicts: Verdict) -> "Inspection":
        """An objection that an administrator has overruled is a warning from here on."""
        return replace(self, verdicts=(*self.verdicts, *map(self._overruled, verdicts)))

    def _overruled(self, verdict: Verdict) -> Verdict:
        covers = self.release is not None and self.release.covers(verdict.reason, self.content_hash)
        if verdict.result is not Result.QUARANTINED or not covers:
            return verdict
        told = f"{verdict.detail} (accepted by an administrator)".strip()
        return replace(verdict, result=Result.WARNED, detail=told)

    @property
    def objections(self) -> tuple[Verdict, ...]:
        """The verdicts that keep the version in quarantine."""
        return tuple(each for each in self.verdicts if each.result is Result.QUARANTINED)

    @property
    def hides_the_last_version(self) -> bool:
        return any(verdict.reason in HIDING for verdict in self.objections)

    @property
    def validation(self) -> Validation:
        if self.objections:
            # What hides more says more of what is wrong.
            first = min(self.objections, key=lambda verdict: verdict.reason not in HIDING)
            return self._validation(Standing.QUARANTINED, first.reason)
        is_warned = any(verdict.result is Result.WARNED for verdict in self.verdicts)
        return self._validation(Standing.WARNED if is_warned else Standing.ACCEPTED)

    def failed(self, error: PermanentError) -> Validation:
        """The validation of a version that could not be read."""
        verdict = Verdict(
            check="readable 1",
            result=Result.WARNED,
            reason=reason_of(error).value,
            detail=str(error),
        )
        return self._validation(Standing.FAILED, verdict.reason, verdict)

    def _validation(self, standing: Standing, reason: str = "", *more: Verdict) -> Validation:
        return Validation(
            content_hash=self.content_hash,
            media_type=self.resource.media_type,
            size=self.resource.body.size,
            revision=self.resource.seen.revision,
            standing=standing,
            reason=reason,
            verdicts=(*self.verdicts, *more),
        )


class Validator(Protocol):
    """What the ingest flow asks before anything of a document is kept. It never raises for what is
    wrong with a document, only `TransientError` where the ledger does not answer."""

    async def policy_of(self, ref: DocumentRef) -> Policy:
        """What the document's source wants, over the platform's defaults."""
        ...

    async def check_file(
        self, resource: Resource, *, known: StoredDocument, policy: Policy
    ) -> Inspection: ...

    async def check_text(
        self, parsed: ParsedDocument, *, known: StoredDocument, inspection: Inspection
    ) -> tuple[ParsedDocument, Inspection]:
        """The document as it may be indexed (put right, masked, its findings in the metadata), and
        what is known of it now."""
        ...


class Comparisons(Protocol):
    """What the ledger knows of other documents, and of earlier versions."""

    async def columns_of(self, document: DocumentId) -> Mapping[str, str]:
        """Those of the last accepted version."""
        ...

    async def resembling(
        self, tenant: TenantId, document: DocumentId, profile: Profile
    ) -> Mapping[DocumentId, tuple[int, ...]]:
        """Signatures of shown documents of the tenant that share a band with `profile`: some of
        them, where there are very many."""
        ...


FLAGGED = frozenset(
    {
        Reason.HIDDEN_TEXT,
        Reason.INSTRUCTIONS,
        Reason.MASKED,
        Reason.GARBLED,
        Reason.MIXED_SCRIPTS,
    }
)
"""Reasons that stand in the metadata field `flags`. None of them tells of another document."""
