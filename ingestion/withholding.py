"""What happens to a document whose newest content is not shown: it cannot be had, or must wait."""

from dataclasses import dataclass, replace

from connectors.protocols import Seen
from ingestion.ledger import DocumentLedger
from ingestion.loose_ends import LooseEnds
from ingestion.outcomes import Failed, Outcome, Quarantined
from ingestion.validation.inspection import Inspection
from rag.access import NOBODY
from rag.errors import AccessUnknown, PermanentError
from rag.storage.documents.records import DocumentState, SeenAs, StoredDocument
from rag.storage.verdicts.records import Validation
from rag.types import DocumentRef


@dataclass(frozen=True, slots=True)
class Withholding:
    """Errors: those of the ledger and the indexes."""

    documents: DocumentLedger
    ends: LooseEnds

    async def unfetched(self, ref: DocumentRef, seen: Seen, error: PermanentError) -> Outcome:
        """Without the resource nobody says who may read it, unless the listing says that this is
        as it was: what is not known is private."""
        known = await self.documents.begin(ref, access=NOBODY)
        readers_unknown = (
            isinstance(error, AccessUnknown) or seen.access != known.access_fingerprint
        )
        if known.state is DocumentState.ACTIVE and readers_unknown:
            await self.documents.describe(ref.tenant, ref.id, fence=known.fence, access=NOBODY)
            known = replace(known, access=NOBODY)
        return await self.unreadable(known, seen, error)

    async def unreadable(
        self,
        known: StoredDocument,
        seen: Seen,
        error: PermanentError,
        validation: Validation | None = None,
    ) -> Outcome:
        """What was shown before stays shown; why the newest content is not stands beside it."""
        await self.documents.fail(
            known.ref.id,
            fence=known.fence,
            seen=SeenAs(seen.revision, seen.access),
            error=error,
            tenant=known.ref.tenant,
            validation=validation,
        )
        await self.ends.describe_in_index(known, known.access, known.metadata)
        await self.ends.mend_members(known)
        await self.ends.settle(known)
        return Failed(str(error), type(error).__name__)

    async def quarantine(self, known: StoredDocument, inspection: Inspection) -> Outcome:
        """Nobody reads this version before an administrator lets it out. The last good one stays
        shown, unless it may hold what this one is kept back for."""
        validation, seen = inspection.validation, inspection.resource.seen
        hides = inspection.hides_the_last_version
        detail = "; ".join(
            f"{verdict.reason}: {verdict.detail}" for verdict in inspection.objections
        )
        await self.documents.quarantine(
            known,
            seen=SeenAs(seen.revision, seen.access),
            validation=validation,
            detail=detail,
            hides=hides,
        )
        if hides and known.state is DocumentState.ACTIVE:
            await self.ends.take_out_of_index(known)
            await self.ends.mend_members(known)
            await self.ends.forget_original(known)
        else:
            await self.ends.describe_in_index(known, known.access, known.metadata)
        await self.ends.settle(known)
        return Quarantined(validation.reason, detail)
