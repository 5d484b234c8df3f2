"""A file through parser and validator, with a ledger that remembers what it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connectors.protocols import Resource, Seen
from ingestion.parsers.formats import extract
from ingestion.parsers.model import Limits, RawFile
from ingestion.protocols import ParsedDocument
from ingestion.validation.flow import DocumentValidator
from ingestion.validation.policy import KEY, Policy
from rag.access import NOBODY, TenantId
from rag.bodies import Body
from rag.errors import PermanentError
from rag.storage.documents.records import DocumentState, StoredDocument
from rag.storage.records import document_id_of
from rag.storage.verdicts.records import Profile, Release, Result, Validation
from rag.types import DocumentId, DocumentRef, SourceId

TENANT, SOURCE = TenantId("acme"), SourceId("files")


@dataclass(frozen=True, slots=True)
class Remembered:
    """`Comparisons` in a dictionary."""

    profiles: dict[DocumentId, Profile] = field(default_factory=dict[DocumentId, Profile])

    async def columns_of(self, document: DocumentId) -> Mapping[str, str]:
        return self.profiles[document].columns if document in self.profiles else {}

    async def resembling(
        self, tenant: TenantId, document: DocumentId, profile: Profile
    ) -> Mapping[DocumentId, tuple[int, ...]]:
        del tenant
        return {
            other: held.signature
            for other, held in self.profiles.items()
            if other != document and set(held.bands) & set(profile.bands)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a file."""

    validation: Validation
    parsed: ParsedDocument | None
    hides: bool = False

    @property
    def reasons(self) -> set[str]:
        """Those of everything that is no plain pass."""
        return {
            verdict.reason
            for verdict in self.validation.verdicts
            if verdict.result is not Result.PASSED
        }

    @property
    def counts(self) -> dict[str, int]:
        return {
            name: count
            for verdict in self.validation.verdicts
            for name, count in verdict.counts.items()
        }

    @property
    def text(self) -> str:
        return "" if self.parsed is None else "\n".join(each.text for each in self.parsed.sections)


async def checked(
    body: bytes | str,
    *,
    name: str = "document.txt",
    media_type: str = "",
    settings: Mapping[str, object] | None = None,
    ledger: Remembered | None = None,
    release: Release | None = None,
) -> Outcome:
    """`body` as a new version of the document `name`; one that is accepted is remembered."""
    content = body.encode() if isinstance(body, str) else body
    uri = f"file:///{name}"
    ref = DocumentRef(document_id_of(TENANT, SOURCE, uri), TENANT, SOURCE, uri, name)
    resource = Resource(
        uri=uri,
        title=name,
        body=Body.of(content),
        media_type=media_type,
        access=NOBODY,
        seen=Seen("r1", "a1"),
    )

    async def settings_of(_tenant: TenantId, _source: SourceId) -> Mapping[str, object]:
        return {KEY: settings or {}}

    ledger = ledger or Remembered()
    validator = DocumentValidator(defaults=Policy(), settings_of=settings_of, comparisons=ledger)
    known = _known(ref, release)
    inspection = await validator.check_file(
        resource, known=known, policy=await validator.policy_of(ref)
    )
    if inspection.objections:
        return Outcome(validation=inspection.validation, parsed=None)
    try:
        found = extract(RawFile(name=name, media_type=media_type, body=content), Limits())
    except PermanentError as error:
        return Outcome(validation=inspection.failed(error), parsed=None)
    parsed, inspection = await validator.check_text(
        ParsedDocument(
            title=found.title or name,
            sections=found.sections,
            parser="test",
            metadata=found.metadata,
            warnings=found.warnings,
        ),
        known=known,
        inspection=inspection,
    )
    if not inspection.objections:
        ledger.profiles[ref.id] = inspection.profile
    return Outcome(
        validation=inspection.validation,
        parsed=parsed,
        hides=inspection.hides_the_last_version,
    )


def _known(ref: DocumentRef, release: Release | None) -> StoredDocument:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    return StoredDocument(
        ref=ref,
        source_title=ref.title,
        state=DocumentState.NEW,
        fence=1,
        settled=True,
        version=None,
        revision="",
        access_fingerprint="",
        access=NOBODY,
        acl_as_of=moment,
        metadata={},
        source_metadata={},
        parsed_metadata={},
        content_hash=None,
        original=None,
        media_type=None,
        size=None,
        supersedes=None,
        warnings=(),
        error_class=None,
        error=None,
        release=release,
        indexed_at=None,
        updated_at=moment,
    )
