"""The gateway of this process: its deployments opened, its breaker shared, its health watched."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import assert_never

from pydantic import SecretStr

from api.adapters import build_llama_index, build_wire, patience_of
from api.catalogue import keys_of
from api.settings import Settings
from api.settings_gateway import GatewaySettings
from rag.adapters.answerability import Answerability
from rag.adapters.extractive import ExtractiveLanguageModel
from rag.adapters.json_schema import checked_json
from rag.gateway.attempts import Attempts
from rag.gateway.breaker import Breaker, BreakerPolicy, LocalBreaker
from rag.gateway.calls import Gateway
from rag.gateway.catalogue import Catalogue, Deployment, ModelSpec
from rag.gateway.fallback import RoutedGateway
from rag.gateway.health import Health, checking_health
from rag.gateway.lanes import Rooms
from rag.gateway.patience import FallbackPolicy, Patience
from rag.gateway.routing import Routes
from rag.gateway.singleflight import SharedCalls
from rag.gateway.upstreams import Timed, Upstream

_AFTER_AN_ATTEMPT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGateway:
    """The innermost gateway, and what can be told of its deployments."""

    gateway: Gateway
    breaker: Breaker
    rooms: Rooms
    health: Health


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    *,
    catalogue: Catalogue,
    routes: Routes,
    gate: Answerability,
    environment: Mapping[str, str],
) -> AsyncGenerator[OpenGateway]:
    """Routing, fallback and singleflight over every deployment of `catalogue`.

    Errors: `ConfigurationError` where a key is missing or a class cannot be made.
    """
    keys = keys_of(catalogue, settings, environment)
    policy, health = fallback_policy_of(settings), Health()
    rooms = Rooms(batch_share=settings.gateway.batch_share)
    async with AsyncExitStack() as stack:
        breaker = _breaker(settings, policy.patience, stack)
        upstreams: dict[str, Upstream] = {}
        watched: dict[str, Upstream] = {}
        for model in catalogue.models:
            for each in model.deployments:
                key = keys.get(each.provider.name)
                upstream = build_upstream(model, each, key, gate, policy.patience)
                stack.push_async_callback(upstream.aclose)
                upstreams[each.name] = upstream
                if each.provider.kind == "openai":
                    watched[each.name] = upstream
        if watched and settings.gateway.health_every_s > 0:
            await stack.enter_async_context(
                checking_health(health, watched, every_s=settings.gateway.health_every_s)
            )
        attempts = Attempts(
            catalogue=catalogue,
            upstreams=upstreams,
            breaker=breaker,
            policy=policy,
            schema_check=checked_json,
        )
        routed = RoutedGateway(
            routes=routes,
            attempts=attempts,
            breaker=breaker,
            rooms=rooms,
            health=health,
            policy=policy,
        )
        shared = settings.gateway.share_identical_calls
        yield OpenGateway(
            gateway=SharedCalls(routed) if shared else routed,
            breaker=breaker,
            rooms=rooms,
            health=health,
        )


def build_upstream(
    model: ModelSpec,
    deployment: Deployment,
    key: SecretStr | None,
    gate: Answerability,
    patience: Patience,
) -> Upstream:
    provider = deployment.provider
    match provider.kind:
        case "openai":
            return build_wire(
                base_url=deployment.base_url or provider.base_url,
                model=deployment.model,
                api_key=key,
                patience=patience,
                logprobs=model.logprobs,
                prompt_cache=provider.prompt_cache,
            )
        case "llama_index":
            return Timed(build_llama_index(provider.llama_index_class, deployment.model, patience))
        case "extractive":
            return Timed(ExtractiveLanguageModel(answerability=gate))
        case _:
            assert_never(provider.kind)


def fallback_policy_of(settings: Settings) -> FallbackPolicy:
    """What the settings say. Where they name the one model themselves, its own timeouts hold."""
    given = settings.gateway
    own = settings.models.file is None and settings.language_model.kind != "extractive"
    patience = Patience(
        connect_s=given.connect_timeout_s,
        first_token_s=given.first_token_timeout_s,
        gap_s=given.gap_timeout_s,
        total_s=given.attempt_timeout_s,
    )
    return FallbackPolicy(
        patience=patience_of(settings.language_model) if own else patience,
        deadline_s=given.deadline_s,
        batch_deadline_s=given.batch_deadline_s,
        retries=given.retries,
        backoff_s=given.backoff_s,
        restarts=given.restarts,
        cooldown_s=given.cooldown_s,
    )


def _breaker(settings: Settings, patience: Patience, stack: AsyncExitStack) -> Breaker:
    policy = breaker_policy_of(settings.gateway, patience)
    if settings.redis_url is None:
        return LocalBreaker(policy)
    from rag.adapters.redis_breaker import open_redis_breaker  # noqa: PLC0415 - redis

    breaker = open_redis_breaker(settings.redis_url.get_secret_value(), policy)
    stack.push_async_callback(breaker.aclose)
    return breaker


def breaker_policy_of(settings: GatewaySettings, patience: Patience) -> BreakerPolicy:
    """What the settings say; a probe is waited for as long as an attempt may take, and then some."""
    return BreakerPolicy(
        window_s=settings.breaker_window_s,
        failure_share=settings.breaker_failure_share,
        minimum_calls=settings.breaker_minimum_calls,
        open_s=settings.breaker_open_s,
        probes=settings.breaker_probes,
        probe_lease_s=patience.total_s + _AFTER_AN_ATTEMPT_S,
    )
