"""A generation of the index, opened by its recipe: its embedder, its index, and what uses them."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from api.adapters import build_embedder, build_reranker, fusion_of, open_index
from api.closing import close, closed_with
from api.generations import OpenGeneration
from api.settings import Settings
from api.settings_search import EmbedderSettings
from ingestion.batching import BatchingEmbedder
from ingestion.chunkers.structural import StructuralChunker
from ingestion.generations import LiveGeneration
from rag.adapters.dictionary import DictionaryTranslator, DingDictionary
from rag.adapters.spans import Spans, TracedReranker
from rag.cached_queries import CachedQueries
from rag.errors import ConfigurationError
from rag.protocols import Embedder
from rag.retrieval import HybridRetriever
from rag.storage.database import Database
from rag.storage.documents.admission import AgeLimit
from rag.storage.documents.passages import Passages
from rag.storage.embeddings import CachedEmbedder, EmbeddingCache
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import Generation, GenerationState, Recipe

log = logging.getLogger(__name__)

_Model = tuple[str, str, int | None]


def recipe_of(settings: Settings) -> Recipe:
    """What a generation that is begun now is made with, unless somebody says otherwise."""
    embedder = settings.embedder
    return Recipe(
        embedder=embedder.kind,
        model="" if embedder.kind == "minilm" else embedder.model,
        token_dimensions=embedder.token_dimensions,
        chunk_tokens=settings.ingestion.chunk_tokens,
        overlap=settings.ingestion.overlap,
    )


async def say_what_serves(ledger: Generations, wanted: Recipe) -> None:
    """A changed setting changes no index that is there: it needs a generation of its own."""
    serving = (await ledger.live())[0]
    if serving.recipe != wanted:
        log.warning(
            "generation %s of the index serves, and is made with other settings than these: "
            "`rag generations build` makes one with them",
            serving.id,
        )


async def say_what_is_lost(ledger: Generations, serving: OpenGeneration) -> None:
    """An index that is empty though the ledger holds chunks was lost: answers would be missing, and
    nobody would know why."""
    sample = await ledger.sample(serving.id)
    if sample is None or await serving.index.chunk_ids(*sample):
        return
    log.error(
        "the index of generation %s lacks a document that the ledger says it holds: if it was lost, "
        "`rag reindex --all --from-ledger` puts it back",
        serving.id,
    )


class Embedders:
    """The embedders in use, one for each model: generations with the same one share it."""

    def __init__(self, settings: EmbedderSettings) -> None:
        self._settings = settings
        self._used: dict[_Model, tuple[Embedder, int]] = {}
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def use(self, recipe: Recipe) -> AsyncGenerator[Embedder]:
        """Raises `ConfigurationError` where there is no such model."""
        model = (recipe.embedder, recipe.model, recipe.token_dimensions)
        async with self._turn:
            embedder, users = self._used.get(model, (None, 0))
            if embedder is None:
                chosen = _settings_of(self._settings, recipe)
                embedder = await asyncio.to_thread(build_embedder, chosen)
            self._used[model] = embedder, users + 1
        try:
            yield embedder
        finally:
            async with self._turn:
                _, users = self._used[model]
                if users > 1:
                    self._used[model] = embedder, users - 1
                else:
                    del self._used[model]
                    await close(embedder)


def _settings_of(settings: EmbedderSettings, recipe: Recipe) -> EmbedderSettings:
    chosen = {
        "kind": recipe.embedder,
        "token_dimensions": recipe.token_dimensions,
        "threads": settings.threads,
    }
    if recipe.model:
        chosen["model"] = recipe.model
    return EmbedderSettings.model_validate(chosen)


@dataclass(frozen=True, slots=True)
class GenerationOpener:
    settings: Settings
    database: Database
    embedders: Embedders
    lexicon: DingDictionary | None
    spans: Spans

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncGenerator[OpenGeneration]:
        """Errors: `ConfigurationError`, `IndexUnavailable`."""
        recipe = generation.recipe
        if recipe is None:
            raise ConfigurationError("nobody has said what the generation is made with")
        retrieval = self.settings.retrieval
        async with AsyncExitStack() as stack:
            embedder = await stack.enter_async_context(self.embedders.use(recipe))
            index = await stack.enter_async_context(
                open_index(self.settings, embedder.dimensions, generation.id)
            )
            age_limit = AgeLimit(self.settings.access.max_age)
            passages = Passages(self.database, age_limit, generation=generation.id)
            reranker = closed_with(
                stack, await asyncio.to_thread(build_reranker, retrieval, passages)
            )
            retriever = HybridRetriever(
                index=index,
                embedder=embedder,
                passages=passages,
                reranker=None if reranker is None else TracedReranker(reranker, self.spans),
                fusion=fusion_of(retrieval),
                translator=DictionaryTranslator(self.lexicon) if self.lexicon else None,
                translated_weight=retrieval.translated_weight,
                dense_weight=retrieval.dense_weight,
                sparse_weight=retrieval.sparse_weight,
                candidates=retrieval.candidates,
                rerank_candidates=retrieval.rerank_candidates,
                rerank_budget_s=retrieval.rerank_budget_ms / 1_000,
                queries=CachedQueries(embedder),
            )
            chunker = StructuralChunker(
                embedder, target_tokens=recipe.chunk_tokens, overlap=recipe.overlap
            )
            batching = BatchingEmbedder(embedder)
            cache = EmbeddingCache(self.database)

            written = LiveGeneration(
                id=generation.id,
                serves=generation.state is GenerationState.SERVING,
                chunker=chunker,
                embedder_of=lambda tenant: CachedEmbedder(batching, cache, tenant),
                index=index,
            )
            yield OpenGeneration(
                id=generation.id,
                embedder=embedder,
                index=index,
                retriever=retriever,
                written=written,
            )
