"""Identical calls at the same time are one call."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from rag.access import PrincipalId, TenantId
from rag.errors import ModelUnavailable
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.gateway.money import FREE
from rag.gateway.singleflight import SharedCalls
from rag.protocols import Completion, Message
from rag.trail import RequestId, Trail
from rag.types import Usage
from tests.accounting import attempt
from tests.gateways import (
    ACCOUNT,
    PROMPT,
    Received,
    a_call,
    a_trail,
    receive,
    received,
    scripted_chain,
)
from tests.scripted_upstream import (
    Counts,
    CutOff,
    Reply,
    Says,
    ScriptedUpstream,
    Stalls,
    Status,
)


@dataclass(slots=True)
class Reader:
    """Somebody who asks, in a task of their own."""

    gateway: Gateway
    call: ModelCall = field(default_factory=a_call)
    trail: Trail = field(default_factory=a_trail)
    received: Received = field(default_factory=Received)
    task: "asyncio.Task[None] | None" = None

    def start(self) -> "asyncio.Task[None]":
        self.task = asyncio.create_task(receive(self.gateway, self.received, self.call, self.trail))
        return self.task

    async def until_text(self) -> None:
        while not self.received.text:  # noqa: ASYNC110 - a list tells nobody that it has grown
            await asyncio.sleep(0.001)

    async def leave(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def shared(*script: Reply) -> AsyncGenerator[tuple[SharedCalls, ScriptedUpstream]]:
    async with scripted_chain(script) as (chained, [upstream]):
        yield SharedCalls(chained.gateway), upstream


async def test_readers_of_one_call_hear_the_same_and_one_of_them_pays() -> None:
    begin = asyncio.Event()
    async with shared(Says("Very deep.", Counts(), released=begin)) as (gateway, upstream):
        readers = [Reader(gateway) for _ in range(5)]
        tasks = [reader.start() for reader in readers]
        await upstream.until_called()
        begin.set()
        await asyncio.gather(*tasks)

        assert upstream.calls == 1

    assert {reader.received.text for reader in readers} == {"Very deep."}
    assert len({id(reader.received.completion) for reader in readers}) == 1
    assert [reader.trail.usage for reader in readers] == [Usage(20, 5), *[Usage()] * 4]
    assert readers[0].trail.cost > 0
    assert [reader.trail.cost for reader in readers[1:]] == [FREE] * 4
    assert all(len(reader.trail.attempts) == 1 for reader in readers)
    assert all(len(reader.trail.routes) == 1 for reader in readers)


async def test_who_joins_late_hears_everything_from_the_start() -> None:
    async with shared(Stalls("Very deep")) as (gateway, upstream):
        first, second = Reader(gateway), Reader(gateway)
        first.start()
        await first.until_text()
        second.start()
        await second.until_text()

        assert upstream.calls == 1
        assert second.received.text == "Very deep"
        await asyncio.gather(first.leave(), second.leave())


async def test_a_reader_that_leaves_stops_nobody_else_and_the_next_one_pays() -> None:
    begin = asyncio.Event()
    async with shared(Says("Very deep.", Counts(), released=begin)) as (gateway, upstream):
        first, second, third = (Reader(gateway) for _ in range(3))
        first.start()
        others = [second.start(), third.start()]
        await upstream.until_called()
        await first.leave()
        begin.set()
        await asyncio.gather(*others)

        assert (upstream.calls, upstream.hung_up) == (1, 0)

    assert second.received.text == third.received.text == "Very deep."
    assert first.trail.attempts == []
    assert second.trail.cost > 0
    assert third.trail.cost == FREE


async def test_the_last_reader_to_leave_stops_the_model_and_pays() -> None:
    async with shared(Stalls("Very deep")) as (gateway, upstream):
        first, second = Reader(gateway), Reader(gateway)
        first.start()
        second.start()
        await first.until_text()
        await first.leave()
        assert upstream.hung_up == 0
        await second.leave()
        await upstream.until_hung_up()

        assert first.trail.attempts == []
        assert [attempt.outcome for attempt in second.trail.attempts] == ["cancelled"]
        assert second.trail.cost > 0

        upstream.plays(Says("Deep."))
        assert (await received(gateway)).text == "Deep.", "the next call is a new one"


async def test_closing_the_stream_is_leaving() -> None:
    trail = a_trail()
    async with shared(Stalls("Very deep")) as (gateway, upstream):
        async with aclosing(gateway.stream(a_call(), trail)) as pieces:
            await anext(pieces)
        await upstream.until_hung_up()

    assert [attempt.outcome for attempt in trail.attempts] == ["cancelled"]


async def test_all_readers_hear_of_a_restart() -> None:
    begin = asyncio.Event()
    async with shared(CutOff(), Says("Deep.", released=begin)) as (gateway, upstream):
        first, second = Reader(gateway), Reader(gateway)
        tasks = [first.start(), second.start()]
        await upstream.until_called(2)
        begin.set()
        await asyncio.gather(*tasks)

    assert first.received.pieces == second.received.pieces
    assert first.received.restarts == ["broken_off"]


async def test_all_readers_hear_that_it_failed() -> None:
    async with shared(Status(500)) as (gateway, _):
        tasks = [Reader(gateway).start() for _ in range(3)]
        errors = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(error, ModelUnavailable) for error in errors)


@pytest.mark.parametrize(
    "other",
    [
        replace(a_call(), account=replace(ACCOUNT, tenant=TenantId("other"))),
        replace(a_call(), prompt=replace(PROMPT, messages=(Message("user", "How high?"),))),
        replace(a_call(), prompt=replace(PROMPT, max_output_tokens=13)),
        replace(a_call(), prompt=replace(PROMPT, response_schema={"type": "object"})),
        replace(a_call(), quality="best"),
        replace(a_call(), model="a"),
        replace(a_call(), personal_data=True),
        replace(a_call(), tried=("a",)),
        replace(a_call(), deadline_s=1.5),
    ],
    ids=[
        "tenant",
        "messages",
        "length",
        "schema",
        "quality",
        "model",
        "personal data",
        "tried",
        "deadline",
    ],
)
async def test_calls_that_differ_are_calls_of_their_own(other: ModelCall) -> None:
    begin = asyncio.Event()
    reply = Says("{}", released=begin)
    async with shared(reply) as (gateway, upstream):
        tasks = [Reader(gateway).start(), Reader(gateway, other).start()]
        await upstream.until_called(2)
        begin.set()
        await asyncio.gather(*tasks)


async def test_people_of_one_tenant_who_ask_the_same_share_a_call() -> None:
    begin = asyncio.Event()
    colleague = replace(
        a_call(),
        account=replace(ACCOUNT, user=PrincipalId("user:7")),
        request=RequestId("r-2"),
    )
    async with shared(Says("Deep.", released=begin)) as (gateway, upstream):
        tasks = [Reader(gateway).start(), Reader(gateway, colleague).start()]
        await upstream.until_called()
        begin.set()
        await asyncio.gather(*tasks)

        assert upstream.calls == 1


async def test_where_chance_has_a_part_every_call_is_its_own() -> None:
    begin = asyncio.Event()
    warm: Any = replace(a_call(), prompt=replace(PROMPT, temperature=0.7))
    async with shared(Says("Deep.", released=begin)) as (gateway, upstream):
        tasks = [Reader(gateway, warm).start() for _ in range(2)]
        await upstream.until_called(2)
        begin.set()
        await asyncio.gather(*tasks)


async def test_calls_one_after_the_other_are_not_shared() -> None:
    async with shared(Says("Deep.")) as (gateway, upstream):
        await received(gateway)
        await received(gateway)

        assert upstream.calls == 2


async def test_an_attempt_that_was_over_is_paid_by_who_was_first_then() -> None:
    first_ends, second_ends = asyncio.Event(), asyncio.Event()
    replies = [CutOff(released=first_ends), Says("Very deep.", Counts(), released=second_ends)]
    async with shared(*replies) as (gateway, upstream):
        first, second = Reader(gateway), Reader(gateway)
        first.start()
        await first.until_text()
        others = [second.start()]
        await second.until_text()
        first_ends.set()
        await upstream.until_called(2)
        await first.leave()
        third = Reader(gateway)
        others.append(third.start())
        second_ends.set()
        await asyncio.gather(*others)

    readers = (first, second, third)
    assert [[each.cost > 0 for each in reader.trail.attempts] for reader in readers] == [
        [True],
        [False, True],
        [False, False],
    ]
    assert len(first.trail.routes) == 1


@dataclass(slots=True)
class SlowToStop:
    """A gateway whose calls take a while to stop, and tell what they spent when they have."""

    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        _ = call
        try:
            yield "Very"
            await asyncio.Event().wait()
        finally:
            self.stopping.set()
            await self.stopped.wait()
            trail.attempts.append(attempt(7))


async def test_who_leaves_twice_is_told_what_was_spent_all_the_same() -> None:
    inner = SlowToStop()
    reader = Reader(SharedCalls(inner))
    task = reader.start()
    await reader.until_text()
    task.cancel()
    await inner.stopping.wait()
    task.cancel()
    await asyncio.wait([task], timeout=0.05)
    assert not task.done(), "it waits until the model has stopped"
    inner.stopped.set()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert reader.trail.cost == 7
