"""How much work something would be, told from the ledger alone."""

from collections.abc import Collection

from sqlalchemy import func, select

from rag.access import TenantId
from rag.storage.database import Database
from rag.storage.tables import ChunkRow
from rag.types import DocumentId


async def count_chunks(
    database: Database, tenant: TenantId, documents: Collection[DocumentId]
) -> int:
    """Chunks of any version of `documents`; pass a page of them at a time."""
    statement = select(func.count()).where(
        ChunkRow.tenant == tenant, ChunkRow.document.in_(list(documents))
    )
    async with database.reading() as connection:
        return (await connection.execute(statement)).scalar_one()
