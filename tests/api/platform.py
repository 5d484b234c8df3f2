"""A platform for tests of the API: real stores, the shipped stand-ins for the models."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import httpx

from api.app import create_app
from api.permissions import EVERY_PERMISSION, Permission
from api.platform import Platform
from api.settings import Settings
from rag.access import Principal, PrincipalId, TenantId, readable_by
from rag.protocols import IndexPoint
from rag.retrieval import HybridRetriever
from rag.storage.database import open_database
from rag.storage.documents import Documents
from rag.storage.feedback import Feedback
from rag.storage.jobs import Jobs
from rag.storage.keys import Keys
from rag.storage.originals import Originals
from rag.storage.passages import Passages
from rag.storage.records import NewChunk, NewVersion, document_id_of
from rag.storage.sources import Sources
from rag.storage.tables import Base
from rag.testing import HashEmbedder, KeepOrder, MemoryIndex, ScriptedLanguageModel
from rag.types import (
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    MetadataValue,
    SourceId,
    Span,
    VersionId,
)

ACME, OTHER = TenantId("acme"), TenantId("other")
