"""Who is called of several deployments, how many at once, and who goes first."""

import asyncio
from dataclasses import replace

import pytest

from rag.errors import ModelUnavailable
from rag.gateway.calls import Lane
from rag.gateway.health import check_all
from rag.protocols import Message
from tests.gateways import (
    PROMPT,
    Received,
    a_call,
    a_deployment,
    a_model,
    a_trail,
    gateway_over,
    receive,
    received,
    wires,
)
from tests.scripted_upstream import Says, Status, scripted_upstream


async def test_idle_deployments_take_turns_by_weight() -> None:
    async with (
        scripted_upstream() as upstream,
        wires(a_1=upstream.base_url, a_2=upstream.base_url) as upstreams,
    ):
        model = a_model("a", a_deployment("a-1", weight=3), a_deployment("a-2"))
        chained = gateway_over([model], upstreams)
        for _ in range(8):
            await received(chained.gateway)

    assert chained.breaker.admitted.count("a-1") == 6
    assert chained.breaker.admitted[:4].count("a-2") == 1, "evenly spread"


async def test_the_deployment_with_the_most_room_is_called() -> None:
    never = asyncio.Event()
    async with (
        scripted_upstream(Says("Deep.", released=never)) as slow,
        scripted_upstream() as quick,
        wires(a_1=slow.base_url, a_2=quick.base_url) as upstreams,
    ):
        model = a_model("a", a_deployment("a-1"), a_deployment("a-2"))
        chained = gateway_over([model], upstreams)
        waiting = asyncio.create_task(received(chained.gateway))
        await slow.until_called()
        for _ in range(4):
            await received(chained.gateway)
        assert (slow.calls, quick.calls) == (1, 4)
        never.set()
        await waiting


async def test_no_more_calls_at_once_than_a_deployment_has_room_for() -> None:
    async with (
        scripted_upstream(Says("Very deep.", gap_s=0.01)) as upstream,
        wires(a_1=upstream.base_url) as upstreams,
    ):
        chained = gateway_over([a_model("a", a_deployment("a-1", max_concurrent=3))], upstreams)
        answers = await asyncio.gather(*(received(chained.gateway) for _ in range(12)))

    assert {answer.text for answer in answers} == {"Very deep."}
    assert upstream.most_at_once == 3


async def test_interactive_work_overtakes_batch_work_that_waits() -> None:
    begin = asyncio.Event()
    async with (
        scripted_upstream(Says("Deep.", released=begin)) as upstream,
        wires(a_1=upstream.base_url) as upstreams,
    ):
        chained = gateway_over([a_model("a", a_deployment("a-1", max_concurrent=1))], upstreams)

        def ask(who: str, lane: Lane) -> "asyncio.Task[Received]":
            prompt = replace(PROMPT, messages=(Message("user", who),))
            call = replace(a_call(prompt), lane=lane)
            return asyncio.create_task(received(chained.gateway, call))

        tasks = [ask("first", Lane.INTERACTIVE)]
        await upstream.until_called()
        tasks += [ask("batch 1", Lane.BATCH), ask("batch 2", Lane.BATCH)]
        await asyncio.sleep(0)
        tasks += [ask("person 1", Lane.INTERACTIVE), ask("person 2", Lane.INTERACTIVE)]
        await asyncio.sleep(0.05)
        begin.set()
        await asyncio.gather(*tasks)

    order = [asked["messages"][0]["content"] for asked in upstream.asked]
    assert order == ["first", "person 1", "person 2", "batch 1", "batch 2"]


async def test_who_waits_in_vain_for_room_is_told_so_and_leaves_none_taken() -> None:
    never = asyncio.Event()
    async with (
        scripted_upstream(Says("Deep.", released=never)) as upstream,
        wires(a_1=upstream.base_url) as upstreams,
    ):
        chained = gateway_over([a_model("a", a_deployment("a-1", max_concurrent=1))], upstreams)
        first = asyncio.create_task(received(chained.gateway))
        await upstream.until_called()
        trail = a_trail()
        with pytest.raises(ModelUnavailable):
            await receive(chained.gateway, Received(), replace(a_call(), deadline_s=0.05), trail)
        assert trail.attempts == []
        never.set()
        await first
        room = chained.rooms.of(chained.models[0].deployments[0])
        assert (room.taken, room.load) == (0, 0)


async def test_a_deployment_that_does_not_answer_health_checks_is_called_last() -> None:
    async with (
        scripted_upstream() as ill,
        scripted_upstream() as well,
        wires(a_1=ill.base_url, a_2=well.base_url) as upstreams,
    ):
        ill.healthy = False
        model = a_model("a", a_deployment("a-1", weight=9), a_deployment("a-2"))
        chained = gateway_over([model], upstreams)
        for _ in range(2):
            await check_all(chained.health, upstreams, within_s=5)
        for _ in range(4):
            await received(chained.gateway)
        assert (ill.calls, well.calls) == (0, 4)

        well.plays(Status(500))
        assert (await received(chained.gateway)).text == "Deep."
        assert ill.calls == 1, "it is never left out"

        ill.healthy = True
        await check_all(chained.health, upstreams, within_s=5)
        assert not chained.health.is_down("a-1")
