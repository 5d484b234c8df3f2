"""Whole texts, one by one and in batches."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from rag.errors import ModelUnavailable, PermanentError
from rag.gateway.batches import Completed, all_of, complete
from rag.gateway.calls import Gateway, Lane, ModelCall
from rag.protocols import Message
from rag.trail import Trail
from tests.gateways import (
    PROMPT,
    a_call,
    a_deployment,
    a_model,
    a_trail,
    gateway_over,
    received,
    scripted_chain,
    wires,
)
from tests.scripted_upstream import CutOff, Says, Status, scripted_upstream


def asking(*questions: str) -> list[tuple[ModelCall, Trail]]:
    return [
        (a_call(replace(PROMPT, messages=(Message("user", question),))), a_trail())
        for question in questions
    ]


async def complete_all(
    gateway: Gateway, calls: Sequence[tuple[ModelCall, Trail]], *, at_once: int = 8, tries: int = 4
) -> list[Completed]:
    work = [
        partial(complete, gateway, replace(call, lane=Lane.BATCH), trail) for call, trail in calls
    ]
    return await all_of(work, at_once=at_once, tries=tries)


async def test_what_a_restart_made_void_is_not_in_the_text() -> None:
    async with scripted_chain([CutOff("It is"), Says("Very deep.")]) as (chained, _):
        completed = await complete(chained.gateway, a_call(), a_trail())

    assert completed.text == "Very deep."
    assert completed.completion.model == "a"


async def test_a_batch_has_its_results_in_order_and_no_more_calls_at_once_than_allowed() -> None:
    calls = asking(*(f"question {number}" for number in range(20)))
    async with scripted_chain([Says("Very deep.", gap_s=0.005)]) as (chained, [upstream]):
        results = await complete_all(chained.gateway, calls, at_once=4)

        assert upstream.most_at_once == 4
        asked = {each["messages"][0]["content"] for each in upstream.asked}

    assert len(asked) == 20
    assert [each.text for each in results] == ["Very deep."] * 20
    assert all(trail.cost > 0 for _, trail in calls)


async def test_results_are_in_the_order_of_the_work_however_long_each_took() -> None:
    first_is_over = asyncio.Event()

    async def slow() -> str:
        await first_is_over.wait()
        return "slow"

    async def quick() -> str:
        first_is_over.set()
        return "quick"

    assert await all_of([slow, quick]) == ["slow", "quick"]


async def test_what_no_waiting_mends_ends_the_batch_at_once() -> None:
    script = [Status(400), Says("Deep.")]
    async with scripted_chain(script) as (chained, [upstream]):
        with pytest.raises(PermanentError):
            await complete_all(chained.gateway, asking("one", "two"), at_once=1)

        assert upstream.calls == 1


async def test_a_busy_model_is_asked_again_when_it_said() -> None:
    async with scripted_chain([Status(429, "0"), Says("Deep.")]) as (chained, [upstream]):
        [result] = await complete_all(chained.gateway, asking("one"))

        assert upstream.calls == 2

    assert result.text == "Deep."


async def test_what_keeps_failing_is_given_up_after_so_many_tries() -> None:
    async with scripted_chain([Status(429, "0")]) as (chained, [upstream]):
        with pytest.raises(ModelUnavailable):
            await complete_all(chained.gateway, asking("one"), tries=3)

        assert upstream.calls == 3


async def test_a_batch_leaves_room_for_people() -> None:
    begin = asyncio.Event()
    async with (
        scripted_upstream(Says("Deep.", released=begin)) as upstream,
        wires(a_1=upstream.base_url) as upstreams,
    ):
        chained = gateway_over([a_model("a", a_deployment("a-1", max_concurrent=4))], upstreams)
        questions = asking(*(f"question {number}" for number in range(10)))
        batch = asyncio.create_task(complete_all(chained.gateway, questions, at_once=10))
        await upstream.until_called(2)
        person = asyncio.create_task(received(chained.gateway))
        await upstream.until_called(3)
        assert upstream.open_now == 3, "two of four slots are the batch's"
        begin.set()
        await asyncio.gather(batch, person)

        assert upstream.calls == 11


async def test_a_cancelled_batch_stops_its_calls() -> None:
    never = asyncio.Event()
    async with scripted_chain([Says("Deep.", released=never)]) as (chained, [upstream]):
        calls = asking("one", "two", "three")
        batch = asyncio.create_task(complete_all(chained.gateway, calls))
        await upstream.until_called(3)
        batch.cancel()
        await asyncio.gather(batch, return_exceptions=True)
        await upstream.until_hung_up(3)

    assert [trail.attempts[0].outcome for _, trail in calls] == ["cancelled"] * 3
