"""Validating, from a file's bytes to a document that may be indexed.

Read this file to know what is checked and in which order. Every check gives a verdict, every
verdict is kept with the version it is about, and whatever is not passed is logged.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.protocols import Resource
from ingestion.protocols import ParsedDocument
from ingestion.validation.checking import Check, Finding, judged, passed, verdict_of
from ingestion.validation.checks import (
    columns,
    encoding,
    files,
    hidden,
    instructions,
    mojibake,
    personal_data,
    quality,
    secrets,
)
from ingestion.validation.findings import with_findings
from ingestion.validation.inspection import FLAGGED, Comparisons, Inspection
from ingestion.validation.policy import Handling, Policy, policy_of
from ingestion.validation.reasons import Reason
from ingestion.validation.similarity import ALIKE, alike, bands_of, signature_of
from ingestion.validation.subjects import (
    FileSubject,
    TextSubject,
    pieces_of,
    prose_of,
    rewritten,
)
from rag.access import TenantId
from rag.guardrails.hits import Find, apart, masked, placeholder
from rag.guardrails.identifiers import identifiers_in
from rag.guardrails.secrets import CUT_KEY, secrets_in
from rag.storage.documents.records import StoredDocument
from rag.storage.sources.ledger import Sources
from rag.storage.verdicts.records import Profile, Result, Verdict
from rag.types import DocumentRef, SourceId

log = logging.getLogger(__name__)

FILE_CHECKS: tuple[Check[FileSubject], ...] = (*files.CHECKS, *encoding.CHECKS)
REPAIRS: tuple[Check[TextSubject], ...] = mojibake.CHECKS
TEXT_CHECKS: tuple[Check[TextSubject], ...] = (
    *quality.CHECKS,
    *hidden.CHECKS,
    *instructions.CHECKS,
    *secrets.CHECKS,
    *personal_data.CHECKS,
    *columns.CHECKS,
)
_AT_ONCE_BYTES = 32_768
READABLE = "readable 1"
"""What the parser says: it read the file, and looked through archives and XML before that."""
NEAR_DUPLICATES = "near_duplicates 1"

SettingsOf = Callable[[TenantId, SourceId], Awaitable[Mapping[str, object]]]
"""The settings of a registered source. Raises `NotFound`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentValidator:
    """A `Validator`. Errors: `StorageUnavailable`; `ConfigurationError` for a policy that makes no
    sense, which registering a source does not let in."""

    defaults: Policy
    settings_of: SettingsOf
    comparisons: Comparisons

    async def policy_of(self, ref: DocumentRef) -> Policy:
        return policy_of(await self.settings_of(ref.tenant, ref.source), self.defaults)

    async def check_file(
        self, resource: Resource, *, known: StoredDocument, policy: Policy
    ) -> Inspection:
        if resource.body.size <= _AT_ONCE_BYTES:  # a thread would take longer than the checks
            inspection = _inspected_file(resource, policy, known)
        else:
            inspection = await asyncio.to_thread(_inspected_file, resource, policy, known)
        _tell(known.ref, inspection.verdicts)
        return inspection

    async def check_text(
        self, parsed: ParsedDocument, *, known: StoredDocument, inspection: Inspection
    ) -> tuple[ParsedDocument, Inspection]:
        now = columns.columns_of(parsed)
        before = await self.comparisons.columns_of(known.ref.id) if now else now
        subject = _subject(parsed, inspection.policy, now, before)
        parsed, inspected = await asyncio.to_thread(_inspected_text, subject, inspection)
        if inspected.policy.near_duplicates:
            verdict = await self._compared(known.ref, inspected.profile)
            inspected = inspected.with_verdicts(verdict)
        _tell(known.ref, inspected.verdicts[len(inspection.verdicts) :])
        return _described(parsed, inspected), inspected

    async def _compared(self, ref: DocumentRef, profile: Profile) -> Verdict:
        """It names the other document, and so stays out of everything that readers see."""
        if not profile.bands:
            return passed(NEAR_DUPLICATES)
        others = await self.comparisons.resembling(ref.tenant, ref.id, profile)
        shares = {other: alike(profile.signature, others[other]) for other in sorted(others)}
        closest = max(shares, key=lambda other: shares[other], default=None)
        if closest is None or shares[closest] < ALIKE:
            return passed(NEAR_DUPLICATES)
        found = Finding(
            reason=Reason.NEAR_DUPLICATE,
            detail=f"about {shares[closest]:.0%} of its text",
            other=closest,
        )
        return verdict_of(NEAR_DUPLICATES, found)


