"""Answers given again: the cache of answers over the generation of the index that serves now."""

from dataclasses import dataclass

from api.generations import GenerationsInUse, OpenGeneration
from rag.asking import Ask
from rag.asking_protocols import Made
from rag.gateway.answer_cache.cache import AnswerCache
from rag.gateway.answer_cache.entries import CachedAnswer
from rag.gateway.answer_cache.questions import CachePartition, CacheQuestion
from rag.prompts.choosing import Chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingMemory:
    """Satisfies `rag.asking_protocols.AnswerMemory`."""

    cache: AnswerCache
    generations: GenerationsInUse
    profile: str
    """What shapes answers besides: retrieval's settings and the models there are."""

    async def recall(self, ask: Ask, chosen: Chosen, *, policy: str) -> CachedAnswer | None:
        if chosen.is_trial or chosen.shadow is not None:
            return None
        serving = await self.generations.serving()
        ask.trail.generation = int(serving.id)
        return await self.cache.look_up(
            self._question(ask, chosen, serving, policy),
            ask.scope,
            ask.trail,
            passages=serving.retriever.passages,
            embedder=serving.retriever.embedder_for(ask.principal.tenant),
        )

    async def keep(self, ask: Ask, chosen: Chosen, made: Made, *, policy: str) -> None:
        serving = await self.generations.serving()
        if ask.trail.generation != int(serving.id):
            return  # another generation serves since: it was made from one that does not
        await self.cache.keep(
            self._question(ask, chosen, serving, policy),
            made.outcome,
            made.evidence,
            ask.trail,
            asked_at=made.asked_at,
            finish_reason=made.finish_reason,
            embedder=serving.retriever.embedder_for(ask.principal.tenant),
        )

    def should_recheck(self) -> bool:
        return self.cache.tally.should_recheck()

    def rechecked(self, *, agreed: bool) -> None:
        self.cache.tally.record_recheck(agreed=agreed)

    def _question(
        self, ask: Ask, chosen: Chosen, serving: OpenGeneration, policy: str
    ) -> CacheQuestion:
        return CacheQuestion(
            text=ask.question,
            partition=CachePartition(
                tenant=ask.principal.tenant,
                generation=int(serving.id),
                prompt=chosen.prompt.id,
                model_class=ask.quality,
                guard_policy=policy,
                locale=ask.locale,
                filters=ask.filters,
                profile=self.profile,
            ),
            asker=ask.principal.id,
            stands_alone=ask.stands_alone,
        )
