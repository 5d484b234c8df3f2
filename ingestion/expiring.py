"""Grants that end: nobody waits for this. Readers are shut out by the clock; here the index follows."""

from collections.abc import Sequence

from ingestion.generations import LiveGeneration
from rag.access import TenantId
from rag.storage.documents.ended_grants import EndedGrants
from rag.storage.documents.ledger import Documents, Overtaken
from rag.types import DocumentId

_AT_ONCE = 500
_TRIES = 5


async def drop_ended_grants(
    grants: EndedGrants, documents: Documents, generations: Sequence[LiveGeneration]
) -> int:
    """Make no index hold a grant that has ended; of how many documents it held one.

    It may be interrupted anywhere: what is not done yet is found again. Errors:
    `StorageUnavailable` and `IndexUnavailable`.
    """
    dropped, after = 0, DocumentId("")
    while found := await grants.documents(after=after, limit=_AT_ONCE):
        for tenant, document in found:
            dropped += await _drop(tenant, document, grants, documents, generations)
        after = found[-1][1]
    return dropped


async def _drop(
    tenant: TenantId,
    document: DocumentId,
    grants: EndedGrants,
    documents: Documents,
    generations: Sequence[LiveGeneration],
) -> bool:
    """Whether it was done. The last to write the index must be the one whose word the ledger took:
    whoever is overtaken by an ingest begins again, or leaves it to the next round."""
    for _ in range(_TRIES):
        taken = await documents.take(tenant, document)
        if taken is None:
            return False
        lasting = taken.access.at(grants.clock())
        for generation in generations:
            await generation.index.describe(
                tenant, document, access=lasting, metadata=taken.metadata
            )
        try:
            await grants.dropped(taken, next_expiry=lasting.next_expiry)
        except Overtaken:
            continue
        return True
    return False
