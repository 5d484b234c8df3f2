"""The tables of the ledger. Every row belongs to a tenant; what a query must select by stands in a
column or a table of its own, and the rest is JSON text."""

from rag.storage.tables.access import ApiKeyRow, GroupEdgeRow, PrincipalEpochRow
from rag.storage.tables.answers import AnswerDocumentRow, KeptAnswerRow
from rag.storage.tables.audit import (
    AuditEntryRow,
    AuditHeadRow,
    AuditPersonRow,
    AuditSegmentRow,
)
from rag.storage.tables.base import (
    ID_LENGTH,
    NAME_LENGTH,
    Base,
    JsonText,
    SourceText,
    TenantRow,
    UtcDateTime,
)
from rag.storage.tables.conversations import ConversationRow, SummaryRow, TurnRow
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
from rag.storage.tables.money import (
    BudgetAlertRow,
    BudgetCounterRow,
    BudgetRow,
    ReservationRow,
    UsageRow,
)
from rag.storage.tables.prompts import (
    PromptChangeRow,
    PromptLabelRow,
    PromptOutcomeRow,
    PromptRolloutRow,
    PromptVersionRow,
)
from rag.storage.tables.reviews import ReviewRow
from rag.storage.tables.routes import RouteOutcomeRow
from rag.storage.tables.sources import SourceRow
from rag.storage.tables.verdicts import FeedbackRow, ProfileRow, SimilarityBandRow, ValidationRow

__all__ = [
    "ID_LENGTH",
    "NAME_LENGTH",
    "PENDING",
    "QUEUED",
    "RUNNING",
    "WAITING",
    "AnswerDocumentRow",
    "ApiKeyRow",
    "AuditEntryRow",
    "AuditHeadRow",
    "AuditPersonRow",
    "AuditSegmentRow",
    "Base",
    "BudgetAlertRow",
    "BudgetCounterRow",
    "BudgetRow",
    "CachedEmbeddingRow",
    "ChunkRow",
    "ConversationRow",
    "DocumentRow",
    "FeedbackRow",
    "GenerationRow",
    "GroupEdgeRow",
    "JobRow",
    "JsonText",
    "KeptAnswerRow",
    "MetadataFieldRow",
    "PrincipalEpochRow",
    "ProfileRow",
    "PromptChangeRow",
    "PromptLabelRow",
    "PromptOutcomeRow",
    "PromptRolloutRow",
    "PromptVersionRow",
    "QueueShareRow",
    "RenditionRow",
    "ReservationRow",
    "ReviewRow",
    "RouteOutcomeRow",
    "SimilarityBandRow",
    "SourceRow",
    "SourceText",
    "SummaryRow",
    "TenantRow",
    "TokenVectorsRow",
    "TurnRow",
    "UsageRow",
    "UtcDateTime",
    "ValidationRow",
    "WorkerRow",
]
