"""From a question to its evidence: searched inside the scope, packed into a budget, without what is hostile."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rag.asking import Ask, Effort, scanned_of
from rag.asking_protocols import Retriever
from rag.follow_up import Rewriting
from rag.guardrails.flow import Guardrails
from rag.packing import CountTokens, pack_evidence
from rag.prompts.choosing import Profile
from rag.types import Evidence, Quality, Query, Retrieved


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSearch:
    retriever: Retriever
    guardrails: Guardrails
    count_tokens: CountTokens
    efforts: Mapping[Quality, Effort]
    rewriting: Rewriting | None

    async def find(self, ask: Ask, profile: Profile) -> tuple[Ask, tuple[Evidence, ...]]:
        """The question as it stands alone at last, and the evidence for it."""
        if ask.stands_alone or self.rewriting is None:
            return ask, await self.evidence(ask, profile)
        # By the time a model's words turn out late or useless, there is something found already.
        retrieving = asyncio.ensure_future(self._retrieve(ask, profile))
        try:
            rewritten = await self.rewriting.rewritten(ask)
            if rewritten.question == ask.question:
                return ask, await self._isolate(ask, await retrieving, profile)
        finally:
            retrieving.cancel()
            await asyncio.gather(retrieving, return_exceptions=True)
        ask.trail.searched = rewritten.question
        return rewritten, await self.evidence(rewritten, profile)

    async def evidence(self, ask: Ask, profile: Profile) -> tuple[Evidence, ...]:
        """For the question as it is."""
        return await self._isolate(ask, await self._retrieve(ask, profile), profile)

    async def _retrieve(self, ask: Ask, profile: Profile) -> Retrieved:
        effort = self._effort(ask, profile)
        return await self.retriever.retrieve(
            Query(
                text=ask.question,
                scope=ask.scope,
                limit=effort.hits,
                rerank=effort.rerank,
                filters=ask.filters,
            )
        )

    async def _isolate(
        self, ask: Ask, retrieved: Retrieved, profile: Profile
    ) -> tuple[Evidence, ...]:
        effort = self._effort(ask, profile)
        packed = pack_evidence(
            retrieved.hits,
            count_tokens=self.count_tokens,
            budget_tokens=effort.evidence_tokens,
            passages=effort.passages,
        )
        isolated = await self.guardrails.isolate(packed, scanned_of(ask, "evidence"), ask.trail)
        ask.trail.classification = isolated.classification
        return isolated.kept

    def _effort(self, ask: Ask, profile: Profile) -> Effort:
        return replace(self.efforts[ask.quality], **profile)
