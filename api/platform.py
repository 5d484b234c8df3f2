"""What a process holds while it runs. `api/wiring.py` opens it from the settings."""

from dataclasses import dataclass

from api.settings import Settings
from rag.answering import Answerer
from rag.protocols import Embedder, Index, PassageStore
from rag.retrieval import HybridRetriever
from rag.storage.access.groups import Groups
from rag.storage.access.keys import Keys
from rag.storage.database import Database
from rag.storage.documents.ledger import Documents
from rag.storage.feedback import Feedback
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.workers import Workers
from rag.storage.originals import Originals
from rag.storage.sources.ledger import Sources
from rag.storage.verdicts.ledger import Verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Every part, open. Tests swap one with `dataclasses.replace`."""

    settings: Settings
    database: Database
    keys: Keys
    groups: Groups
    documents: Documents
    passages: PassageStore
    sources: Sources
    jobs: Jobs
    workers: Workers
    verdicts: Verdicts
    originals: Originals
    index: Index
    embedder: Embedder
    retriever: HybridRetriever
    answerer: Answerer
    feedback: Feedback
