"""The ask side of a process: the gateway with its wrappers, the guardrails, and the two flows."""

import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from api.background import Background, open_background
from api.gateway import open_gateway
from api.generations import GenerationsInUse, ServingRetriever
from api.guarding import build_guardrails
from api.limits import open_token_rates, token_rates_of
from api.masking import open_masking
from api.money import Money, open_accounted
from api.prompts import PromptsInUse
from api.remembering import ServingMemory
from api.settings import Settings
from rag.adapters.answerability import Answerability
from rag.adapters.spans import Spans, TracedMemory, TracedRetriever
from rag.answering import Answerer
from rag.chatting import Chatter
from rag.follow_up import Rewriting
from rag.gateway.answer_cache.cache import AnswerCache
from rag.gateway.catalogue import Catalogue
from rag.gateway.routing import Router
from rag.gateway.token_rates import RateLimitedGateway
from rag.gateway.when_spent import QuotingWhenSpent
from rag.grounding import GroundingCheck
from rag.guardrails.judge import ModelJudge
from rag.prompts.registry import shipped_versions
from rag.prompts.versions import Prompt
from rag.protocols import Embedder
from rag.summarising import Summarising


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    answerer: Answerer
    chatter: Chatter
    summarising: Summarising | None
    background: Background


@asynccontextmanager
async def open_answering(
    settings: Settings,
    *,
    generations: GenerationsInUse,
    embedder: Embedder,
    gate: Answerability,
    router: Router,
    money: Money,
    prompts: PromptsInUse,
    cache: AnswerCache,
    spans: Spans,
) -> AsyncGenerator[Answering]:
    """Masking around rate limits around accounting around routing; both flows go through it.

    Errors: `ConfigurationError`.
    """
    catalogue = router.catalogue
    grounding = GroundingCheck(embedder=embedder)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(
            open_gateway(
                settings, catalogue=catalogue, routes=router, gate=gate, environment=os.environ
            )
        )
        accounted = await stack.enter_async_context(
            open_accounted(
                opened.gateway, money=money, routes=router, catalogue=catalogue, settings=settings
            )
        )
        rates = await stack.enter_async_context(open_token_rates(settings))
        limited = RateLimitedGateway(
            accounted, rates=rates, rates_of=token_rates_of(settings.rate_limits)
        )
        quoting = settings.budgets.when_spent == "quote"
        payable = QuotingWhenSpent(limited) if quoting else limited
        masked = await stack.enter_async_context(
            open_masking(
                payable,
                settings=settings,
                catalogue=catalogue,
                reaches=router.reaches,
                prompts=_own_prompts(),
            )
        )
        guardrails = build_guardrails(
            settings,
            grounding=grounding,
            canary=lambda: prompts.canary,
            judge=ModelJudge(gateway=masked),
        )
        background = await stack.enter_async_context(open_background())
        quotes_only = all(model.extractive for model in catalogue.models)
        memory = ServingMemory(
            cache=cache, generations=generations, profile=profile_of(settings, catalogue)
        )
        yield Answering(
            answerer=Answerer(
                retriever=TracedRetriever(ServingRetriever(generations), spans),
                gateway=masked,
                routes=router,
                prompts=prompts,
                guardrails=guardrails,
                grounding=grounding,
                count_tokens=embedder.count_tokens,
                memory=TracedMemory(memory, spans),
                later=background,
                # The extractive model abstains by itself; others are asked only where it may help.
                relevance=None if quotes_only else gate,
                shortens=not quotes_only,
                rewriting=None
                if quotes_only
                else Rewriting(
                    gateway=masked,
                    prompts=prompts,
                    guardrails=guardrails,
                    count_tokens=embedder.count_tokens,
                    history_tokens=settings.conversations.history_tokens,
                    deadline_s=settings.conversations.rewrite_deadline_s,
                ),
            ),
            chatter=Chatter(gateway=masked, guardrails=guardrails),
            summarising=None
            if quotes_only or not settings.conversations.summaries
            else Summarising(
                gateway=masked,
                prompts=prompts,
                guardrails=guardrails,
                count_tokens=embedder.count_tokens,
                history_tokens=settings.conversations.history_tokens,
                input_tokens=settings.conversations.summary_input_tokens,
            ),
            background=background,
        )


def _own_prompts() -> list[Prompt]:
    """What comes with the platform, in every variant: its own words need no masking."""
    return [
        version.prompt(locale=variant.locale, audience=variant.audience)
        for version in shipped_versions()
        for variant in version.content.variants
    ]


def profile_of(settings: Settings, catalogue: Catalogue) -> str:
    """What shapes answers besides the question: retrieval's settings, and the models there are."""
    told = f"{settings.retrieval.model_dump_json()} {[model.name for model in catalogue.models]}"
    return hashlib.sha256(told.encode()).hexdigest()
