"""How an ingest of a document ends: it is settled, failed, kept back or gone."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, update

from rag.access import TenantId
from rag.storage.documents.containment import take_members_away
from rag.storage.documents.contents import are_all_live, forget_contents
from rag.storage.documents.reads import DocumentReads
from rag.storage.documents.records import DocumentState, SeenAs, StoredDocument
from rag.storage.documents.rows import (
    TAKEN,
    VALUES_OF_DELETED,
    VALUES_OF_HIDDEN,
    document_of,
    write_document,
)
from rag.storage.generations.records import GenerationId
from rag.storage.tables import DocumentRow
from rag.storage.verdicts.records import Validation
from rag.storage.verdicts.rows import forget_profile, forget_verdicts, write_validation
from rag.types import DocumentId

QUARANTINED = "Quarantined"
"""The error class of a document that waits for an administrator."""


@dataclass(frozen=True, slots=True)
class DocumentEndings(DocumentReads):
    """Errors: `StorageUnavailable`, and `Overtaken` where a fence is named."""

    kept_validations: int = 10
    """Of how many versions of a document the checks' verdicts are kept."""

    async def settle(
        self, document: DocumentId, *, fence: int, settled_in: Collection[GenerationId]
    ) -> None:
        """The indexes of these generations now hold what the ledger holds, and no more.

        Where another is written too, of which its writer did not know or which it could not open,
        the document stays unsettled: the source's next sync has it mended.
        """

        def work(connection: Connection) -> None:
            settled = are_all_live(connection, settled_in)
            write_document(connection, document, fence, {"settled": settled})

        await self.database.write(work)

    async def fail(
        self,
        document: DocumentId,
        *,
        fence: int,
        seen: SeenAs,
        error: BaseException,
        tenant: TenantId | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Record why the content cannot be taken in. A version that was good stays shown.

        `validation`, with its `tenant`, is what was found until then.
        """
        values: dict[str, Any] = {
            "revision": seen.revision,
            "access_fingerprint": seen.access,
            "error_class": type(error).__name__,
            "error": str(error) or type(error).__name__,
            "quarantine": None,
            "updated_at": self.clock(),
        }

        def work(connection: Connection) -> None:
            write_document(connection, document, fence, values)
            connection.execute(
                update(DocumentRow)
                .where(DocumentRow.id == document, DocumentRow.version.is_(None))
                .values(state=DocumentState.FAILED.value)
            )
            if tenant is not None and validation is not None:
                self._write_validation(connection, tenant, document, validation, fence)

        await self.database.write(work)

    async def quarantine(
        self,
        known: StoredDocument,
        *,
        seen: SeenAs,
        validation: Validation,
        detail: str,
        hides: bool,
    ) -> None:
        """Keep a version back until an administrator looks at it, in one transaction.

        The last good version stays shown, unless `hides`: then nobody reads anything of the
        document from now on, and its chunks are gone from the ledger.
        """
        document, moment = known.ref.id, self.clock()
        values: dict[str, Any] = {
            "revision": seen.revision,
            "access_fingerprint": seen.access,
            "error_class": QUARANTINED,
            "error": detail,
            "quarantine": validation.reason,
            "updated_at": moment,
        }
        hidden = hides or known.version is None
        if hidden:
            values |= VALUES_OF_HIDDEN

        def work(connection: Connection) -> None:
            write_document(connection, document, known.fence, values)
            if hidden:
                forget_contents(connection, document)
                take_members_away(connection, document, moment)
                forget_profile(connection, document)
            self._write_validation(connection, known.ref.tenant, document, validation, known.fence)

        await self.database.write(work)

    async def tombstone(
        self, tenant: TenantId, document: DocumentId, *, revision: str | None = None
    ) -> StoredDocument | None:
        """Show the document to nobody from now on; as it was before, or None if it never was, or
        was taken in anew since it had `revision`."""
        if await self.find(tenant, document) is None:
            return None
        values = VALUES_OF_DELETED | {"updated_at": self.clock()}

        def work(connection: Connection) -> StoredDocument | None:
            row = connection.execute(TAKEN, {"this": document}).one()
            is_deleted = row.state == DocumentState.DELETED.value
            if revision not in {None, row.revision} and not is_deleted:
                return None
            taken = {"fence": row.fence + 1}
            write_document(connection, document, row.fence, values | taken)
            forget_contents(connection, document)
            take_members_away(connection, document, values["updated_at"])
            forget_verdicts(connection, document)
            return replace(document_of(row), fence=row.fence + 1)

        return await self.database.write(work)

    def _write_validation(
        self,
        connection: Connection,
        tenant: TenantId,
        document: DocumentId,
        validation: Validation,
        fence: int,
    ) -> None:
        write_validation(
            connection,
            tenant,
            document,
            validation,
            fence=fence,
            moment=self.clock(),
            kept=self.kept_validations,
        )