def validator_over(
    sources: Sources, comparisons: Comparisons, defaults: Policy | None = None
) -> DocumentValidator:
    """A validator that asks the ledger for what each source wants."""

    async def settings_of(tenant: TenantId, source: SourceId) -> Mapping[str, object]:
        return await sources.settings_of(tenant, source)

    return DocumentValidator(
        defaults=defaults or Policy(), settings_of=settings_of, comparisons=comparisons
    )


def _inspected_file(resource: Resource, policy: Policy, known: StoredDocument) -> Inspection:
    subject = FileSubject(resource=resource, policy=policy)
    inspection = Inspection(
        resource=resource,
        policy=policy,
        content_hash=resource.body.sha256,
        release=known.release,
    )
    return inspection.with_verdicts(*(judged(check, subject, policy) for check in FILE_CHECKS))


def _inspected_text(
    subject: TextSubject, inspection: Inspection
) -> tuple[ParsedDocument, Inspection]:
    policy = inspection.policy
    inspection = inspection.with_verdicts(passed(READABLE))
    for check in REPAIRS:
        verdict = judged(check, subject, policy)
        inspection = inspection.with_verdicts(verdict)
        if verdict.reason == Reason.MOJIBAKE_REPAIRED:
            right = rewritten(subject.parsed, mojibake.repaired)
            subject = _subject(right, policy, subject.columns, subject.columns_before)
    verdicts = [judged(check, subject, policy) for check in TEXT_CHECKS]
    inspection = inspection.with_verdicts(*verdicts)
    parsed = subject.parsed
    if any(verdict.reason == Reason.MASKED for verdict in verdicts):
        finds = _masks(policy)
        verdict = judged(_masking(finds), subject, policy)
        inspection = inspection.with_verdicts(verdict)
        if verdict.result is Result.PASSED:
            parsed = _mask(parsed, finds)
            subject = _subject(parsed, policy, subject.columns, subject.columns_before)
    return parsed, replace(inspection, profile=_profile_of(subject))


def _subject(
    parsed: ParsedDocument, policy: Policy, now: Mapping[str, str], before: Mapping[str, str]
) -> TextSubject:
    return TextSubject(
        parsed=parsed,
        pieces=pieces_of(parsed),
        prose=prose_of(parsed),
        policy=policy,
        columns=now,
        columns_before=before,
    )


def _profile_of(subject: TextSubject) -> Profile:
    signature = signature_of(subject.pieces) if subject.policy.near_duplicates else ()
    return Profile(signature=signature, bands=bands_of(signature), columns=subject.columns)


# --- masking -----------------------------------------------------------------------------------


def _masks(policy: Policy) -> tuple[Find, ...]:
    wanted: tuple[tuple[Handling, Find], ...] = (
        (policy.secrets, secrets_in),
        (policy.personal_data, identifiers_in),
    )
    return tuple(find for handling, find in wanted if handling is Handling.MASK)


def _mask(parsed: ParsedDocument, finds: Sequence[Find]) -> ParsedDocument:
    for find in finds:
        parsed = rewritten(parsed, lambda text, find=find: masked(text, find))
    return parsed


def _masking(finds: Sequence[Find]) -> Check[TextSubject]:
    """Whether nothing is left after masking. A secret that is spread over the cells of a table, or
    over two paragraphs, is found in the whole text but in no part of it, or in parts alone."""

    def run(subject: TextSubject) -> Finding | None:
        pieces = pieces_of(_mask(subject.parsed, finds))
        left = sum(len(apart(find(piece))) for find in finds for piece in pieces)
        left += sum(piece.count(placeholder(CUT_KEY)) for piece in pieces)
        if not left:
            return None
        return Finding(
            reason=Reason.MASK_INCOMPLETE,
            detail=f"{left} places could not be masked",
            result=Result.QUARANTINED,
        )

    return Check(name="masking", version=1, run=run, protects=lambda _policy: True)


# --- telling -----------------------------------------------------------------------------------


def _described(parsed: ParsedDocument, inspection: Inspection) -> ParsedDocument:
    """With what was found in the metadata, and in the warnings what may be told to readers."""
    told = [verdict for verdict in inspection.verdicts if verdict.result is Result.WARNED]
    counts = {name: count for each in inspection.verdicts for name, count in each.counts.items()}
    flags = {verdict.reason for verdict in told if verdict.reason in FLAGGED}
    warnings = [f"{verdict.reason}: {verdict.detail}" for verdict in told if verdict.other is None]
    return replace(
        parsed,
        metadata=with_findings(parsed.metadata, flags=flags, counts=counts),
        warnings=(*parsed.warnings, *warnings),
    )


def _tell(ref: DocumentRef, verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.result is not Result.PASSED:
            log.info(
                "document %s: %s %s: %s %s",
                ref.id, verdict.check, verdict.result, verdict.reason, verdict.detail,
            )  # fmt: skip
