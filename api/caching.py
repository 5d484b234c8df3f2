"""The answer cache as the settings want it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from api.settings_gateway import AnswerCacheSettings
from rag.access import TenantId
from rag.gateway.answer_cache.cache import AnswerCache, CacheLimits
from rag.gateway.answer_cache.tally import CacheTally
from rag.prompts.versions import EVERY_TENANT
from rag.storage.answers.ledger import KeptAnswers
from rag.storage.database import Database
from rag.storage.moments import now


def build_answer_cache(
    settings: AnswerCacheSettings, database: Database, clock: Callable[[], datetime] = now
) -> AnswerCache:
    return AnswerCache(
        store=KeptAnswers(database, clock),
        limits=CacheLimits(
            enabled=settings.enabled,
            threshold=settings.threshold,
            ttl=timedelta(seconds=settings.ttl_s),
            max_answers=settings.max_answers,
            changes_ignored_s=settings.changes_ignored_s,
            shared=settings.shared,
        ),
        clock=clock,
        tally=CacheTally(recheck_share=settings.recheck_share),
    )


async def forget_prompts(cache: AnswerCache, tenant: TenantId, prompts: Sequence[str]) -> None:
    """Answers that were made with a prompt that was taken back are dead."""
    for prompt in prompts:
        await cache.clear(None if tenant == EVERY_TENANT else tenant, prompt=prompt)
