"""What providers are told of prompts that begin alike, and what that saves."""

from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from api.gateway import build_upstream
from rag.access import TenantId
from rag.adapters.answerability import Answerability
from rag.adapters.catalogue_file import parse_models
from rag.adapters.prefix_cache import PrefixCache, secret_of
from rag.adapters.relevance import StatementRanker
from rag.errors import ParseError
from rag.gateway.calls import ModelCall
from rag.gateway.catalogue import PromptCache
from rag.gateway.patience import Patience
from rag.testing import HashEmbedder
from tests.gateways import ACCOUNT, a_call, a_trail, gateway_over, received
from tests.scripted_upstream import Counts, Says, ScriptedUpstream, scripted_upstream

GATE = Answerability(ranker=StatementRanker(embedder=HashEmbedder(), lexicon=None))
READ_BEFORE = Says("Deep.", Counts(prompt=100, completion=2, cached=80))
KEY = SecretStr("sk-of-the-provider")


def catalogue_text(base_url: str, prompt_cache: PromptCache) -> bytes:
    return f"""
providers: {{house: {{base_url: "{base_url}", prompt_cache: {prompt_cache}}}}}
models:
  - name: small
    context_tokens: 8000
    price: {{input: 2, output: 10, cached: 0.5}}
    deployments: [{{provider: house, name: small-1}}]
""".encode()


async def spent(
    upstream: ScriptedUpstream,
    prompt_cache: PromptCache,
    *calls: ModelCall,
    key: SecretStr | None = KEY,
) -> int:
    """What `calls` cost over the wire that the catalogue describes."""
    model = parse_models(catalogue_text(upstream.base_url, prompt_cache)).catalogue.models[0]
    [deployment] = model.deployments
    wire = build_upstream(model, deployment, key, GATE, Patience())
    async with aclosing(wire):
        chained = gateway_over([model], {"small-1": wire})
        trail = a_trail()
        for call in calls:
            await received(chained.gateway, call, trail)
    return trail.cost


def of_tenant(tenant: str) -> ModelCall:
    return replace(a_call(), account=replace(ACCOUNT, tenant=TenantId(tenant)))


async def test_a_server_that_may_be_strict_is_told_nothing() -> None:
    async with scripted_upstream(READ_BEFORE) as upstream:
        await spent(upstream, "none", a_call())
        [body] = upstream.asked
    assert not body.keys() & {"prompt_cache_key", "cache_salt"}
    assert all(isinstance(message["content"], str) for message in body["messages"])


@pytest.mark.parametrize(("how", "field"), [("key", "prompt_cache_key"), ("salt", "cache_salt")])
async def test_prompts_of_one_tenant_belong_together_and_of_two_apart(
    how: PromptCache, field: str
) -> None:
    async with scripted_upstream(READ_BEFORE) as upstream:
        await spent(upstream, how, of_tenant("acme"), of_tenant("acme"), of_tenant("other"))
        first, second, other = [body[field] for body in upstream.asked]
    assert first == second != other
    assert "acme" not in first
    assert KEY.get_secret_value() not in first


async def test_processes_with_one_key_share_what_the_provider_remembers() -> None:
    async with scripted_upstream(READ_BEFORE) as upstream:
        for key in (KEY, KEY, None, None):
            await spent(upstream, "key", a_call(), key=key)
        one, same, own, other = [body["prompt_cache_key"] for body in upstream.asked]
    assert one == same
    assert len({one, own, other}) == 3


async def test_a_mark_stands_on_the_system_message_alone() -> None:
    async with scripted_upstream(READ_BEFORE) as upstream:
        await spent(upstream, "mark", a_call())
        [body] = upstream.asked
    system, user = body["messages"]
    [part] = system["content"]
    assert part["cache_control"] == {"type": "ephemeral"}
    assert part["text"] == "Answer in a word."
    assert user["content"] == "How deep is the sea?"


async def test_tokens_that_were_read_before_cost_what_the_catalogue_says() -> None:
    async with scripted_upstream(READ_BEFORE) as upstream:
        cost = await spent(upstream, "key", a_call())
    assert cost == 20 * 2 + 80 // 2 + 2 * 10


def test_only_the_openai_wire_can_be_told() -> None:
    text = b"""
providers: {own: {kind: llama_index, llama_index_class: "a:B", prompt_cache: key}}
"""
    with pytest.raises(ParseError, match="openai wire alone"):
        parse_models(text)


def test_the_secret_is_not_shown() -> None:
    cache: Any = PrefixCache(how="salt", secret=secret_of("sk-key"))
    assert "secret" not in repr(cache)
    assert secret_of("sk-key") == secret_of("sk-key") != secret_of("sk-other")
