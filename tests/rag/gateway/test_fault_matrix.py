"""Every fault of a provider, at every place of a chain of three: what comes out, what it costs."""

from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from rag.errors import ModelFault, ModelUnavailable
from rag.gateway.catalogue import EXTRACTIVE
from rag.gateway.fallback import NO_FORM, NO_MODEL
from rag.gateway.patience import FallbackPolicy, Patience
from rag.gateway.upstreams import Timed, Upstream
from rag.testing import ScriptedLanguageModel
from rag.types import Usage
from tests.gateways import (
    PRICE,
    PROMPT,
    Received,
    a_call,
    a_model,
    a_trail,
    gateway_over,
    receive,
    wires,
)
from tests.scripted_upstream import (
    Counts,
    CutOff,
    Endless,
    HangsUp,
    Raw,
    Reply,
    Says,
    Silent,
    Stalls,
    Status,
    refused_address,
    scripted_upstream,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"depth": {"type": "integer"}},
    "required": ["depth"],
}
GOOD = '{"depth": 11}'
COUNTS = Counts(prompt=20, completion=5)
ASKED = 18
"""What PROMPT is estimated at: two messages of 4 tokens and 5 each for their words."""


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    reply: Reply | None
    """None: nothing listens there."""
    outcome: ModelFault
    attempts: int = 1
    """With one retry: those that may pass are made twice, and no others."""
    releases: bool = False
    """Whether words are released before it fails."""
    billed: bool = True
    """Whether a model may have read the prompt, so that it is charged by estimate."""
    counted: bool = False
    """Whether the deployment says what it has used."""
    news: str = "failed"
    """What the breaker is told of each attempt."""
    schema: bool = False
    slow: bool = False


FAULTS = (
    Fault("refused", None, "unreachable", attempts=2, billed=False),
    Fault("dropped before an answer", HangsUp(), "unreachable", attempts=2, billed=False),
    Fault("slow first token", Silent(), "no_first_token", slow=True),
    Fault("gap", Stalls(), "gap", releases=True, slow=True),
    Fault("cut in mid-stream", CutOff(), "broken_off", attempts=2, releases=True),
    Fault(
        "429 with Retry-After",
        Status(429, retry_after="7"),
        "rate_limited",
        billed=False,
        news="cool down 7 s",
    ),
    Fault(
        "429 with a date long past",
        Status(429, retry_after="Sun, 01 Mar 2020 12:00:00 GMT"),
        "rate_limited",
        billed=False,
        news="cool down 0 s",
    ),
    Fault("429", Status(429), "rate_limited", billed=False, news="cool down 5 s"),
    Fault("500", Status(500), "server_error", attempts=2, billed=False),
    Fault("bad JSON at once", Raw(), "bad_response", attempts=2),
    Fault("bad JSON in mid-stream", Raw(after="Very"), "bad_response", attempts=2, releases=True),
    Fault(
        "wrong schema",
        Says("eleven", COUNTS),
        "wrong_schema",
        attempts=2,
        counted=True,
        news="ok",
        schema=True,
    ),
    Fault("endless stream", Endless(), "endless", releases=True),
)

QUICK = FallbackPolicy(backoff_s=0.0)
HURRIED = replace(QUICK, patience=Patience(first_token_s=1.0, gap_s=1.0))


def _id(fault: Fault) -> str:
    return fault.name


@dataclass(frozen=True, slots=True)
class Played:
    received: Received
    error: ModelUnavailable | None
    trail_outcomes: list[str]
    cost: int
    usages: list[Usage]
    estimated: list[bool]
    calls: list[int]
    admitted: list[str]
    news: list[tuple[str, str]]


