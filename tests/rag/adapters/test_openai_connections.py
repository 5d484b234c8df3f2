"""The OpenAI wire's connections, its health checks, and what comes beside the text."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rag.adapters.openai_wire import OpenAIWire
from rag.protocols import Completion, ModelPrompt
from rag.types import Usage
from tests.gateways import PROMPT
from tests.scripted_upstream import (
    DONE,
    Counts,
    Raw,
    Reply,
    Says,
    ScriptedUpstream,
    refused_address,
    scripted_upstream,
)

SOON, LATE = 0.05, 30.0


@asynccontextmanager
async def wire_to(
    *replies: Reply, logprobs: bool = False
) -> AsyncGenerator[tuple[OpenAIWire, ScriptedUpstream]]:
    async with scripted_upstream(*replies) as upstream:
        wire = OpenAIWire(base_url=upstream.base_url, model="served", logprobs=logprobs)
        async with aclosing(wire):
            yield wire, upstream


async def end_of(wire: OpenAIWire, prompt: ModelPrompt = PROMPT) -> Completion:
    [*_, last] = [each async for each in wire.stream(prompt)]
    assert isinstance(last, Completion)
    return last


async def test_one_call_after_the_other_uses_one_connection() -> None:
    async with wire_to(Says("Very deep.")) as (wire, upstream):
        for _ in range(3):
            await end_of(wire)

        assert (upstream.calls, upstream.connections) == (3, 1)


async def test_what_the_provider_had_read_before_is_told() -> None:
    async with wire_to(Says("Deep.", Counts(prompt=20, completion=2, cached=15))) as (wire, _):
        assert (await end_of(wire)).usage == Usage(20, 2, 15)


async def test_a_schema_is_sent_along() -> None:
    schema = {"type": "object"}
    async with wire_to(Says("{}")) as (wire, upstream):
        await end_of(wire, replace(PROMPT, response_schema=schema))
        await end_of(wire)

    wanted = upstream.asked[0]["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["schema"] == schema
    assert "response_format" not in upstream.asked[1]


async def test_how_sure_the_model_was_of_its_tokens_is_told_where_it_is_asked_for() -> None:
    logprobs = {"content": [{"token": "Deep", "logprob": math.log(0.25)}]}
    choices = [{"delta": {"content": "Deep"}, "logprobs": logprobs, "finish_reason": "stop"}]
    frame = f"data: {json.dumps({'choices': choices})}\n\n"
    async with wire_to(Raw((frame, frame, DONE)), logprobs=True) as (wire, upstream):
        assert (await end_of(wire)).confidence == pytest.approx(0.25)

    assert upstream.asked[0]["logprobs"] is True


async def test_where_it_is_not_asked_for_nothing_is_known_of_it() -> None:
    async with wire_to(Says("Deep.")) as (wire, upstream):
        assert (await end_of(wire)).confidence is None

    assert "logprobs" not in upstream.asked[0]


@pytest.mark.parametrize(("status", "alive"), [(200, True), (404, True), (401, True), (503, False)])
async def test_an_endpoint_that_answers_is_alive(status: int, alive: bool) -> None:  # noqa: FBT001
    async def answer(request: web.Request) -> web.Response:
        del request
        return web.Response(status=status)

    async with serving(answer) as base_url, aclosing(wire_at(base_url)) as wire:
        assert await wire.is_alive(within_s=LATE) is alive


async def test_an_endpoint_that_takes_too_long_is_not_alive() -> None:
    async def answer(request: web.Request) -> web.Response:
        del request
        await asyncio.sleep(10 * SOON)
        return web.Response()

    async with serving(answer) as base_url, aclosing(wire_at(base_url)) as wire:
        assert not await wire.is_alive(within_s=SOON)


@pytest.mark.parametrize("address", ["refused", "http://[::/v1", "ftp://host/v1", ""])
async def test_an_endpoint_that_is_not_there_is_not_alive(address: str) -> None:
    base_url = refused_address() if address == "refused" else address
    async with aclosing(wire_at(base_url)) as wire:
        assert not await wire.is_alive(within_s=LATE)


def wire_at(base_url: str) -> OpenAIWire:
    return OpenAIWire(base_url=base_url, model="served")


@asynccontextmanager
async def serving(models: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncGenerator[str]:
    app = web.Application()
    app.router.add_get("/v1/models", models)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))
