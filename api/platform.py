"""What a process holds while it runs. `api/wiring.py` opens it from the settings."""

from dataclasses import dataclass, field

from api.background import Background
from api.generations import GenerationsInUse
from api.money import Money
from api.prompts import PromptsInUse
from api.settings import Settings
from ingestion.locks import Locks
from rag.adapters.spans import Spans
from rag.answering import Answerer
from rag.asking_protocols import Retriever
from rag.chatting import Chatter
from rag.gateway.answer_cache.cache import AnswerCache
from rag.gateway.route_log import RouteRecorder
from rag.gateway.routing import Router
from rag.protocols import Embedder
from rag.storage.access.groups import Groups
from rag.storage.access.keys import Keys
from rag.storage.audit.ledger import Audit
from rag.storage.conversations import Conversations
from rag.storage.database import Database
from rag.storage.documents.filter_fields import FilterFields
from rag.storage.documents.ledger import Documents
from rag.storage.feedback import Feedback
from rag.storage.generations.ledger import Generations
from rag.storage.jobs.ledger import Jobs
from rag.storage.jobs.workers import Workers
from rag.storage.originals import Originals
from rag.storage.reviews.ledger import Reviews
from rag.storage.routes.ledger import RouteLedger
from rag.storage.sources.ledger import Sources
from rag.storage.verdicts.ledger import Verdicts
from rag.summarising import Summarising


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Every part, open. Tests swap one with `dataclasses.replace`."""

    settings: Settings
    database: Database
    keys: Keys
    groups: Groups
    documents: Documents
    filter_fields: FilterFields
    sources: Sources
    jobs: Jobs
    workers: Workers
    verdicts: Verdicts
    originals: Originals
    generations: GenerationsInUse
    generation_ledger: Generations
    embedder: Embedder
    retriever: Retriever
    answerer: Answerer
    chatter: Chatter
    summarising: Summarising | None
    """None where no model is there that writes, or none shall sum up."""
    background: Background
    conversations: Conversations
    feedback: Feedback
    router: Router
    route_ledger: RouteLedger
    route_recorder: RouteRecorder
    money: Money
    audit: Audit
    reviews: Reviews
    answer_cache: AnswerCache
    prompts: PromptsInUse
    spans: Spans = field(default_factory=Spans)
    summing_up: Locks = field(default_factory=Locks)
    """One summary of a conversation at a time: the next begins from what that one told."""
