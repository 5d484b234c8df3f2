"""How a call finds its way among deployments: who is asked, how often, and who is left alone."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import pytest

from rag.errors import ModelUnavailable, PermanentError
from rag.gateway.allowance import at_most
from rag.gateway.breaker import BreakerPolicy, Circuit
from rag.gateway.budgets import Amount
from rag.gateway.calls import Lane
from rag.gateway.fallback import AT_FAULT
from rag.gateway.patience import FallbackPolicy, Patience
from rag.gateway.upstreams import Timed
from rag.protocols import Completion, ModelPrompt
from rag.testing import ScriptedLanguageModel
from rag.types import Usage
from tests.gateways import (
    CEILING,
    PRICE,
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
from tests.scripted_upstream import (
    Counts,
    Raw,
    Says,
    Silent,
    Status,
    piece,
    refused_address,
    scripted_upstream,
)

NO_RETRY = FallbackPolicy(retries=0)


class NeverSpeaks(ScriptedLanguageModel):
    async def stream(self, prompt: ModelPrompt) -> AsyncGenerator[str | Completion]:
        self.prompts.append(prompt)
        await asyncio.Event().wait()
        yield ""


async def test_the_answer_comes_in_pieces_with_what_it_cost_on_the_trail() -> None:
    trail = a_trail()
    counts = Counts(prompt=20, completion=2, cached=15)
    async with scripted_chain([Says("Very deep.", counts)]) as (chained, [upstream]):
        answer = await received(chained.gateway, trail=trail)

    *texts, end = answer.pieces
    assert "".join(map(str, texts)) == "Very deep."
    assert end == Completion(
        model="a", deployment="a-1", usage=Usage(20, 2, 15), finish_reason="stop"
    )
    [attempt] = trail.attempts
    assert (attempt.outcome, attempt.usage, attempt.estimated) == ("ok", Usage(20, 2, 15), False)
    assert attempt.cost == 20 * 2 + 2 * 10
    assert attempt.first_token_ms is not None and attempt.first_token_ms <= attempt.total_ms
    assert trail.routes[0].models == ("a",)
    assert upstream.asked[0]["model"] == "a_1"


async def test_the_attempt_is_written_down_before_the_completion_is_given() -> None:
    trail = a_trail()
    async with (
        scripted_chain([Says("Deep.")]) as (chained, _),
        aclosing(chained.gateway.stream(a_call(), trail)) as pieces,
    ):
        async for each in pieces:
            if isinstance(each, Completion):
                assert [attempt.outcome for attempt in trail.attempts] == ["ok"]
                break

    assert len(trail.attempts) == 1


async def test_what_a_deployment_did_not_count_is_estimated() -> None:
    trail = a_trail()
    async with scripted_chain([Says("Very deep indeed.", None)]) as (chained, _):
        await received(chained.gateway, trail=trail)

    [attempt] = trail.attempts
    assert attempt.estimated
    assert attempt.usage == Usage(18, 5)


async def test_an_unknown_price_is_the_ceiling_and_an_alarm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trail = a_trail()
    async with scripted_upstream() as upstream, wires(a_1=upstream.base_url) as upstreams:
        chained = gateway_over([a_model("a", price=None)], upstreams)
        await received(chained.gateway, trail=trail)

    assert trail.cost == CEILING.cost(trail.usage) > 0
    assert "price of a is unknown" in caplog.text


# --- 429 and the breaker -----------------------------------------------------------------------


async def test_a_deployment_that_asks_us_to_slow_down_is_left_alone_until_it_said() -> None:
    async with scripted_chain([Status(429, "60"), Says("Deep.")], [Says("Elsewhere.")]) as (
        chained,
        [first, second],
    ):
        for _ in range(3):
            assert (await received(chained.gateway)).text == "Elsewhere."

        assert (first.calls, second.calls) == (1, 3)
        assert chained.breaker.refused == ["a-1", "a-1"]
        assert await chained.breaker.circuit("a-1") is Circuit.CLOSED


async def test_when_nobody_may_be_called_the_error_says_when_to_come_back() -> None:
    async with scripted_chain([Status(429, "60")], [Status(429, "30")]) as (chained, upstreams):
        for _ in range(2):
            with pytest.raises(ModelUnavailable) as caught:
                await received(chained.gateway)
            assert caught.value.retry_after_s == pytest.approx(30, abs=5)

        assert [upstream.calls for upstream in upstreams] == [1, 1]


async def test_no_deployment_can_ask_to_be_left_alone_for_ever() -> None:
    async with scripted_chain([Status(429, "999999999")]) as (chained, _):
        with pytest.raises(ModelUnavailable):
            await received(chained.gateway)

        assert chained.breaker.news[0] == ("a-1", "cool down 600 s")


async def test_a_deployment_that_fails_too_often_is_not_called_any_more() -> None:
    async with scripted_chain([Status(500)], [Says("Elsewhere.")], policy=NO_RETRY) as (
        chained,
        [first, second],
    ):
        for _ in range(12):
            assert (await received(chained.gateway)).text == "Elsewhere."

        assert first.calls == BreakerPolicy().minimum_calls
        assert second.calls == 12
        assert await chained.breaker.circuit("a-1") is Circuit.OPEN


async def test_a_probe_that_succeeds_brings_a_deployment_back() -> None:
    eager = BreakerPolicy(minimum_calls=1, open_s=0.0, probes=1)
    async with (
        scripted_upstream(Status(500), Says("Deep.")) as upstream,
        wires(a_1=upstream.base_url) as upstreams,
    ):
        chained = gateway_over([a_model("a")], upstreams, policy=NO_RETRY, breaker_policy=eager)
        with pytest.raises(ModelUnavailable):
            await received(chained.gateway)
        assert await chained.breaker.circuit("a-1") is Circuit.HALF_OPEN

        assert (await received(chained.gateway)).text == "Deep."

        assert await chained.breaker.circuit("a-1") is Circuit.CLOSED


async def test_a_caller_in_a_hurry_does_not_open_the_circuit() -> None:
    hurried = replace(a_call(), deadline_s=0.05)
    eager = BreakerPolicy(minimum_calls=1)
    trail = a_trail()
    async with scripted_upstream(Silent()) as upstream, wires(a_1=upstream.base_url) as upstreams:
        chained = gateway_over([a_model("a")], upstreams, breaker_policy=eager)
        with pytest.raises(ModelUnavailable):
            await received(chained.gateway, hurried, trail)

    assert [attempt.outcome for attempt in trail.attempts] == ["out_of_time"]
    assert chained.breaker.news == [("a-1", "released")]


async def test_when_the_deadline_is_over_no_further_model_is_called_but_the_last_resort() -> None:
    hurried = replace(a_call(), deadline_s=0.05)
    async with scripted_chain([Silent()], [Says("Late.")]) as (chained, [_, second]):
        with pytest.raises(ModelUnavailable) as caught:
            await received(chained.gateway, hurried)

        assert caught.value.fault == "out_of_time"
        assert second.calls == 0


# --- permanent errors --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_deployment_with_a_wrong_key_or_name_gives_way_to_the_next(status: int) -> None:
    trail = a_trail()
    async with (
        scripted_upstream(Status(status)) as wrong,
        scripted_upstream() as right,
        wires(a_1=wrong.base_url, a_2=right.base_url) as upstreams,
    ):
        model = a_model("a", a_deployment("a-1", weight=9), a_deployment("a-2"))
        chained = gateway_over([model], upstreams)
        answer = await received(chained.gateway, trail=trail)

    assert answer.text == "Deep."
    assert [attempt.outcome for attempt in trail.attempts] == ["rejected", "ok"]
    assert wrong.calls == 1
    assert chained.breaker.news[0] == ("a-1", "failed")


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_request_that_a_model_does_not_take_goes_to_the_next_model(status: int) -> None:
    trail = a_trail()
    async with (
        scripted_upstream(Status(status)) as picky,
        scripted_upstream() as other,
        wires(a_1=picky.base_url, a_2=picky.base_url, b_1=other.base_url) as upstreams,
    ):
        models = [a_model("a", a_deployment("a-1"), a_deployment("a-2")), a_model("b")]
        chained = gateway_over(models, upstreams)
        answer = await received(chained.gateway, trail=trail)

    assert answer.completion.model == "b"
    assert picky.calls == 1, "the model's other deployment would say the same"
    assert trail.cost == trail.attempts[-1].cost
    assert chained.breaker.news[0][1] == "ok", "it answers, after all"


async def test_a_request_that_no_model_takes_is_the_callers_to_change() -> None:
    async with scripted_chain([Status(400)], [Status(422)]) as (chained, _):
        with pytest.raises(PermanentError, match=AT_FAULT):
            await received(chained.gateway)


async def test_wrong_keys_everywhere_are_not_the_callers_fault() -> None:
    async with scripted_chain([Status(401)], [Status(400)]) as (chained, _):
        with pytest.raises(ModelUnavailable):
            await received(chained.gateway)


async def test_while_another_model_is_only_busy_the_request_may_be_sent_again_as_it_stands() -> (
    None
):
    async with scripted_chain([Status(400)], [Says("Deep.")]) as (chained, [_, busy]):
        await chained.breaker.cool_down("b-1", seconds=30)
        with pytest.raises(ModelUnavailable) as caught:
            await received(chained.gateway)
        assert busy.calls == 0

    assert caught.value.retry_after_s == pytest.approx(30, abs=5)


async def test_while_another_model_has_no_room_the_request_may_be_sent_again_as_it_stands() -> None:
    policy = replace(NO_RETRY, deadline_s=0.3)
    async with scripted_chain([Status(400)], [Says("Deep.")], policy=policy) as (
        chained,
        [_, full],
    ):
        room = chained.rooms.of(chained.models[1].deployments[0])
        while room.try_enter(Lane.INTERACTIVE):
            pass
        with pytest.raises(ModelUnavailable):
            await received(chained.gateway)
        assert full.calls == 0


async def test_when_to_come_back_is_not_told_of_a_model_that_does_not_take_the_request() -> None:
    async with (
        scripted_upstream(Status(400)) as first,
        scripted_upstream() as second,
        wires(a_1=first.base_url, a_2=first.base_url, b_1=second.base_url) as upstreams,
    ):
        model = a_model("a", a_deployment("a-1"), a_deployment("a-2"))
        chained = gateway_over([model, a_model("b")], upstreams)
        await chained.breaker.cool_down("a-1", seconds=5)
        await chained.breaker.cool_down("b-1", seconds=300)
        with pytest.raises(ModelUnavailable) as caught:
            await received(chained.gateway)
        assert caught.value.retry_after_s == pytest.approx(300, abs=5)

        alone = gateway_over([model], upstreams)
        await alone.breaker.cool_down("a-1", seconds=5)
        with pytest.raises(PermanentError, match=AT_FAULT):
            await received(alone.gateway)


# --- retries -----------------------------------------------------------------------------------


async def test_a_fault_that_passes_is_waited_out() -> None:
    async with scripted_chain([Status(503), Says("Deep.")]) as (chained, [upstream]):
        assert (await received(chained.gateway)).text == "Deep."
        assert upstream.calls == 2


async def test_all_deployments_of_a_model_come_before_any_is_tried_again() -> None:
    trail = a_trail()
    async with (
        scripted_upstream(Status(500)) as broken,
        wires(a_1=broken.base_url, a_2=refused_address(), a_3=broken.base_url) as upstreams,
    ):
        model = a_model("a", *(a_deployment(f"a-{number}") for number in (1, 2, 3)))
        chained = gateway_over([model], upstreams)
        with pytest.raises(ModelUnavailable):
            await received(chained.gateway, trail=trail)

    names = [attempt.deployment for attempt in trail.attempts]
    assert sorted(names[:3]) == sorted(names[3:]) == ["a-1", "a-2", "a-3"]


async def test_more_than_a_model_can_say_is_not_asked_of_it() -> None:
    long = replace(a_call(), prompt=replace(PROMPT, max_output_tokens=5_000))
    async with scripted_chain([Says("Deep.")]) as (chained, [upstream]):
        await received(chained.gateway, long)

    assert upstream.asked[0]["max_tokens"] == 1_000


async def test_an_answer_as_long_as_it_may_be_is_not_endless() -> None:
    frames = (*(piece("Donaudampfschiff ") for _ in range(6)), piece("."))
    end = 'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'
    async with scripted_chain([Raw((*frames, end))]) as (chained, _):
        answer = await received(chained.gateway)

    assert answer.completion.finish_reason == "length"


async def test_a_model_that_breaks_its_promise_is_written_down_all_the_same() -> None:
    trail = a_trail()
    upstream = Timed(ScriptedLanguageModel("Deep.", error=ZeroDivisionError()))
    chained = gateway_over([a_model("a")], {"a-1": upstream})
    with pytest.raises(ZeroDivisionError):
        await received(chained.gateway, trail=trail)

    assert [attempt.outcome for attempt in trail.attempts] == ["bad_response"]
    assert chained.rooms.of(chained.models[0].deployments[0]).taken == 0


async def test_any_language_model_is_held_to_the_patience() -> None:
    trail = a_trail()
    policy = FallbackPolicy(patience=Patience(first_token_s=0.02))
    chained = gateway_over([a_model("a")], {"a-1": Timed(NeverSpeaks(""))}, policy=policy)
    with pytest.raises(ModelUnavailable):
        await received(chained.gateway, trail=trail)

    assert [attempt.outcome for attempt in trail.attempts] == ["no_first_token"]


# --- budgets -----------------------------------------------------------------------------------

LATE = FallbackPolicy(patience=Patience(first_token_s=0.1), backoff_s=0.0)


@dataclass(slots=True)
class Purse:
    """Budgets with room for so many further attempts."""

    room: int
    asked: list[Amount] = field(default_factory=list[Amount])

    async def hold_more(self, amount: Amount) -> bool:
        self.asked.append(amount)
        self.room -= 1
        return self.room >= 0


async def test_after_a_billed_attempt_no_other_is_begun_for_which_there_is_no_room() -> None:
    purse, trail = Purse(room=0), a_trail()
    async with scripted_chain([Silent()], [Says("Deep.")], policy=LATE) as (chained, [_, second]):
        with pytest.raises(ModelUnavailable):
            await received(chained.gateway, replace(a_call(), hold_more=purse.hold_more), trail)

        assert second.calls == 0

    assert 0 < trail.cost <= at_most(PROMPT, PRICE).money


async def test_each_attempt_that_follows_a_billed_one_is_held_before_it_is_made() -> None:
    purse, trail = Purse(room=9), a_trail()
    async with scripted_chain([Silent()], [Status(500)], [Says("Deep.")], policy=LATE) as (
        chained,
        _,
    ):
        answer = await received(
            chained.gateway, replace(a_call(), hold_more=purse.hold_more), trail
        )

    assert answer.text == "Deep."
    assert purse.asked == [at_most(PROMPT, PRICE)], "what was not billed leaves it held"
    assert trail.cost <= 2 * at_most(PROMPT, PRICE).money


async def test_attempts_that_cost_nothing_need_no_further_room() -> None:
    purse = Purse(room=0)
    async with scripted_chain([Status(500)], [Status(429)], [Says("Deep.")]) as (chained, _):
        answer = await received(chained.gateway, replace(a_call(), hold_more=purse.hold_more))

    assert answer.text == "Deep."
    assert purse.asked == []