async def play(fault: Fault, scripts: Sequence[Reply | None], *, evidence: bool = False) -> Played:
    """One call of a chain of as many models as there are scripts, named `a`, `b`, `c`."""
    names = "abc"[: len(scripts)]
    prompt = replace(PROMPT, response_schema=SCHEMA if fault.schema else None)
    received, trail = Received(), a_trail()
    async with AsyncExitStack() as stack:
        peers = [
            None if reply is None else await stack.enter_async_context(scripted_upstream(reply))
            for reply in scripts
        ]
        addresses = {
            f"{name}_1": refused_address() if peer is None else peer.base_url
            for name, peer in zip(names, peers, strict=True)
        }
        upstreams = await stack.enter_async_context(wires(**addresses))
        models = [a_model(name) for name in names]
        if evidence:
            models.append(EXTRACTIVE)
            upstreams["extractive"] = _quotes()
        chained = gateway_over(models, upstreams, policy=HURRIED if fault.slow else QUICK)
        error: ModelUnavailable | None = None
        try:
            await receive(chained.gateway, received, a_call(prompt), trail)
        except ModelUnavailable as raised:
            error = raised
        calls = [0 if peer is None else peer.calls for peer in peers]
        taken = [chained.rooms.of(model.deployments[0]).taken for model in models]
    assert taken == [0] * len(models), "every slot is given back"
    assert len(chained.breaker.admitted) == len(trail.attempts), "the breaker is asked for each"
    return Played(
        received=received,
        error=error,
        trail_outcomes=[f"{each.model} {each.outcome}" for each in trail.attempts],
        cost=trail.cost,
        usages=[each.usage for each in trail.attempts],
        estimated=[each.estimated for each in trail.attempts],
        calls=calls,
        admitted=chained.breaker.admitted,
        news=chained.breaker.news,
    )


def _quotes() -> Upstream:
    return Timed(ScriptedLanguageModel("The sea is 11 km deep [1]."))


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("fault", FAULTS, ids=_id)
async def test_a_fault_at_any_place_of_the_chain_has_the_outcome_that_is_specified(
    fault: Fault, position: int
) -> None:
    """Before the place, models fail with 500; after it, they answer."""
    good = Says(GOOD if fault.schema else "Very deep.", COUNTS)
    scripts: list[Reply | None] = [Status(500)] * position + [fault.reply] + [good] * (2 - position)
    names = "abc"

    played = await play(fault, scripts)

    before = [f"{names[at]} server_error" for at in range(position) for _ in range(2)]
    at_fault = [f"{names[position]} {fault.outcome}"] * fault.attempts
    answered = position < 2
    after = [f"{names[position + 1]} ok"] if answered else []
    assert played.trail_outcomes == before + at_fault + after

    # What the reader has at the end is one answer from one model, or an honest error.
    if answered:
        assert played.error is None
        assert played.received.text == good.text
        assert played.received.completion.model == names[position + 1]
        assert played.received.completion.deployment == f"{names[position + 1]}-1"
    else:
        assert played.error is not None
        assert played.error.fault == fault.outcome
        assert str(played.error) == (NO_FORM if fault.schema else NO_MODEL)
    voided = fault.attempts if fault.releases else 0
    assert played.received.restarts == [fault.outcome] * (
        voided if answered else max(0, voided - 1)
    )

    # Each deployment was called as often as is written down, and no later one at all.
    expected_calls = [2] * position + [fault.attempts] + [1 if answered else 0]
    expected_calls = ([*expected_calls, 0, 0])[:3]
    if fault.reply is None:
        expected_calls[position] = 0
    assert played.calls == expected_calls

    # Nothing is billed twice, nothing that ran is free, nothing that was refused costs.
    ended = [*[Usage()] * len(before)]
    for usage, estimated in zip(
        played.usages[len(before) : len(before) + fault.attempts],
        played.estimated[len(before) : len(before) + fault.attempts],
        strict=True,
    ):
        if not fault.billed:
            assert usage == Usage() and not estimated
        elif fault.counted:
            assert usage == Usage(20, 5) and not estimated
        else:
            assert usage.input_tokens >= ASKED and estimated
            assert (usage.output_tokens > 0) == fault.releases
        ended.append(usage)
    ended += [Usage(20, 5)] * len(after)
    assert played.usages == ended
    assert played.cost == sum(PRICE.cost(usage) for usage in ended)

    # The breaker was asked before each attempt and told of each.
    order = [names[at] for at in range(position) for _ in range(2)]
    order += [names[position]] * fault.attempts + ([names[position + 1]] if answered else [])
    assert played.admitted == [f"{name}-1" for name in order]
    told = [news for name, news in played.news if name == f"{names[position]}-1"]
    assert told[0] == fault.news
    if fault.outcome == "rate_limited":
        assert told[1:] == ["released"], "to be busy is no failure"
    else:
        assert told == [fault.news] * fault.attempts


