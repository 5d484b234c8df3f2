"""The gateway as the settings make it: over real HTTP, with the breaker they ask for."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from api.catalogue import models_of, router_of
from api.gateway import OpenGateway, breaker_policy_of, fallback_policy_of, open_gateway
from api.settings import Settings
from rag.adapters.answerability import Answerability
from rag.adapters.redis_breaker import RedisBreaker
from rag.adapters.relevance import StatementRanker
from rag.errors import ConfigurationError, ModelUnavailable
from rag.gateway.breaker import LocalBreaker
from rag.packing import pack_evidence
from rag.protocols import Completion
from rag.testing import HashEmbedder
from rag.trail import UseCase
from tests.gateways import PROMPT, a_call, a_trail, received
from tests.scripted_upstream import Says, ScriptedUpstream, Status, scripted_upstream
from tests.values import hit

MODELS = """
providers:
  east: {{kind: openai, base_url: "{east}", key_variable: EAST_KEY}}
  west: {{kind: openai, base_url: "{west}"}}
models:
  - name: tide
    tier: standard
    context_tokens: 8000
    max_output_tokens: 500
    price: {{input: 2, output: 10}}
    deployments:
      - {{provider: east, model: tide-1, weight: 9}}
      - {{provider: west, model: tide-1}}
"""
EVIDENCE = pack_evidence(
    [hit("The sea is 11 km deep.")], count_tokens=HashEmbedder().count_tokens, budget_tokens=100
)


@asynccontextmanager
async def opened(
    settings: Settings, environment: dict[str, str] | None = None
) -> AsyncGenerator[OpenGateway]:
    setup = models_of(settings)
    async with open_gateway(
        settings,
        catalogue=setup.catalogue,
        routes=router_of(setup),
        gate=Answerability(ranker=StatementRanker(embedder=HashEmbedder())),
        environment=environment or {},
    ) as gateway:
        yield gateway


def settings_with(folder: Path, **more: Any) -> Settings:
    return Settings(data_dir=folder / "data", **more)


@asynccontextmanager
async def two_providers(
    folder: Path, *, east: Says | Status, west: Says | Status
) -> AsyncGenerator[tuple[Path, ScriptedUpstream, ScriptedUpstream]]:
    async with scripted_upstream(east) as one, scripted_upstream(west) as other:
        file = folder / "models.yaml"
        file.write_text(MODELS.format(east=one.base_url, west=other.base_url))
        yield file, one, other


async def test_a_catalogues_deployments_are_called_each_with_its_own_key(tmp_path: Path) -> None:
    async with two_providers(tmp_path, east=Status(401), west=Says("Deep.")) as (file, east, west):
        settings = settings_with(tmp_path, models={"file": file}, gateway={"health_every_s": 0})
        async with opened(settings, {"EAST_KEY": "sk-east"}) as open_:
            trail = a_trail()
            answer = await received(open_.gateway, trail=trail)

    assert answer.text == "Deep."
    assert isinstance(open_.breaker, LocalBreaker)
    assert east.headers[0]["authorization"] == "Bearer sk-east"
    assert "authorization" not in west.headers[0]
    assert [attempt.outcome for attempt in trail.attempts] == ["rejected", "ok"]
    assert trail.cost == 20 * 2 + 5 * 10


async def test_a_key_that_is_not_set_is_noticed_at_the_start(tmp_path: Path) -> None:
    async with two_providers(tmp_path, east=Says("Deep."), west=Says("Deep.")) as (file, _, _):
        settings = settings_with(tmp_path, models={"file": file})
        with pytest.raises(ConfigurationError, match="EAST_KEY"):
            async with opened(settings):
                pass


async def test_deployments_are_checked_in_the_background(tmp_path: Path) -> None:
    async with two_providers(tmp_path, east=Says("Deep."), west=Says("Deep.")) as (
        file,
        east,
        west,
    ):
        settings = settings_with(tmp_path, models={"file": file}, gateway={"health_every_s": 0.01})
        east.healthy = False
        async with opened(settings, {"EAST_KEY": "sk-east"}) as open_:
            async with east.changed:
                await east.changed.wait_for(lambda: east.health_checks > 2)
            assert open_.health.is_down("tide@east")
            await received(open_.gateway)

    assert (east.calls, west.calls) == (0, 1)


async def test_with_redis_the_breaker_is_shared(tmp_path: Path, redis_url: str) -> None:
    async with scripted_upstream(Status(500)) as upstream:
        model = {"kind": "openai", "base_url": upstream.base_url, "model": "m"}
        settings = settings_with(
            tmp_path,
            language_model=model,
            redis_url=SecretStr(redis_url),
            gateway={"backoff_s": 0, "breaker_minimum_calls": 2, "health_every_s": 0},
        )
        async with opened(settings) as one, opened(settings) as other:
            assert isinstance(one.breaker, RedisBreaker)
            for gateway in (one.gateway, other.gateway):
                with pytest.raises(ModelUnavailable):
                    await received(gateway)

    assert upstream.calls == 2, "the other process knows that it is of no use"


async def test_without_any_model_the_evidence_is_quoted(tmp_path: Path) -> None:
    prompt = replace(PROMPT, evidence=EVIDENCE)
    call = replace(a_call(prompt), use_case=UseCase.ASK)
    trail = a_trail()
    async with opened(settings_with(tmp_path)) as open_:
        answer = await received(open_.gateway, call, trail)

    assert isinstance(answer.pieces[-1], Completion)
    assert answer.completion.model == "extractive"
    assert trail.cost == 0
    assert [attempt.estimated for attempt in trail.attempts] == [False]


def test_the_one_model_of_the_settings_keeps_its_own_timeouts(tmp_path: Path) -> None:
    model = {"kind": "openai", "model": "m", "first_token_timeout_s": 7}
    own = settings_with(tmp_path, language_model=model)

    assert fallback_policy_of(own).patience.first_token_s == 7
    assert fallback_policy_of(settings_with(tmp_path)).patience.first_token_s == 30


def test_a_probe_is_waited_for_longer_than_an_attempt_may_take(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, gateway={"attempt_timeout_s": 900})
    patience = fallback_policy_of(settings).patience
    assert breaker_policy_of(settings.gateway, patience).probe_lease_s > 900
