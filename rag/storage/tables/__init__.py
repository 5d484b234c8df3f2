"""The tables of the ledger. Every row belongs to a tenant; what a query must select by stands in a
column or a table of its own, and the rest is JSON text."""

from rag.storage.tables.access import ApiKeyRow, GroupEdgeRow, PrincipalEpochRow
from rag.storage.tables.base import (
    ID_LENGTH,
    NAME_LENGTH,
    Base,
    JsonText,
    SourceText,
    TenantRow,
    UtcDateTime,
)
from rag.storage.tables.documents import (
    CachedEmbeddingRow,
    DocumentRow,
    MetadataFieldRow,
)
from rag.storage.tables.generations import (
    ChunkRow,
    GenerationRow,
    RenditionRow,
    TokenVectorsRow,
)
from rag.storage.tables.jobs import (
    PENDING,
    QUEUED,
    RUNNING,
    WAITING,
    JobRow,
    QueueShareRow,
    WorkerRow,
)
from rag.storage.tables.sources import SourceRow
from rag.storage.tables.verdicts import FeedbackRow, ProfileRow, SimilarityBandRow, ValidationRow

__all__ = [
    "ID_LENGTH",
    "NAME_LENGTH",
    "PENDING",
    "QUEUED",
    "RUNNING",
    "WAITING",
    "ApiKeyRow",
    "Base",
    "CachedEmbeddingRow",
    "ChunkRow",
    "DocumentRow",
    "FeedbackRow",
    "GenerationRow",
    "GroupEdgeRow",
    "JobRow",
    "JsonText",
    "MetadataFieldRow",
    "PrincipalEpochRow",
    "ProfileRow",
    "QueueShareRow",
    "RenditionRow",
    "SimilarityBandRow",
    "SourceRow",
    "SourceText",
    "TenantRow",
    "TokenVectorsRow",
    "UtcDateTime",
    "ValidationRow",
    "WorkerRow",
]
