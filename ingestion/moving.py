"""A resource that moved: taken in at its new place before it goes from the old one."""

from collections.abc import Mapping
from typing import Any

from connectors.protocols import AccessChanged, Connector, Deleted, Seen, Upserted
from ingestion.describing import ref_of
from ingestion.kept import EmptySource
from ingestion.outcomes import Outcome
from ingestion.pipeline import IngestPipeline
from rag.access import TenantId
from rag.narrowing import narrowed
from rag.storage.documents.records import DocumentState
from rag.storage.records import access_of_json

UNSEEN = "narrowed while it moved"
"""An access fingerprint that no source gives: should the old place be listed again after all, its
access counts as changed."""


async def ingest_moved(
    change: Upserted,
    connector: Connector,
    pipeline: IngestPipeline,
    *,
    tenant: TenantId,
    moved_from: Mapping[str, Any],
) -> Outcome:
    """Take in `change`, then delete what it was before: readers find one of them at any moment.

    Meanwhile the old place admits only whom both places admit. Where the resource is back at the old
    place since the move was found, or something else has taken it, that is left alone. Errors:
    those of `ingest`.
    """
    nowhere = EmptySource(connector.source)
    old = ref_of(tenant, connector.source, moved_from["uri"])
    before = await pipeline.documents.find(tenant, old.id)
    if (
        before is not None
        and before.is_missing
        and before.state is not DocumentState.DELETED
        and before.revision == moved_from["revision"]
        and "access" in moved_from
    ):
        access = narrowed(before.access, access_of_json(moved_from["access"]))
        if access != before.access:
            seen = Seen(before.revision, UNSEEN, None)
            shut = AccessChanged(old.uri, seen, access, before.source_metadata)
            await pipeline.ingest(shut, nowhere, tenant=tenant)
    outcome = await pipeline.ingest(change, connector, tenant=tenant)
    after = await pipeline.documents.find(tenant, old.id)
    if after is not None and after.is_missing:
        gone = Deleted(old.uri, revision=moved_from["revision"])
        await pipeline.ingest(gone, nowhere, tenant=tenant)
    return outcome
