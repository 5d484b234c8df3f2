"""Out of quarantine: an administrator's word, and the job that acts on it."""

from ingestion.changes import job_of_released
from rag.access import PrincipalId, TenantId
from rag.errors import InvalidRequest, NotFound
from rag.storage.documents.ledger import Documents
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.records import JobId
from rag.storage.sources.ledger import Sources
from rag.storage.sources.records import PUSH
from rag.storage.verdicts.ledger import Verdicts
from rag.storage.verdicts.records import Accept
from rag.types import DocumentId


async def release_from_quarantine(
    tenant: TenantId,
    document: DocumentId,
    *,
    accept: Accept,
    by: PrincipalId,
    verdicts: Verdicts,
    documents: Documents,
    sources: Sources,
    jobs: Jobs,
) -> JobId:
    """Note what is accepted, and queue the document's ingest again; the job's id.

    Raises `NotFound` where it is not in quarantine, and `InvalidRequest` where an app pushed it
    and its bytes are not kept any more.
    """
    await verdicts.release(tenant, document, accept=accept, by=by)
    last = await verdicts.last_ingest(tenant, document)
    if last is not None:
        return await jobs.retry(tenant, last)
    known = await documents.find(tenant, document)
    if known is None:
        raise NotFound("there is no such document in quarantine")
    if known.parent is not None or (await sources.get(tenant, known.ref.source)).kind == PUSH:
        raise InvalidRequest("its bytes are not kept any more: send it again")
    [job] = await jobs.enqueue([job_of_released(known)])
    return job