@pytest.mark.parametrize("fault", [each for each in FAULTS if not each.schema], ids=_id)
async def test_when_all_three_fail_the_last_resort_quotes(fault: Fault) -> None:
    played = await play(fault, [fault.reply] * 3, evidence=True)

    assert played.error is None
    assert played.received.text == "The sea is 11 km deep [1]."
    assert played.received.completion.model == "extractive"
    assert played.trail_outcomes[-1] == "extractive ok"
    assert len(played.trail_outcomes) == 3 * fault.attempts + 1
    paid = sum(PRICE.cost(usage) for usage in played.usages[:-1])
    assert played.cost == paid, "to quote is free"
    assert len(played.received.restarts) == (3 * fault.attempts if fault.releases else 0)


@pytest.mark.parametrize("fault", [each for each in FAULTS if each.releases], ids=_id)
async def test_where_restarts_are_not_allowed_a_fault_after_the_first_words_is_an_error(
    fault: Fault,
) -> None:
    policy = replace(HURRIED if fault.slow else QUICK, restarts=False)
    assert fault.reply is not None
    received, trail = Received(), a_trail()
    async with (
        scripted_upstream(fault.reply) as first,
        scripted_upstream() as second,
        wires(a_1=first.base_url, b_1=second.base_url) as upstreams,
    ):
        chained = gateway_over([a_model("a"), a_model("b")], upstreams, policy=policy)
        with pytest.raises(ModelUnavailable) as caught:
            await receive(chained.gateway, received, a_call(), trail)

    assert caught.value.fault == fault.outcome
    assert received.restarts == []
    assert (first.calls, second.calls) == (1, 0)
    assert [each.outcome for each in trail.attempts] == [fault.outcome]


async def test_a_schema_is_asked_for_more_strictly_the_second_time() -> None:
    prompt = replace(PROMPT, response_schema=SCHEMA)
    async with (
        scripted_upstream(Says("It is deep."), Says(f"```json\n{GOOD}\n```")) as upstream,
        wires(a_1=upstream.base_url) as upstreams,
    ):
        chained = gateway_over([a_model("a")], upstreams, policy=QUICK)
        received, trail = Received(), a_trail()
        await receive(chained.gateway, received, a_call(prompt), trail)

    assert received.text == GOOD
    assert received.restarts == []
    assert [each.outcome for each in trail.attempts] == ["wrong_schema", "ok"]
    first, second = upstream.asked
    assert first["response_format"]["json_schema"]["schema"] == SCHEMA
    assert second["messages"][:-1] == first["messages"]
    assert "JSON Schema" in second["messages"][-1]["content"]


async def test_a_reader_that_leaves_stops_the_model_and_pays_for_what_was_said() -> None:
    trail = a_trail()
    async with (
        scripted_upstream(Stalls("Very deep")) as upstream,
        wires(a_1=upstream.base_url) as upstreams,
    ):
        chained = gateway_over([a_model("a")], upstreams)
        async with aclosing(chained.gateway.stream(a_call(), trail)) as pieces:
            assert await anext(pieces) == "Very deep"
        await upstream.until_hung_up()

    [attempt] = trail.attempts
    assert attempt.outcome == "cancelled"
    assert attempt.estimated
    assert attempt.usage == Usage(ASKED, 3)
    assert attempt.cost == PRICE.cost(attempt.usage)
    assert chained.breaker.news == [("a-1", "released")]
    assert chained.rooms.of(chained.models[0].deployments[0]).taken == 0


def test_the_estimate_that_these_tests_count_with() -> None:
    words = [len(message.content) for message in PROMPT.messages]
    assert sum(4 + -(-each // 4) for each in words) == ASKED
