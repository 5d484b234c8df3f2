"""Documents of which the index still holds a grant that has ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from rag.access import TenantId
from rag.storage.database import Database
from rag.storage.documents.records import DocumentState, StoredDocument
from rag.storage.documents.rows import write_document
from rag.storage.moments import now
from rag.storage.tables import DocumentRow
from rag.types import DocumentId


@dataclass(frozen=True, slots=True)
class EndedGrants:
    """Errors: `StorageUnavailable`, and `Overtaken` where an ingest came in between."""

    database: Database
    clock: Callable[[], datetime] = now

    async def documents(
        self, *, after: DocumentId, limit: int
    ) -> list[tuple[TenantId, DocumentId]]:
        """Documents of which the index holds a grant that has ended, by their ids."""
        statement = (
            select(DocumentRow.tenant, DocumentRow.id)
            .where(
                DocumentRow.access_until <= self.clock(),
                DocumentRow.id > after,
                DocumentRow.state == DocumentState.ACTIVE.value,
            )
            .order_by(DocumentRow.id)
            .limit(limit)
        )
        rows = await self.database.rows(statement)
        return [(TenantId(row.tenant), DocumentId(row.id)) for row in rows]

    async def dropped(self, taken: StoredDocument, *, next_expiry: datetime | None) -> None:
        """The index holds no ended grant of the document any more; the next one ends then."""
        values = {"settled": taken.settled, "access_until": next_expiry}

        def work(connection: Connection) -> None:
            write_document(connection, taken.ref.id, taken.fence, values)

        await self.database.write(work)
